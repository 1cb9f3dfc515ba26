"""A system that bars io_uring: the loop runs on epoll and says why, unless it was told not to (docs/migration.md)."""

import errno
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.own("asyncio knows nothing of io_uring")

# As a container's profile does it: a filter of system calls, which holds for good.
BARRED = """
import ctypes, struct, sys
LOAD, EQUAL, RETURN, ERROR, ALLOW, IO_URING_SETUP = 0x20, 0x15, 0x06, 0x50000, 0x7FFF0000, 425
steps = (LOAD, 0, 0, 0), (EQUAL, 0, 1, IO_URING_SETUP), (RETURN, 0, 0, ERROR | int(sys.argv[1])), (RETURN, 0, 0, ALLOW)
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
if prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or prctl(SECCOMP, FILTER, program):
    sys.exit("no filter: errno %d" % ctypes.get_errno())
import asyncio, ringport
try:
    loop = ringport.Loop()
except OSError as error:
    sys.exit(print("refused", error.errno))
print(loop.run_until_complete(asyncio.sleep(0, loop.backend)), loop.fallback_reason, sep="; ")
"""


def run_barred(error, **environment):
    environment = {name: value for name, value in os.environ.items() if name != "RINGPORT_PROACTOR"} | environment
    command = [sys.executable, "-c", BARRED, str(error)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.stderr.startswith("no filter"):
        pytest.skip(done.stderr)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize(
    "error, reason", [(errno.EPERM, "operation not permitted"), (errno.ENOSYS, "function not implemented")]
)
def test_barred(error, reason):
    assert run_barred(error) == f"epoll; io_uring: {reason}"
    assert run_barred(error, RINGPORT_PROACTOR="epoll") == "epoll; None"
    assert run_barred(error, RINGPORT_PROACTOR="io_uring") == f"refused {error}"
