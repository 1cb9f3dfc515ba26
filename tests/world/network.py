"""A network with nothing but loopback, for programs of others that may serve on all interfaces."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

libc = ctypes.CDLL(None, use_errno=True)


def ask(function, *arguments):
    """Calls a function of libc's that has no counterpart in Python 3.11."""
    if function(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def of_its_own():
    """This thread, and what it starts, are in such a network meanwhile.

    An OSError says why this machine permits none: that takes root's rights, which containers may withhold.
    """
    with open("/proc/thread-self/ns/net") as before:
        ask(libc.unshare, CLONE_NEWNET)
        try:
            with socket.socket() as any_socket:
                fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
            yield
        finally:
            ask(libc.setns, before.fileno(), CLONE_NEWNET)
