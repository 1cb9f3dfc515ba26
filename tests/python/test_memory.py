"""What importing the package does to the process's memory."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.own("this is about ringport's extension")

# How many mappings of its own malloc(3 MiB) takes, by glibc's statistics: so much is not free in the heap by chance.
PROGRAM = """
import ctypes
import ringport

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t)
                for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.mallinfo2.restype = ctypes.c_void_p, Mallinfo
before = libc.mallinfo2().hblks
assert libc.malloc(3 << 20)
print(libc.mallinfo2().hblks - before)
"""


def mappings(**settings):
    if "LD_PRELOAD" in os.environ or not hasattr(os, "confstr") or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("malloc() is not glibc's")
    return int(subprocess.run([sys.executable, "-c", PROGRAM], check=True, text=True, capture_output=True, timeout=60,
                              env=os.environ | settings).stdout)


def test_large_buffers_are_taken_from_the_heap():
    assert mappings() == 0


def test_settings_of_the_users_hold():
    assert mappings(MALLOC_MMAP_THRESHOLD_=str(64 * 1024)) == 1
