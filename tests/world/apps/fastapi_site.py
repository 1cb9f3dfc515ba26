"""The same site with FastAPI, which also has a model that is checked, dependencies, and work in the background."""

import contextlib
import os
from typing import Annotated

import payload
from apps import plain
from fastapi import BackgroundTasks, Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect


@contextlib.asynccontextmanager
async def lifespan(app):
    yield
    print(f"begun: {plain.begun}", flush=True)


app = FastAPI(lifespan=lifespan, default_response_class=PlainTextResponse)
noted = []


class Item(BaseModel):
    name: str
    price: float


async def doubled(number: int):
    yield 2 * number


@app.get("/")
async def hello():
    return "hello"


@app.get("/loop")
async def loop():
    return plain.loop()


@app.get("/client")
async def client(request: Request):
    return str(request.client.port)


@app.get("/pid")
async def pid():
    return str(os.getpid())


@app.get("/work")
async def work():
    return await plain.work()


@app.post("/upload")
async def upload(request: Request):
    try:
        return JSONResponse(await payload.digest_later(request.stream()))
    except ClientDisconnect:
        return PlainTextResponse("", 400)


@app.get("/download")
async def download():
    return StreamingResponse(payload.blocks_later())


@app.get("/number/{number}")
async def number(number: int):
    return str(number)


@app.get("/file")
async def file():
    return FileResponse(plain.__file__)


@app.get("/thread")
def thread():
    """FastAPI calls this on a thread."""
    return "hello"


@app.post("/items")
async def add(item: Item, background: BackgroundTasks):
    background.add_task(noted.append, item.name)
    return item.name


@app.get("/items")
async def items():
    return ",".join(noted)


@app.get("/doubled/{number}")
async def double(found: Annotated[int, Depends(doubled)]):
    return str(found)


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                break
            await websocket.send({**message, "type": "websocket.send"})
