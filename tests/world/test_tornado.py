"""Servers and clients: chunks, uploads, WebSockets, TLS, timeouts; processes, periods; IOLoop started in five ways."""

import asyncio
import contextlib
import os
import pathlib
import signal

import payload
import pytest
import tornado
from cases import on_loop, until
from loops import LOOP, check, python
from servers import free_port, started
from tls import Certificate
from tornado import httpserver, iostream, netutil, tcpclient, tcpserver, web, websocket
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.process import Subprocess
from tornado.simple_httpclient import HTTPTimeoutError

PACKAGES = ["tornado"]
SITE = pathlib.Path(__file__).parent / "apps/tornado_site.py"


class Hello(web.RequestHandler):
    async def get(self, name):
        check()
        await asyncio.sleep(0)
        self.write(f"hello {name}")


class Never(web.RequestHandler):
    async def get(self):
        await asyncio.sleep(3600)


class Pour(web.RequestHandler):
    """Sends the large body."""

    async def get(self):
        for block in payload.blocks():
            self.write(block)
            await self.flush()


@web.stream_request_body
class Swallow(web.RequestHandler):
    """Takes a large body, and tells its length."""

    def prepare(self):
        self.request.connection.set_max_body_size(1 << 30)
        self.count = 0

    def data_received(self, chunk):
        self.count += len(chunk)

    def put(self):
        self.write(str(self.count))


class Echo(websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


@contextlib.asynccontextmanager
async def serving(**options):
    """A server; gives its URL."""
    routes = [(r"/hello/(\w+)", Hello), ("/never", Never), ("/pour", Pour), ("/swallow", Swallow), ("/echo", Echo)]
    server = httpserver.HTTPServer(web.Application(routes), **options)
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    scheme = "https" if options else "http"
    try:
        yield f"{scheme}://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.stop()
        await server.close_all_connections()


@contextlib.contextmanager
def client(**options):
    client = AsyncHTTPClient(force_instance=True, **options)
    try:
        yield client.fetch
    finally:
        client.close()


@on_loop
async def test_requests_at_once():
    assert IOLoop.current().asyncio_loop is asyncio.get_running_loop()
    async with serving() as url:
        with client(max_clients=20) as fetch:
            answers = await asyncio.gather(*(fetch(f"{url}/hello/n{n}") for n in range(200)))
            assert [answer.body for answer in answers] == [b"hello n%d" % n for n in range(200)]


@on_loop
async def test_large_bodies():
    async def put(write):
        for block in payload.blocks():
            await write(block)

    parts = []
    async with serving() as url:
        with client(max_body_size=1 << 30) as fetch:
            await fetch(f"{url}/pour", streaming_callback=parts.append, request_timeout=0)
            assert payload.digest(parts) == payload.DIGEST
            answer = await fetch(f"{url}/swallow", method="PUT", body_producer=put, request_timeout=0)
            assert int(answer.body) == payload.SIZE


@on_loop
async def test_websockets():
    async with serving() as url:

        async def talk(number):
            connection = await websocket.websocket_connect(f"ws{url.removeprefix('http')}/echo")
            for n in range(20):
                await connection.write_message(b"x" * n * number, binary=True)
                assert await connection.read_message() == b"x" * n * number
            connection.close()
            assert await connection.read_message() is None

        await asyncio.gather(*map(talk, range(50)))


@on_loop
async def test_tls(tmp_path):
    certificate = Certificate(tmp_path)
    async with serving(ssl_options=certificate.server()) as url:
        with client() as fetch:
            answer = await fetch(HTTPRequest(f"{url}/hello/you", ca_certs=str(certificate.certificate)))
            assert answer.body == b"hello you"


@on_loop
async def test_timeouts_and_errors():
    async with serving() as url:
        with client() as fetch:
            with pytest.raises(HTTPTimeoutError):
                await fetch(f"{url}/never", request_timeout=0.1)
            with pytest.raises(tornado.httpclient.HTTPClientError):
                await fetch(f"{url}/nowhere")


@on_loop
async def test_streams():
    """A TCP server and a client of its own, which tell where a message ends."""

    class Doubler(tcpserver.TCPServer):
        async def handle_stream(self, stream, address):
            with contextlib.suppress(iostream.StreamClosedError):
                while True:
                    number = int(await stream.read_until(b"\n"))
                    await stream.write(b"%d\n" % (2 * number))

    server, (listener,) = Doubler(), netutil.bind_sockets(0, "127.0.0.1")
    server.add_socket(listener)
    stream = await tcpclient.TCPClient().connect(*listener.getsockname())
    for n in range(100):
        await stream.write(b"%d\n" % n)
        assert int(await stream.read_until(b"\n")) == 2 * n
    stream.close()
    server.stop()


@on_loop
async def test_processes_and_periods():
    ticks = []
    period = PeriodicCallback(lambda: ticks.append(1), 1)
    period.start()
    child = Subprocess(["sh", "-c", "cat; exit 3"], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM)
    await child.stdin.write(b"text")
    child.stdin.close()
    assert await child.stdout.read_until_close() == b"text"
    assert await child.wait_for_exit(raise_error=False) == 3
    await until(lambda: len(ticks) > 5)
    period.stop()
    assert await IOLoop.current().run_in_executor(None, lambda: 6 * 7) == 42


@pytest.mark.parametrize("way", ["start", "run_sync", "asyncio_run", "thread", "fork"])
@on_loop
async def test_ways_to_run_a_program(way):
    port = free_port()
    with started(python(SITE, port, way), ("127.0.0.1", port)) as site, client() as fetch:
        answers = await asyncio.gather(*(fetch(f"http://127.0.0.1:{port}/") for _ in range(20)))
        assert {answer.body.decode() for answer in answers} == {LOOP}
        await until(lambda: site.printed().split() == ["ready"] * (2 if way == "fork" else 1))
        os.killpg(site.pid, signal.SIGTERM)
        assert await asyncio.to_thread(site.wait, 60) == 0, site.printed()
