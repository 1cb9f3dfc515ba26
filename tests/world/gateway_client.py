"""A client of the gateway's by the library websockets: it identifies itself, sends heartbeats, and resumes."""

import asyncio
import contextlib
import json
import zlib

import gateway
from loops import check
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

END = b"\x00\x00\xff\xff"  # of a message in the stream of zlib


class Client:
    """`heard` has the contents of messages, in order. The rest counts."""

    def __init__(self, port):
        self.url = f"ws://127.0.0.1:{port}/?compress=zlib-stream"
        self.heard = []
        self.acknowledged = self.identified = self.resumed = 0
        self.session = None
        self.sequence = 0

    async def run(self):
        """Connects, and again when the connection is lost, until it is cancelled.

        Without a bound, its queue never keeps it from reading the end of a handshake.
        """
        check()
        async for connection in connect(self.url, compression=None, max_size=None, max_queue=None):
            async with connection:
                with contextlib.suppress(ConnectionClosedError):
                    await self.talk(connection)

    async def talk(self, connection):
        """Takes what comes. To be asked to reconnect ends it."""
        async with contextlib.AsyncExitStack() as stack:
            async for message in messages(connection):
                match message["op"]:
                    case gateway.HELLO:
                        await stack.enter_async_context(beating(connection, message["d"]["heartbeat_interval"] / 1000))
                        await self.introduce(connection)
                    case gateway.ACK:
                        self.acknowledged += 1
                    case gateway.DISPATCH:
                        self.sequence = message["s"]
                        self.take(message["t"], message["d"])
                    case gateway.INVALID:
                        self.session = None
                        await self.introduce(connection)
                    case gateway.RECONNECT:
                        return await connection.close(4000)

    async def introduce(self, connection):
        if self.session:
            data = {"token": gateway.TOKEN, "session_id": self.session, "seq": self.sequence}
            await send(connection, gateway.RESUME, data)
        else:
            await send(connection, gateway.IDENTIFY, {"token": gateway.TOKEN})

    def take(self, kind, data):
        if kind == "READY":
            self.session = data["session_id"]
            self.identified += 1
        elif kind == "RESUMED":
            self.resumed += 1
        else:
            self.heard.append(data["content"])


async def send(connection, operation, data):
    await connection.send(json.dumps({"op": operation, "d": data}))


async def messages(connection):
    """What the gateway sends. A message of its may come in several of the WebSocket's."""
    inflate, packed = zlib.decompressobj(), b""
    async for part in connection:
        packed += part
        if packed.endswith(END):
            yield json.loads(inflate.decompress(packed))
            packed = b""


@contextlib.asynccontextmanager
async def beating(connection, interval):
    """Sends heartbeats meanwhile."""

    async def beat():
        with contextlib.suppress(ConnectionClosedError):
            while True:
                await send(connection, gateway.HEARTBEAT, None)
                await asyncio.sleep(interval)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
