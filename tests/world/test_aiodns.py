"""Questions by c-ares, by UDP and TCP, to a server of the test's own; one that is silent; cancellation."""

import asyncio
import contextlib
import socket
import struct

import aiodns
import pycares
import pytest
from cases import on_loop, until
from loops import check

PACKAGES = ["aiodns", "pycares"]
A, TXT, AAAA = 1, 16, 28
LONG = b"".join(b"\xc8" + bytes([65 + n]) * 200 for n in range(10))  # ten strings: too long for a datagram


def question(packet):
    """The name that is asked for, the type, and where the question ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode().lower())
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack_from("!H", packet, at + 1)[0], at + 5


def answer(packet, by_udp):
    """What the server says, or None: nothing."""
    name, kind, end = question(packet)
    if name.startswith("silent"):
        return None
    data = {A: bytes([127, 0, 0, len(name)]), AAAA: bytes(15) + b"\1", TXT: LONG if name.startswith("long") else b"\4text"}
    known = name.endswith(".test") and kind in data
    truncated = by_udp and name.startswith("long")
    flags = 0x8180 | (0x0200 if truncated else 0) | (0 if known else 3)
    head = packet[:2] + struct.pack("!HHHHH", flags, 1, known and not truncated, 0, 0) + packet[12:end]
    if not known or truncated:
        return head
    return head + struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data[kind])) + data[kind]


class Names(asyncio.DatagramProtocol):
    """The server's UDP."""

    def __init__(self):
        self.asked = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.asked.append(question(data)[0])
        if said := answer(data, by_udp=True):
            self.transport.sendto(said, address)


async def by_tcp(reader, writer):
    """The server's TCP."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            said = answer(await reader.readexactly(length), by_udp=False)
            writer.write(struct.pack("!H", len(said)) + said)
    writer.close()


@contextlib.asynccontextmanager
async def resolving(**options):
    """A resolver, and the server that it asks."""
    check()
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(by_tcp, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport, names = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", port))
        resolver = aiodns.DNSResolver(nameservers=["127.0.0.1"], udp_port=port, tcp_port=port, timeout=30, **options)
        try:
            yield resolver, names
        finally:
            await resolver.close()
            transport.close()


def texts(result):
    """The strings of an answer of TXT."""
    return b"".join(
        text if isinstance(text, bytes) else text.encode() for record in result.answer for text in [record.data.data]
    )


@on_loop
async def test_addresses():
    async with resolving() as (resolver, _):
        result = await resolver.query_dns("one.test", "A")
        assert [record.data.addr for record in result.answer] == ["127.0.0.8"]
        result = await resolver.query_dns("one.test", "AAAA")
        assert [record.data.addr for record in result.answer] == ["::1"]


@on_loop
async def test_two_hundred_at_once():
    async with resolving() as (resolver, names):
        found = await asyncio.gather(*(resolver.query_dns(f"{'x' * (n % 50 + 1)}{n}.test", "A") for n in range(200)))
        assert len(found) == len(set(names.asked)) == 200
        assert {record.data.addr.rpartition(".")[0] for result in found for record in result.answer} == {"127.0.0"}


@on_loop
async def test_by_tcp():
    async with resolving() as (resolver, _):
        assert len(texts(await resolver.query_dns("long.test", "TXT"))) == 2000


@on_loop
async def test_no_such_name():
    async with resolving() as (resolver, _):
        with pytest.raises(aiodns.error.DNSError) as caught:
            await resolver.query_dns("one.elsewhere", "A")
        assert caught.value.args[0] == pycares.errno.ARES_ENOTFOUND


@on_loop
async def test_a_silent_server():
    async with resolving(tries=1) as (resolver, names):
        task = asyncio.ensure_future(resolver.query_dns("silent.test", "A"))
        await until(lambda: names.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await resolver.query_dns("one.test", "A")).answer


@on_loop
async def test_names_of_addresses():
    async with resolving() as (resolver, _):
        found = await resolver.getaddrinfo("127.0.0.1", family=socket.AF_INET)
        assert [node.addr[0] for node in found.nodes] == [b"127.0.0.1"] * len(found.nodes)
