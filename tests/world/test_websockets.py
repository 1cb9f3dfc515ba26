"""1,000 sockets, broadcast(), slow readers, close handshakes, clients that are killed, TLS, pings, reconnecting."""

import asyncio
import pathlib
import resource
import socket
import struct
import threading

import payload
import pytest
import websockets.sync.client
from cases import on_loop, until
from loops import LOOP, python, size
from tls import Certificate
from websockets.asyncio.client import connect, unix_connect
from websockets.asyncio.server import broadcast, serve, unix_serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

PACKAGES = ["websockets"]
APPS = pathlib.Path(__file__).parent / "apps"
CLIENTS = size(1000, 100)


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    """Both ends of all sockets are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def url(server, scheme="ws"):
    return f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def connected(server, count=CLIENTS, **options):
    """So many clients, not more than 100 of which connect at once."""
    found = []
    while len(found) < count:
        found += await asyncio.gather(*(connect(url(server), **options) for _ in range(min(100, count - len(found)))))
    return found


async def close(connections):
    await asyncio.gather(*(connection.close() for connection in connections))


@on_loop
async def test_many_sockets():
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        connections = await connected(server, compression=None)

        async def talk(number, connection):
            for turn in range(10):
                await connection.send(f"{number} {turn}")
                assert await connection.recv() == f"{number} {turn}"

        await asyncio.gather(*(talk(*pair) for pair in enumerate(connections)))
        assert len(server.connections) == CLIENTS
        await close(connections)
        await until(lambda: not server.connections)


@on_loop
async def test_broadcast():
    """Each message reaches each of them, in order."""
    count = size(50, 20)
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        connections = await connected(server, compression=None)

        async def listen(connection):
            return [await connection.recv() for _ in range(count)]

        listening = [asyncio.create_task(listen(connection)) for connection in connections]
        for number in range(count):
            broadcast(server.connections, f"message {number}")
            await asyncio.sleep(0)
        expected = [f"message {number}" for number in range(count)]
        assert all([heard == expected for heard in await asyncio.gather(*listening)])
        await close(connections)


@on_loop
async def test_messages_of_all_sizes():
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        for compression in "deflate", None:
            async with connect(url(server), max_size=None, compression=compression) as connection:
                for length in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
                    for message in "x" * length, payload.BLOCK[:length]:
                        await connection.send(message)
                        assert await connection.recv() == message
                await connection.send([payload.BLOCK[:1000], b"", payload.BLOCK[1000:]])
                assert await connection.recv() == payload.BLOCK


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@on_loop
async def test_a_large_stream(secure, certificate):
    context = certificate.server() if secure else None

    async def pour(connection):
        for block in payload.blocks():
            await connection.send(block)

    async with serve(pour, "127.0.0.1", 0, ssl=context, compression=None) as server:
        address, trust = url(server, "wss" if secure else "ws"), certificate.client() if secure else None
        async with connect(address, ssl=trust, compression=None, max_size=None) as connection:
            assert await payload.digest_later(aiter(connection)) == (payload.SIZE, payload.DIGEST)


@on_loop
async def test_a_slow_reader_holds_its_server_up():
    sent = 0
    transport = None

    async def pour(connection):
        nonlocal sent, transport
        transport = connection.transport
        for block in payload.blocks():
            await connection.send(block)
            sent += len(block)

    async with serve(pour, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        async with connect(url(server), compression=None, max_size=None, ping_interval=None) as connection:
            await until(lambda: transport and transport.get_write_buffer_size() > 1 << 16)
            assert sent < payload.SIZE
            assert await payload.digest_later(aiter(connection)) == (payload.SIZE, payload.DIGEST)
            assert sent == payload.SIZE


@on_loop
async def test_broadcast_does_not_wait_for_slow_readers():
    async with serve(echo, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        options = {"compression": None, "ping_interval": None, "max_size": None}
        async with connect(url(server), **options) as slow, connect(url(server), **options) as quick:
            for block in payload.blocks():
                broadcast(server.connections, block)
                assert await quick.recv() == block
            for block in payload.blocks():
                assert await slow.recv() == block


@on_loop
async def test_close_handshakes():
    """Begun by the client, by the server, and by both at once."""
    ends = []

    async def handler(connection):
        if await connection.recv() == "close":
            await connection.close(4001, "by the server")
        await connection.wait_closed()
        ends.append((connection.close_code, connection.close_reason))

    async with serve(handler, "127.0.0.1", 0) as server:
        for _ in range(size(100, 20)):
            async with connect(url(server)) as connection:
                await connection.send("close")
                with pytest.raises(ConnectionClosedError):
                    await connection.recv()
                assert (connection.close_code, connection.close_reason) == (4001, "by the server")
            async with connect(url(server)) as connection:
                await connection.send("wait")
                await connection.close(1000, "by the client")
            connection = await connect(url(server))
            await connection.send("close")
            await connection.close(1000, "by the client")
        await until(lambda: len(ends) == 3 * size(100, 20))
        assert set(ends) == {(4001, "by the server"), (1000, "by the client")}


@on_loop
async def test_a_server_that_is_closed_says_so():
    async with serve(echo, "127.0.0.1", 0) as server:
        connections = await connected(server, size(200, 50))
        server.close()
        await server.wait_closed()
        for connection in connections:
            with pytest.raises(ConnectionClosedOK):
                await connection.recv()
            assert connection.close_code == 1001


@on_loop
async def test_clients_that_are_killed():
    """A process with 50 clients is killed. Each is missed, and the others are served."""
    ends = []

    async def handler(connection):
        try:
            await echo(connection)
        except ConnectionClosedError:
            ends.append(connection.close_code)

    async with serve(handler, "127.0.0.1", 0) as server:
        async with connect(url(server)) as other:
            child = await asyncio.create_subprocess_exec(
                *python(APPS / "websockets_clients.py", url(server), "50"), stdout=asyncio.subprocess.PIPE
            )
            assert (await child.stdout.readline()).decode().split() == [LOOP, "50"]
            assert len(server.connections) == 51
            child.kill()
            await child.wait()
            await until(lambda: len(ends) == 50)
            assert set(ends) == {1006}
            await other.send("still here")
            assert await other.recv() == "still here"


@on_loop
async def test_connections_that_are_reset():
    ends = []

    async def handler(connection):
        try:
            while True:
                await connection.send(payload.BLOCK[: 1 << 16])
        except ConnectionClosedError:
            ends.append(connection.close_code)

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        count = size(100, 20)
        for connection in await connected(server, count, compression=None, max_size=None):
            await connection.recv()
            linger = struct.pack("ii", 1, 0)
            connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.transport.abort()
        await until(lambda: len(ends) == count)


@on_loop
async def test_pings():
    async with serve(echo, "127.0.0.1", 0) as server, connect(url(server)) as connection:
        latencies = [await (await connection.ping()) for _ in range(size(1000, 100))]
        assert min(latencies) > 0


@on_loop
async def test_a_peer_that_answers_no_pings():
    async with serve(echo, "127.0.0.1", 0, ping_interval=0.1, ping_timeout=0.1, close_timeout=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        await until(lambda: server.connections)
        await until(lambda: not server.connections)
        frames = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
        assert frames[:1] == b"\x89" and (1011).to_bytes(2, "big") in frames
        writer.close()


@on_loop
async def test_requests_that_are_refused():
    async def refuse(connection, request):
        return connection.respond(403, "not for you\n")

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        for _ in range(20):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url(server))
            assert refused.value.response.status_code == 403


@on_loop
async def test_reconnecting():
    """An iterator of connections goes on when its server is back."""
    turns = 0
    server = await serve(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async for connection in connect(f"ws://127.0.0.1:{port}"):
        await connection.send("hello")
        assert await connection.recv() == "hello"
        turns += 1
        if turns == 3:
            break
        server.close()
        await server.wait_closed()
        server = await serve(echo, "127.0.0.1", port)
    await connection.close()
    server.close()
    await server.wait_closed()


@on_loop
async def test_cancellation():
    async with serve(echo, "127.0.0.1", 0) as server, connect(url(server)) as connection:
        for number in range(size(500, 100)):
            receiving = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            receiving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await receiving
            await connection.send(str(number))
            async with asyncio.timeout(60):
                assert await connection.recv() == str(number)


@on_loop
async def test_unix_sockets(tmp_path):
    async with unix_serve(echo, str(tmp_path / "socket")):
        async with unix_connect(str(tmp_path / "socket")) as connection:
            for number in range(100):
                await connection.send(str(number))
                assert await connection.recv() == str(number)


@on_loop
async def test_clients_on_threads():
    """The library's clients without a loop, ten on threads of their own."""
    async with serve(echo, "127.0.0.1", 0) as server:
        heard = []

        def client(number):
            with websockets.sync.client.connect(url(server)) as connection:
                for turn in range(50):
                    connection.send(f"{number} {turn}")
                    heard.append(connection.recv(60) == f"{number} {turn}")

        threads = [threading.Thread(target=client, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        await until(lambda: not any(thread.is_alive() for thread in threads))
        assert heard == [True] * 500
