"""AsyncClient on AnyIO against uvicorn and, by HTTP/2, hypercorn: many requests, 100 MB each way, timeouts, cancellation."""

import asyncio
import json
import pathlib
import socket
import struct

import anyio
import httpx
import payload
import pytest
from apps import plain
from cases import on_loop
from loops import LOOP, check, python, size
from servers import free_port, started
from tls import Certificate

PACKAGES = ["httpx", "httpcore", "anyio", "h2"]
HERE = pathlib.Path(__file__).parent
COUNT = size(600, 200)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=["uvicorn", "uvicorn-tls", "hypercorn-tls"])
def site(request, certificate):
    """A function that makes clients of a site: by HTTP/1.1, or by HTTP/2 where it is hypercorn's."""
    name, _, secure = request.param.partition("-")
    port = free_port()
    if name == "uvicorn":
        files = ["--ssl-certfile", certificate.certificate, "--ssl-keyfile", certificate.key]
        told = ["--port", port, "--loop", "none", "--no-access-log", "--log-level", "warning"]
    else:
        files = ["--certfile", certificate.certificate, "--keyfile", certificate.key]
        told = ["--workers", "0", "--bind", f"127.0.0.1:{port}"]

    def client(**options):
        base = f"{'https' if secure else 'http'}://127.0.0.1:{port}"
        trust = certificate.client() if secure else True
        return httpx.AsyncClient(base_url=base, verify=trust, http2=name == "hypercorn", timeout=60, **options)

    client.version = "HTTP/2" if name == "hypercorn" else "HTTP/1.1"
    command = python("-m", name, *told, *(files if secure else []), "apps.plain:app")
    with started(command, ("127.0.0.1", port), cwd=HERE):
        yield client


@on_loop
async def test_loop_and_version(site):
    async with site() as client:
        answer = await client.get("/loop")
        assert (answer.text, answer.http_version) == (LOOP, site.version)


@on_loop
async def test_connections_are_kept(site):
    async with site() as client:
        assert len({(await client.get("/client")).text for _ in range(100)}) == 1


def test_many_requests_in_a_task_group(site):
    """By anyio.run(), which makes its loop by itself."""

    async def main():
        check()
        heard = set()
        async with site(limits=httpx.Limits(max_connections=20)) as client, anyio.create_task_group() as group:

            async def ask(number):
                heard.add(int((await client.get(f"/number/{number}")).text))

            for number in range(COUNT):
                group.start_soon(ask, number)
        assert heard == set(range(COUNT))

    anyio.run(main)


@on_loop
async def test_upload(site):
    async with site() as client:
        answer = await client.post("/upload", content=payload.blocks_later())
        assert answer.json() == [payload.SIZE, payload.DIGEST]


@on_loop
async def test_download(site):
    async with site() as client, client.stream("GET", "/download") as answer:
        assert await payload.digest_later(answer.aiter_raw()) == (payload.SIZE, payload.DIGEST)


@on_loop
async def test_a_download_that_is_left(site):
    if site.version == "HTTP/2":
        pytest.skip("httpcore lets what was left fill the connection's window, on asyncio's loop too")
    async with site() as client:
        for _ in range(size(50, 10)):
            async with client.stream("GET", "/download") as answer:
                async for _ in answer.aiter_raw():
                    break
        assert (await client.get("/")).text == "hello"


@on_loop
async def test_timeouts(site):
    async with site() as client:
        for _ in range(10):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/never", timeout=httpx.Timeout(60, read=0.02))
        assert (await client.get("/")).text == "hello"


@on_loop
async def test_cancelled_scopes(site):
    if site.version == "HTTP/2":
        pytest.skip("a request that is cancelled makes httpcore release a stream twice, on asyncio's loop too")
    async with site() as client:
        for _ in range(10):
            with anyio.move_on_after(0.02) as scope:
                await client.get("/never")
            assert scope.cancelled_caught
        assert (await client.get("/")).text == "hello"


@on_loop
async def test_cancelled_tasks(site):
    if site.version == "HTTP/2":
        pytest.skip("a request that is cancelled ends httpcore's connection for others, on asyncio's loop too")
    async with site() as client:
        for round in range(size(20, 4)):
            tasks = [asyncio.create_task(client.get("/work")) for _ in range(20)]
            for _ in range(5 * round):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [end.text for end in ends[1::2]] == ["done"] * 10
            assert all(isinstance(end, asyncio.CancelledError) or end.text == "done" for end in ends[::2])


@on_loop
async def test_a_pool_that_is_full():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
        first = asyncio.create_task(client.get(address))
        await asyncio.sleep(0)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(address, timeout=httpx.Timeout(60, pool=0.05))
        first.cancel()
    server.close()


@on_loop
async def test_connections_that_are_reset():
    async def reset(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    async with httpx.AsyncClient() as client:
        for _ in range(20):
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await client.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()


@on_loop
async def test_nobody_serves():
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{free_port()}/")


@on_loop
async def test_unix_sockets(tmp_path):
    path = tmp_path / "socket"
    command = python("-m", "uvicorn", "--uds", path, "--loop", "none", "--log-level", "warning", "apps.plain:app")
    with started(command, path, cwd=HERE):
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
            assert (await client.get("http://site/loop")).text == LOOP
            answer = await client.post("http://site/upload", content=payload.blocks_later())
            assert answer.json() == [payload.SIZE, payload.DIGEST]


@on_loop
async def test_a_site_in_the_same_process():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(plain.app), base_url="http://site") as client:
        heard = await asyncio.gather(*(client.get(f"/number/{number}") for number in range(100)))
        assert [int(answer.text) for answer in heard] == list(range(100))
        assert json.loads((await client.post("/upload", content=b"x")).content) == [1, payload.digest([b"x"])]
