"""TLS with programs that are not ours: the command openssl as client and as server, and HTTP/2 by the package h2."""

import asyncio
import ssl
import subprocess

import h2.config
import h2.connection
import h2.events
import pytest

from certificates import certificate, client_context, engine, server_context  # noqa: F401, fixtures

pytestmark = pytest.mark.usefixtures("engine")

VERSIONS = "tls1_2", "tls1_3"
QUIET = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
TALKATIVE = QUIET | {"stderr": subprocess.STDOUT}


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_openssl_as_client(server_context, certificate, version):
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    options = f"-quiet -no_ign_eof -verify_return_error -CAfile {certificate[0]} -{version}"
    command = f"openssl s_client {options} -connect 127.0.0.1:{port}"
    client = await asyncio.create_subprocess_exec(*command.split(), **QUIET)
    line = b"x" * 1000 + b"\n"
    client.stdin.write(line * 100)
    assert await client.stdout.readexactly(len(line) * 100) == line * 100
    client.stdin.write(b"Q\n")  # it ends, by close_notify
    await client.wait()
    client.stdin.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("command", ["K", "k"])
async def test_keys_are_updated(server_context, certificate, command):
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    options = f"openssl s_client -tls1_3 -CAfile {certificate[0]} -connect 127.0.0.1:{port}"
    client = await asyncio.create_subprocess_exec(*options.split(), **TALKATIVE)
    for number in range(3):
        client.stdin.write(f"{command}\n".encode())  # K: and ours are asked for
        while (await client.stdout.readline()).strip() != b"KEYUPDATE":
            pass
        client.stdin.write(b"line %d\n" % number)
        while (await client.stdout.readline()).strip() != b"line %d" % number:
            pass
    client.stdin.write(b"Q\n")
    await client.communicate()
    server.close()
    await server.wait_closed()


@pytest.mark.own  # asyncio follows as many as there are
async def test_a_flood_of_key_updates_is_refused(loop, server_context, certificate):
    ended = loop.create_future()

    async def read(reader, writer):
        with pytest.raises(ssl.SSLError) as caught:
            await reader.read()
        ended.set_result(str(caught.value))
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    options = f"openssl s_client -tls1_3 -CAfile {certificate[0]} -connect 127.0.0.1:{port}"
    client = await asyncio.create_subprocess_exec(*options.split(), **TALKATIVE)
    for _ in range(66):
        client.stdin.write(b"k\n")
        while (await client.stdout.readline()).strip() not in (b"KEYUPDATE", b""):
            pass
    assert "too many records without data" in await ended
    await client.communicate()
    server.close()
    await server.wait_closed()


async def test_renegotiation_is_refused(loop, server_context, certificate):
    ended = loop.create_future()

    async def read(reader, writer):
        with pytest.raises(ssl.SSLError) as caught:
            await reader.read()
        ended.set_result(caught.value.reason)
        writer.close()

    server_context.options |= ssl.OP_NO_RENEGOTIATION
    server = await asyncio.start_server(read, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    options = f"openssl s_client -tls1_2 -CAfile {certificate[0]} -connect 127.0.0.1:{port}"
    client = await asyncio.create_subprocess_exec(*options.split(), **TALKATIVE)
    client.stdin.write(b"R\n")
    told, _ = await client.communicate()
    assert b"RENEGOTIATING" in told and client.returncode == 1
    assert await ended == "SSLV3_ALERT_HANDSHAKE_FAILURE"  # the client's, which insists on it
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("version", VERSIONS)
async def test_openssl_as_server(client_context, certificate, version):
    options = f"-rev -{version} -naccept 1 -cert {certificate[0]} -key {certificate[1]}"
    command = f"openssl s_server {options} -accept 127.0.0.1:0"
    server = await asyncio.create_subprocess_exec(*command.split(), **QUIET)
    line = b""
    while not line.startswith(b"ACCEPT"):
        line = await server.stdout.readline()
    port = int(line.rpartition(b":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context)
    assert writer.get_extra_info("ssl_object").version() == {"tls1_2": "TLSv1.2", "tls1_3": "TLSv1.3"}[version]
    for text in b"hello", b"x" * 10_000 + b"y":
        writer.write(text + b"\n")
        assert await reader.readline() == text[::-1] + b"\n"
    writer.close()
    await writer.wait_closed()
    await server.communicate()


# ---- HTTP/2 ----


class Http2(asyncio.Protocol):
    """One end of HTTP/2. A server answers each request by its body, a client collects the answers."""

    def __init__(self, client):
        self.client = client
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client))
        self.bodies = {}
        self.answered = asyncio.Event()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                if not self.client:
                    self.h2.send_headers(event.stream_id, [(":status", "200")])
                    self.h2.send_data(event.stream_id, self.bodies[event.stream_id], end_stream=True)
                self.answered.set()
        self.flush()

    def connection_lost(self, error):
        self.ended.set_result(error)


async def test_http_2(loop, server_context, client_context):
    for context in server_context, client_context:
        context.set_alpn_protocols(["h2"])
    server = await loop.create_server(lambda: Http2(False), "127.0.0.1", 0, ssl=server_context)
    address = server.sockets[0].getsockname()
    _, client = await loop.create_connection(lambda: Http2(True), *address, ssl=client_context)
    wanted = {}
    for number in range(50):
        stream = client.h2.get_next_available_stream_id()
        wanted[stream] = b"%d " % number * 200
        headers = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "localhost")]
        client.h2.send_headers(stream, headers)
        client.h2.send_data(stream, wanted[stream], end_stream=True)
    client.flush()
    while client.bodies != wanted:
        client.answered.clear()
        await client.answered.wait()
    client.transport.close()
    assert await client.ended is None
    server.close()
    await server.wait_closed()
