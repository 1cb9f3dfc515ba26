#!/usr/bin/env python3
"""serve.py PORT KIND LOOP: a server of a library's, which answers at least cost, on a port of 127.0.0.1 (0: a free one).

The text is the same for each loop.
"""

import asyncio
import pathlib
import socket
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import loops  # noqa: E402

HELLO = b"Hello, world!"


async def serve_uvicorn(listener):
    """A plain ASGI application under uvicorn."""
    import uvicorn

    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HELLO))],
    }
    body = {"type": "http.response.body", "body": HELLO}

    async def application(scope, receive, send):
        await send(start)
        await send(body)

    config = uvicorn.Config(application, http="httptools", lifespan="off", log_level="warning", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


async def serve_aiohttp(listener):
    """A handler under aiohttp's server."""
    from aiohttp import web

    async def hello(request):
        return web.Response(body=HELLO, content_type="text/plain")

    application = web.Application()
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.get_running_loop().create_future()


async def serve_websockets(listener):
    """What comes is sent back."""
    from websockets.asyncio.server import serve

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async with serve(echo, sock=listener, compression=None):
        await asyncio.get_running_loop().create_future()


SERVERS = {"uvicorn": serve_uvicorn, "aiohttp": serve_aiohttp, "websockets": serve_websockets}


async def serve(port, kind):
    """Serves until it is ended."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio turns Nagle's algorithm off only if it is told that
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    listener.setblocking(False)
    print(f"serving on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await SERVERS[kind](listener)


def main(port, kind, name):
    """Runs it."""
    with loops.runner(name) as runner:
        runner.run(serve(int(port), kind))


main(*sys.argv[1:])
