"""Servers and clients: keep-alive, pipelining, 100 MB each way, WebSockets, files, TLS, proxies, timeouts, resets.

Server and client are on the same loop, but for the program of web.run_app(), which is a process of its own.
"""

import asyncio
import contextlib
import json
import pathlib
import socket
import ssl
import struct

import aiohttp
import payload
import pytest
from aiohttp import web
from cases import on_loop, until
from loops import LOOP, python, size
from servers import free_port, started
from tls import Certificate

PACKAGES = ["aiohttp"]
APPS = pathlib.Path(__file__).parent / "apps"
SECURE = pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@contextlib.asynccontextmanager
async def serving(*routes, context=None, **options):
    """A server with these routes. Gives its URL."""
    app = web.Application(client_max_size=1 << 30)
    app.add_routes(routes)
    runner = web.AppRunner(app, **{"shutdown_timeout": 1, **options})
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def port_of(url):
    return int(url.rpartition(":")[2])


async def hello(request):
    return web.Response(text="hello")


async def peer(request):
    """Tells which port the client has."""
    return web.Response(text=str(request.transport.get_extra_info("peername")[1]))


async def swallow(request):
    """Tells what was uploaded."""
    count, digest = await payload.digest_later(request.content.iter_any())
    return web.json_response({"size": count, "digest": digest})


async def pour(request):
    """Sends the large body, in chunks."""
    response = web.StreamResponse()
    await response.prepare(request)
    for block in payload.blocks():
        await response.write(block)
    return response


async def reflect(request):
    """Sends what comes, while it comes."""
    response = web.StreamResponse()
    await response.prepare(request)
    async for part in request.content.iter_any():
        await response.write(part)
    return response


async def echo(request):
    """A WebSocket that sends each message back."""
    connection = web.WebSocketResponse(max_msg_size=0)
    await connection.prepare(request)
    async for message in connection:
        if message.type is aiohttp.WSMsgType.TEXT:
            await connection.send_str(message.data)
        else:
            await connection.send_bytes(message.data)
    return connection


@on_loop
async def test_keep_alive():
    async with serving(web.get("/", peer)) as url, aiohttp.ClientSession() as session:
        ports = set()
        for _ in range(size(1000, 200)):
            async with session.get(url) as response:
                ports.add(await response.text())
        assert len(ports) == 1


@on_loop
async def test_connections_are_closed_when_a_client_says_so():
    async with serving(web.get("/", peer)) as url, aiohttp.ClientSession() as session:
        ports = set()
        for _ in range(50):
            async with session.get(url, headers={"Connection": "close"}) as response:
                ports.add(await response.text())
        assert len(ports) == 50


@on_loop
async def test_pipelining():
    async def number(request):
        return web.Response(text=request.match_info["number"] + "\n")

    count = size(1000, 200)
    async with serving(web.get("/{number}", number)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(count - 1)))
        writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (count - 1))
        answers = await reader.read(-1)
        bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        assert [int(body) for body in bodies] == list(range(count))
        writer.close()


@SECURE
@on_loop
async def test_upload(secure, certificate):
    async with serving(web.post("/", swallow), context=certificate.server() if secure else None) as url:
        async with aiohttp.ClientSession() as session:
            trust = certificate.client() if secure else True
            async with session.post(url, data=payload.blocks_later(), ssl=trust) as response:
                assert await response.json() == {"size": payload.SIZE, "digest": payload.DIGEST}


@SECURE
@on_loop
async def test_download(secure, certificate):
    async with serving(web.get("/", pour), context=certificate.server() if secure else None) as url:
        async with aiohttp.ClientSession() as session:
            async with session.get(url, ssl=certificate.client() if secure else True) as response:
                assert await payload.digest_later(response.content.iter_any()) == (payload.SIZE, payload.DIGEST)


@SECURE
@on_loop
async def test_both_ways_at_once(secure, certificate):
    async with serving(web.post("/", reflect), context=certificate.server() if secure else None) as url:
        async with aiohttp.ClientSession() as session:
            trust = certificate.client() if secure else True
            async with session.post(url, data=payload.blocks_later(), ssl=trust) as response:
                assert await payload.digest_later(response.content.iter_any()) == (payload.SIZE, payload.DIGEST)


@on_loop
async def test_multipart_upload(tmp_path):
    async def take(request):
        found = {}
        async for part in await request.multipart():
            found[part.name] = payload.digest([await part.read()])
        return web.json_response(found)

    (tmp_path / "first").write_bytes(payload.BLOCK * 4)
    (tmp_path / "second").write_bytes(payload.BLOCK[::-1])
    async with serving(web.post("/", take)) as url, aiohttp.ClientSession() as session:
        with (tmp_path / "first").open("rb") as first, (tmp_path / "second").open("rb") as second:
            async with session.post(url, data={"first": first, "second": second}) as response:
                expected = {name: payload.digest([(tmp_path / name).read_bytes()]) for name in ("first", "second")}
                assert await response.json() == expected


@SECURE
@on_loop
async def test_static_files(secure, certificate, tmp_path):
    """aiohttp serves them by loop.sendfile()."""
    with (tmp_path / "large").open("wb") as file:
        file.writelines(payload.blocks())
    (tmp_path / "empty").touch()
    trust = certificate.client() if secure else True
    async with serving(web.static("/", tmp_path), context=certificate.server() if secure else None) as url:
        async with aiohttp.ClientSession() as session:
            async with session.get(url + "/large", ssl=trust) as response:
                assert response.content_length == payload.SIZE
                assert await payload.digest_later(response.content.iter_any()) == (payload.SIZE, payload.DIGEST)
                tag = response.headers["ETag"]
            async with session.get(url + "/large", ssl=trust, headers={"Range": "bytes=1048570-1048593"}) as response:
                assert response.status == 206
                assert await response.read() == payload.BLOCK[-6:] + bytes([0] * 7 + [1]) + payload.BLOCK[8:18]
            async with session.get(url + "/large", ssl=trust, headers={"If-None-Match": tag}) as response:
                assert (response.status, await response.read()) == (304, b"")
            async with session.get(url + "/empty", ssl=trust) as response:
                assert (response.status, await response.read()) == (200, b"")


@on_loop
async def test_a_file_is_served_while_others_read_it(tmp_path):
    (tmp_path / "file").write_bytes(payload.BLOCK)
    async with serving(web.static("/", tmp_path)) as url:
        connector = aiohttp.TCPConnector(limit=50)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def read():
                async with session.get(url + "/file") as response:
                    return await response.read() == payload.BLOCK

            assert all(await asyncio.gather(*(read() for _ in range(size(500, 60)))))


@on_loop
async def test_many_clients():
    async def slow(request):
        await asyncio.sleep(0.001 * (int(request.match_info["number"]) % 20))
        return web.Response(text=request.match_info["number"])

    async with serving(web.get("/{number}", slow)) as url:

        async def client(first):
            async with aiohttp.ClientSession() as session:

                async def ask(number):
                    async with session.get(f"{url}/{number}") as response:
                        assert await response.text() == str(number)

                await asyncio.gather(*(ask(first + number) for number in range(size(200, 25))))

        await asyncio.gather(*(client(1000 * number) for number in range(20)))


@SECURE
@on_loop
async def test_websocket(secure, certificate):
    codes = []

    async def echo_until_closed(request):
        connection = await echo(request)
        codes.append(connection.close_code)
        return connection

    trust = certificate.client() if secure else True
    async with serving(web.get("/", echo_until_closed), context=certificate.server() if secure else None) as url:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url, ssl=trust, compress=15, max_msg_size=0, heartbeat=60) as connection:
                for number in range(size(2000, 300)):
                    await connection.send_str(f"message {number}")
                    assert await connection.receive_str() == f"message {number}"
                await connection.send_bytes(payload.BLOCK * 4)
                assert await connection.receive_bytes() == payload.BLOCK * 4
                await connection.close(code=4321)
            await until(lambda: codes)
            assert codes == [4321]


@on_loop
async def test_pings():
    async def deaf(request):
        connection = web.WebSocketResponse(autoping=False)
        await connection.prepare(request)
        async for _ in connection:
            pass
        return connection

    async with serving(web.get("/echo", echo), web.get("/deaf", deaf)) as url, aiohttp.ClientSession() as session:
        async with session.ws_connect(url + "/echo", autoping=False) as connection:
            await connection.ping(b"a ping")
            assert await connection.receive() == (aiohttp.WSMsgType.PONG, b"a ping", "")
        async with session.ws_connect(url + "/deaf", heartbeat=0.05) as connection:
            message = await connection.receive()
            assert isinstance(message.data, aiohttp.ServerTimeoutError)


@on_loop
async def test_many_messages_of_a_websocket_at_once():
    count = size(20000, 2000)
    async with serving(web.get("/", echo)) as url, aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as connection:

            async def send():
                for number in range(count):
                    await connection.send_str(str(number))

            sending = asyncio.create_task(send())
            for number in range(count):
                assert await connection.receive_str() == str(number)
            await sending


@on_loop
async def test_timeouts():
    async def never(request):
        await asyncio.sleep(3600)

    async def stall(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await asyncio.sleep(3600)

    routes = web.get("/never", never), web.get("/stall", stall), web.get("/", hello)
    async with serving(*routes, handler_cancellation=True) as url, aiohttp.ClientSession() as session:
        with pytest.raises(asyncio.TimeoutError):
            async with session.get(url + "/never", timeout=aiohttp.ClientTimeout(total=0.05)):
                pass
        async with session.get(url + "/stall", timeout=aiohttp.ClientTimeout(sock_read=0.05)) as response:
            with pytest.raises(aiohttp.SocketTimeoutError):
                await response.read()
        async with session.get(url) as response:
            assert await response.text() == "hello"


@on_loop
async def test_a_connection_that_is_never_accepted_times_out():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_connect=0.1)) as session:
                with pytest.raises(aiohttp.ConnectionTimeoutError):
                    async with session.get(f"http://127.0.0.1:{full.getsockname()[1]}"):
                        pass


@on_loop
async def test_a_client_that_is_cancelled_cancels_its_handler():
    events = []

    async def wait(request):
        events.append("begun")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    async with serving(web.get("/", wait), handler_cancellation=True) as url, aiohttp.ClientSession() as session:
        count = size(100, 20)
        tasks = [asyncio.create_task(session.get(url)) for _ in range(count)]
        await until(lambda: events.count("begun") == count)
        for task in tasks:
            task.cancel()
        assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))
        await until(lambda: events.count("cancelled") == count)


@on_loop
async def test_clients_that_reset_their_connections():
    ends = []

    async def write(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(payload.BLOCK)
        except ConnectionError as end:
            ends.append(end)
            raise

    async with serving(web.get("/", write), web.get("/hello", hello)) as url:
        count = size(100, 20)
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readexactly(100000)
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        await until(lambda: len(ends) == count)
        async with aiohttp.ClientSession() as session, session.get(url + "/hello") as response:
            assert await response.text() == "hello"


@on_loop
async def test_servers_that_reset_a_connection():
    async def reset(request):
        await request.read()
        request.transport.abort()
        return web.Response()

    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        request.transport.close()
        return response

    async with serving(web.post("/", reset), web.get("/", half)) as url, aiohttp.ClientSession() as session:
        for _ in range(20):
            with pytest.raises(aiohttp.ClientConnectionError):
                async with session.post(url, data=b"x" * 1000):
                    pass
            async with session.get(url) as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()


@on_loop
async def test_nobody_serves():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError, match="Connect call failed"):
            async with session.get(f"http://127.0.0.1:{free_port()}"):
                pass


@on_loop
async def test_a_slow_reader_holds_its_server_up():
    """The server waits for the reader, with little in memory, and then goes on."""
    written = 0
    transport = None

    async def write(request):
        nonlocal written, transport
        transport = request.transport
        response = web.StreamResponse()
        await response.prepare(request)
        for block in payload.blocks():
            await response.write(block)
            written += len(block)
        return response

    async with serving(web.get("/", write)) as url, aiohttp.ClientSession(read_bufsize=1 << 16) as session:
        async with session.get(url) as response:
            await until(lambda: transport.get_write_buffer_size() > 1 << 16)
            assert written < payload.SIZE
            assert await payload.digest_later(response.content.iter_any()) == (payload.SIZE, payload.DIGEST)
            assert written == payload.SIZE


@on_loop
async def test_unix_sockets(tmp_path):
    app = web.Application()
    app.add_routes([web.post("/", swallow)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "socket")).start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "socket"))) as session:
        async with session.post("http://localhost/", data=payload.blocks_later()) as response:
            assert await response.json() == {"size": payload.SIZE, "digest": payload.DIGEST}
    await runner.cleanup()


@on_loop
async def test_names_are_resolved():
    async with serving(web.get("/", hello)) as url, aiohttp.ClientSession() as session:
        async with session.get(f"http://localhost:{port_of(url)}") as response:
            assert await response.text() == "hello"
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            async with session.get("http://no-such-host.invalid"):
                pass


@on_loop
async def test_certificates_are_checked(certificate, tmp_path):
    async with serving(web.get("/", hello), context=certificate.server()) as url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            async with session.get(url, ssl=ssl.create_default_context()):
                pass
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            async with session.get(url, ssl=Certificate(tmp_path).client()):
                pass
        async with session.get(url, ssl=certificate.client()) as response:
            assert await response.text() == "hello"


async def relay(reader, writer):
    """A proxy of the method CONNECT."""
    request = await reader.readuntil(b"\r\n\r\n")
    host, _, port = request.split()[1].decode().partition(":")
    there = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async def copy(source, sink):
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))


@SECURE
@on_loop
async def test_tls_through_a_proxy(secure, certificate):
    """The client starts TLS on a connection that is open; where the proxy has TLS too, it is TLS within TLS."""
    proxy = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=certificate.server() if secure else None)
    address = f"{'https' if secure else 'http'}://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    routes = web.get("/", pour), web.post("/", swallow)
    async with serving(*routes, context=certificate.server()) as url, aiohttp.ClientSession() as session:
        trust = certificate.client()
        async with session.get(url, proxy=address, ssl=trust) as response:
            assert await payload.digest_later(response.content.iter_any()) == (payload.SIZE, payload.DIGEST)
        async with session.post(url, data=payload.blocks_later(), proxy=address, ssl=trust) as response:
            assert await response.json() == {"size": payload.SIZE, "digest": payload.DIGEST}
    proxy.close()


@on_loop
async def test_a_program_that_serves_until_a_signal():
    """web.run_app() in a process of its own. Requests that have begun are answered after SIGTERM."""
    port = free_port()
    with started(python(APPS / "aiohttp_site.py", str(port)), ("127.0.0.1", port)) as server:
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            async with session.get(url + "/loop") as response:
                assert (await response.text()).split(".")[0] == LOOP
            slow = [asyncio.create_task(session.get(url + "/slow")) for _ in range(50)]
            async with session.get(url + "/begun/50") as response:
                assert response.status == 200
            server.terminate()
            assert [await (await request).text() for request in slow] == ["slow"] * 50
        await asyncio.to_thread(server.wait, 60)
        assert server.returncode == 0, server.printed()
        assert json.loads(server.printed().splitlines()[-1]) == {"answered": 50, "cleaned": True}


@on_loop
async def test_a_client_program():
    """A process that asks, and exits by itself."""
    async with serving(web.get("/", hello)) as url:
        child = await asyncio.create_subprocess_exec(*python(APPS / "aiohttp_client.py", url), stdout=asyncio.subprocess.PIPE)
        printed, _ = await child.communicate()
        assert printed.decode().split() == [LOOP, "hello"]
        assert child.returncode == 0
