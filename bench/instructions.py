"""What a message costs in user space, counted: instructions a request, and cache lines a connection.

Valgrind's lackey writes down each instruction and each access to memory of an echo server. A round is a request on each
of some connections, which the server finds all at once: it is stopped until they are there. So a round is the same each
time, and so are the figures, on a machine that is shared, too. What rounds of several sizes have in common cancels out:

    instructions  (those of a round of all connections - those of a round of none) / connections
    cache lines   (lines of data in a round of all connections - in a round of half of them) / the other half

Lines of data are 64 bytes, the stack's among them. A line that all connections share counts for none of them; one of
an array counts for the part that is a connection's. The kernel's instructions and memory are not seen.
"""

import functools
import os
import pathlib
import shutil
import signal
import socket
import time

from measure import Failed, Server, scratch

SIZE, CONNECTIONS = 1024, 100
LINE = 64
LIMIT = 60  # seconds for anything to happen: valgrind is slow, and a machine may be busy


def available():
    """Whether there is valgrind to count with."""
    return shutil.which("valgrind") is not None


class Traced:
    """A server under lackey, and its connections."""

    def __init__(self, server, trace):
        self.server, self.trace = server, trace
        self.settle()
        self.clients = [socket.create_connection(server.address, LIMIT) for _ in range(CONNECTIONS)]
        for client in self.clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.settle()

    def state(self):
        """R, S, T and so on, as /proc has it."""
        return pathlib.Path(f"/proc/{self.server.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]

    def settle(self):
        """Waits until the server has nothing to do; returns where the trace ends."""
        deadline, end, calm = time.monotonic() + LIMIT, -1, 0
        while calm < 3:
            if time.monotonic() > deadline:
                raise Failed(f"{self.server.name} does not come to rest")
            time.sleep(0.01)
            size = self.trace.stat().st_size
            calm = calm + 1 if self.state() == "S" and size == end else 0
            end = size
        return end

    def stop(self):
        """Stops the server, and waits until it has."""
        os.kill(int(self.server.pid), signal.SIGSTOP)
        deadline = time.monotonic() + LIMIT
        while self.state() != "T":
            if time.monotonic() > deadline:
                raise Failed(f"{self.server.name} does not stop")
            time.sleep(0.001)

    def round(self, count):
        """A request on each of so many connections; returns the part of the trace that came of it."""
        message = os.urandom(SIZE)
        begin = self.settle()
        self.stop()
        for client in self.clients[:count]:
            client.sendall(message)
        os.kill(int(self.server.pid), signal.SIGCONT)
        for client in self.clients[:count]:
            if client.recv(SIZE, socket.MSG_WAITALL) != message:
                raise Failed(f"{self.server.name} has sent something else back")
        end = self.settle()
        with self.trace.open("rb") as file:
            file.seek(begin)
            return file.read(end - begin).decode("ascii")


def counted(part):
    """How many instructions a part of a trace has, and how many lines of data."""
    instructions, lines = 0, set()
    for entry in part.splitlines():
        if entry.startswith("I"):
            instructions += 1
        elif entry[1:2] in ("L", "S", "M"):
            address, size = entry[3:].split(",")
            first = int(address, 16)
            lines.update(range(first // LINE, (first + int(size) - 1) // LINE + 1))
    return instructions, len(lines)


@functools.cache
def of_message(program, name):
    """What a message of 1 KiB on one of 100 connections costs a server."""
    with scratch() as directory:
        trace = pathlib.Path(directory, "trace")
        lackey = ["valgrind", "--tool=lackey", "--trace-mem=yes", "--basic-counts=no", f"--log-file={trace}"]
        with Server(program, name, under=lackey) as server:
            try:
                traced = Traced(server, trace)
                for count in (CONNECTIONS, CONNECTIONS):  # what the first ones make is there after them
                    traced.round(count)
                none, half, all_ = (counted(traced.round(count)) for count in (0, CONNECTIONS // 2, CONNECTIONS))
            finally:
                server.process.kill()  # lackey does not end in a wait of io_uring's
    return {"instructions_per_request": (all_[0] - none[0]) / CONNECTIONS,
            "lines_per_connection": (all_[1] - half[1]) / (CONNECTIONS - CONNECTIONS // 2)}
