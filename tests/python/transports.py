"""What tests of transports share: a protocol that writes down what it is told, and connections to a socket of the test's.

A transport is made by loop._make_socket_transport(), which asyncio's loop has, too.
"""

import asyncio
import socket


class Recorder(asyncio.Protocol):
    """Writes down the names of the methods that are called, with what they get. `wait_for` waits for one of them."""

    def __init__(self, keep_open=False):
        self.events = []
        self.keep_open = keep_open
        self.transport = None
        self.waiters = []

    def note(self, *event):
        self.events.append(event)
        for name, waiter in self.waiters:
            if name == event[0] and not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, name):
        """Until the method has been called, however often it was before."""
        if not any(event[0] == name for event in self.events):
            await self.next(name)

    def next(self, name):
        """A future of the next call."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append((name, waiter))
        return waiter

    def connection_made(self, transport):
        self.transport = transport
        self.note("connection_made")

    def data_received(self, data):
        self.note("data_received", data)

    def eof_received(self):
        self.note("eof_received")
        return self.keep_open

    def connection_lost(self, exc):
        self.note("connection_lost", exc)

    def pause_writing(self):
        self.note("pause_writing")

    def resume_writing(self):
        self.note("resume_writing")

    @property
    def names(self):
        return [event[0] for event in self.events]


class Buffered(Recorder, asyncio.BufferedProtocol):
    """The same with a buffer of its own."""

    def __init__(self, size=1000, **options):
        super().__init__(**options)
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint):
        self.note("get_buffer", sizehint)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.note("buffer_updated", bytes(self.buffer[:nbytes]))


def tcp_pair():
    """Two TCP sockets that are connected with each other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


def connect(loop, protocol, pair=socket.socketpair, **options):
    """A transport, and the socket at the other end of its connection, which does not block either."""
    ours, theirs = pair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return loop._make_socket_transport(ours, protocol, **options), theirs


async def receive(sock, count):
    """Take so many bytes from the other end."""
    loop = asyncio.get_running_loop()
    parts = []
    while count > 0:
        part = await loop.run_in_executor(None, receive_some, sock, count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive_some(sock, count):
    sock.settimeout(60)
    return sock.recv(min(count, 1 << 20))


async def fill(transport, piece=b"x" * 65536):
    """Write until something waits in the buffer. Return how much was written."""
    written = 0
    while not transport.get_write_buffer_size():
        transport.write(piece)
        written += len(piece)
    return written
