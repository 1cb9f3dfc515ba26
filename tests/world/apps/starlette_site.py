"""The same site with Starlette, which also has a file, and a function that runs on a thread."""

import contextlib
import os

import payload
from apps import plain
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect


async def hello(request):
    return PlainTextResponse("hello")


async def loop(request):
    return PlainTextResponse(plain.loop())


async def client(request):
    return PlainTextResponse(str(request.client.port))


async def pid(request):
    return PlainTextResponse(str(os.getpid()))


async def version(request):
    return PlainTextResponse(request.scope["http_version"])


async def work(request):
    return PlainTextResponse(await plain.work())


async def upload(request):
    try:
        return JSONResponse(await payload.digest_later(request.stream()))
    except ClientDisconnect:
        return PlainTextResponse("", 400)


async def download(request):
    return StreamingResponse(payload.blocks_later())


async def number(request):
    return PlainTextResponse(request.path_params["number"])


async def file(request):
    return FileResponse(plain.__file__)


def thread(request):
    """Starlette calls this on a thread."""
    return PlainTextResponse("hello")


async def echo(websocket):
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                break
            await websocket.send({**message, "type": "websocket.send"})


@contextlib.asynccontextmanager
async def lifespan(app):
    yield
    print(f"begun: {plain.begun}", flush=True)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", hello),
        Route("/loop", loop),
        Route("/client", client),
        Route("/pid", pid),
        Route("/version", version),
        Route("/work", work),
        Route("/upload", upload, methods=["POST"]),
        Route("/download", download),
        Route("/number/{number}", number),
        Route("/file", file),
        Route("/thread", thread),
        WebSocketRoute("/echo", echo),
    ],
)
