#!/usr/bin/env python3
"""serve.py PORT KIND LOOP [CERTIFICATE]: an echo server on a port of 127.0.0.1 (0: one that is free), under TLS if a
certificate is given. The text is the same for each loop. A connection to its second port makes it call getppid(): that
is what callgrind is told to look for.
"""

import asyncio
import os
import socket
import ssl
import sys

import loops

CHUNK = 64 * 1024


class Echo(asyncio.Protocol):
    """Echoes by a transport."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """Echoes by a transport, out of a buffer of its own."""

    def __init__(self):
        self.buffer = memoryview(bytearray(2 * CHUNK))

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, _size_hint):
        return self.buffer

    def buffer_updated(self, count):
        self.transport.write(self.buffer[:count])


async def echo_stream(reader, writer):
    """Echoes by streams, at the least cost: what is written is never more than what one client waits for."""
    while data := await reader.read(CHUNK):
        writer.write(data)
    writer.close()


async def echo_stream_drained(reader, writer):
    """Echoes by streams, as documentation has it."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


async def echo_socket(client):
    """Echoes by the loop's functions for sockets."""
    loop = asyncio.get_running_loop()
    with client:
        while data := await loop.sock_recv(client, CHUNK):
            await loop.sock_sendall(client, data)


async def accept(listener):
    """Takes connections for echo_socket()."""
    loop, tasks = asyncio.get_running_loop(), set()
    while True:
        client, _ = await loop.sock_accept(listener)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = loop.create_task(echo_socket(client))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


class EchoDatagrams(asyncio.DatagramProtocol):
    """Echoes datagrams."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def serve_datagrams(port):
    """The same for datagrams, which have no listener."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=("127.0.0.1", port))
    print(f"serving on 127.0.0.1:{transport.get_extra_info('sockname')[1]}", flush=True)
    await loop.create_future()


class Mark(asyncio.Protocol):
    """Says that a part of a run is over."""

    def connection_made(self, transport):
        os.getppid()
        transport.close()


PROTOCOLS = {"protocol": Echo, "buffered": BufferedEcho}
STREAMS = {"streams": echo_stream, "streams-drain": echo_stream_drained}


async def serve(port, kind, certificate):
    """Serves until it is ended."""
    loop, context = asyncio.get_running_loop(), None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    marks = socket.create_server(("127.0.0.1", 0))
    ports = [str(each.getsockname()[1]) for each in (listener, marks)]  # a loop may take the sockets away
    keep = [await loop.create_server(Mark, sock=marks)]
    options = {"sock": listener, "ssl": context, "backlog": 1024}
    if kind in PROTOCOLS:
        keep.append(await loop.create_server(PROTOCOLS[kind], **options))
    elif kind in STREAMS:
        keep.append(await asyncio.start_server(STREAMS[kind], **options))
    else:
        keep.append(loop.create_task(accept(listener)))
    print(f"serving on 127.0.0.1:{ports[0]} marks {ports[1]}", flush=True)
    await loop.create_future()


def main(port, kind, name, certificate=None):
    """Runs it."""
    with loops.runner(name) as runner:
        runner.run(serve_datagrams(int(port)) if kind == "datagrams" else serve(int(port), kind, certificate))


main(*sys.argv[1:])
