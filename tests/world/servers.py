"""Servers that a row starts for itself on loopback, and that do not outlive it.

Each runs in a session of its own, whatever it starts with it: all of that is killed in the end. What it has printed is
shown if it does not begin to serve.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    """A port of 127.0.0.1 that nobody serves at, and that the kernel gives no client."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


def tool(name):
    """Where a program of Debian's is: some stand where only root looks, PostgreSQL's in folders of their own."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found and versions:
        found = str(versions[-1])
    assert found, f"{name} is not installed: scripts/install-packages world"
    return found


def serves(address):
    """Whether somebody accepts at (host, port), or at the path of a Unix socket."""
    unix = not isinstance(address, tuple)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as asker:
        asker.settimeout(1)
        return asker.connect_ex(str(address) if unix else address) == 0


@contextlib.contextmanager
def started(command, *addresses, ready=None, patience=60, **options):
    """Runs a server, which is given once it accepts at its addresses and ready(), if there is one, is true.

    Gives its Popen, which has what was printed as `printed()`. The block may kill it, or start another one.
    """
    with tempfile.TemporaryFile("w+") as printed:
        options = {"stdin": subprocess.DEVNULL, "stdout": printed, "stderr": subprocess.STDOUT, **options}
        server = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)

        def said():
            """What has been printed so far. The server writes on where it was."""
            return os.pread(printed.fileno(), 1 << 20, 0).decode(errors="replace")

        server.printed = said
        try:
            end = time.monotonic() + patience
            while not (all(map(serves, addresses)) and (ready is None or ready())):
                assert server.poll() is None, f"{command[0]} ended with {server.returncode}:\n{said()}"
                assert time.monotonic() < end, f"{command[0]} does not serve:\n{said()}"
                time.sleep(0.02)
            yield server
        finally:
            stop(server)


def stop(server):
    """Kills a server, and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
