"""A site in plain ASGI: what the rows of servers ask for. Also WebSockets, and it says in the end what it has begun."""

import asyncio
import contextlib
import json
import os

import payload

begun = 0


def loop():
    """Which loop the site is on."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0].encode()


async def body(receive):
    """The parts of a request's body."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def work(seconds=0.01):
    """A request that takes a while."""
    global begun
    begun += 1
    await asyncio.sleep(seconds)
    return b"done"


async def answer(path, scope, receive):
    """What is at a path, if it is short."""
    if path == "/":
        return b"hello"
    if path == "/loop":
        return loop()
    if path == "/client":
        return str(scope["client"][1]).encode()
    if path == "/pid":
        return str(os.getpid()).encode()
    if path == "/version":
        return scope["http_version"].encode()
    if path == "/work":
        return await work()
    if path == "/never":
        while (await receive())["type"] != "http.disconnect":
            pass
    if path == "/upload":
        with contextlib.suppress(ConnectionError):
            return json.dumps(await payload.digest_later(body(receive))).encode()
    if path.startswith("/number/"):
        return path.rpartition("/")[2].encode()
    return None


async def http(scope, receive, send):
    path = scope["path"]
    if path == "/download":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for block in payload.blocks():
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    found = await answer(path, scope, receive)
    headers = [(b"content-length", str(len(found or b"")).encode())]
    await send({"type": "http.response.start", "status": 404 if found is None else 200, "headers": headers})
    await send({"type": "http.response.body", "body": found or b""})


async def websocket(scope, receive, send):
    """Sends each message back."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def lifespan(receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    print(f"begun: {begun}", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await http(scope, receive, send)
