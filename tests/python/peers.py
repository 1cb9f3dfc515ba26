"""Protocols that write down what they are told, and sockets to connect to."""

import asyncio
import contextlib
import socket


class Recorder(asyncio.Protocol):
    """Writes its events down, and has a future for each that a test waits for."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.events = []
        self.transport = None
        self.made = loop.create_future()
        self.ended = loop.create_future()
        self.data = bytearray()
        self.arrived = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")
        self.made.set_result(None)

    def data_received(self, data):
        self.data += data
        self.arrived.set()

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.events.append("lost")
        self.ended.set_result(error)

    async def received(self, length):
        """What has been received, once it is so many bytes."""
        while len(self.data) < length:
            self.arrived.clear()
            await self.arrived.wait()
        return bytes(self.data)


class Accepting:
    """A factory of Recorders for a server, and the connections that were accepted."""

    def __init__(self):
        self.protocols = []
        self.changed = asyncio.Event()

    def __call__(self):
        self.protocols.append(Recorder())
        self.changed.set()
        return self.protocols[-1]

    async def count(self, wanted):
        """The protocols, once there are so many that have been told of their connection."""
        while len(self.protocols) < wanted:
            self.changed.clear()
            await self.changed.wait()
        for protocol in self.protocols[:wanted]:
            await protocol.made
        return self.protocols


async def end(*protocols):
    """Close their transports, and wait until they are told."""
    for protocol in protocols:
        protocol.transport.close()
    for protocol in protocols:
        await protocol.ended


@contextlib.contextmanager
def listening(family=socket.AF_INET, host="127.0.0.1", backlog=16):
    """A plain socket that listens on the loopback, and nobody accepts from it unless the test does."""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind((host, 0))
        sock.listen(backlog)
        yield sock


@contextlib.contextmanager
def refusing():
    """The address of a port that refuses connections: it is bound, and nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False
