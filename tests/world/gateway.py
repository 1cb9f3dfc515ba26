"""A chat service as discord.py knows it, made up: its gateway over WebSockets with zlib-stream, and a little of its REST.

The gateway says hello, and takes identify, heartbeat and resume. A session keeps what it has sent, to send again what a
client that resumes has missed.
"""

import contextlib
import json
import zlib

from aiohttp import WSMsgType, web

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
TOKEN = "a token"
INTERVAL = 0.05  # seconds between heartbeats
CHANNEL, GUILD = "200", "100"


def user(number):
    return {"id": str(number), "username": f"user {number}", "discriminator": "0", "avatar": None, "bot": True}


def message(number, text, author):
    return {
        "id": str(number),
        "channel_id": CHANNEL,
        "guild_id": GUILD,
        "author": user(author),
        "content": text,
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
    }


def answer(data, status=200):
    """An answer of REST. discord.py wants no charset in its type."""
    return web.Response(body=json.dumps(data).encode(), content_type="application/json", status=status)


class Session:
    """What a client has from identify on, over all of its connections."""

    def __init__(self, number):
        self.id = f"session {number}"
        self.sent = []  # dispatches, in order: the sequence of the first is 1
        self.connection = None

    async def dispatch(self, kind, data):
        """An event. If nobody is connected it is sent when the client resumes."""
        self.sent.append({"op": DISPATCH, "t": kind, "s": len(self.sent) + 1, "d": data})
        if self.connection:
            await self.connection.send(self.sent[-1])


class Connection:
    """A WebSocket with one stream of zlib for all messages."""

    def __init__(self, socket, transport):
        self.socket = socket
        self.transport = transport
        self.deflate = zlib.compressobj()

    async def send(self, data):
        """One message of the gateway, in two of the WebSocket: the second has the end of zlib's block."""
        packed = self.deflate.compress(json.dumps(data).encode()) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        with contextlib.suppress(ConnectionError):
            await self.socket.send_bytes(packed[:-5])
            await self.socket.send_bytes(packed[-5:])


class Gateway:
    """The service. `counts` has how many of each kind of message have come."""

    def __init__(self):
        self.sessions = {}
        self.posted = []
        self.counts = dict.fromkeys((HEARTBEAT, IDENTIFY, RESUME), 0)

    async def __aenter__(self):
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self.connect),
                web.get("/api/v10/users/@me", self.me),
                web.get("/api/v10/oauth2/applications/@me", self.application),
                web.get("/api/v10/applications/@me", self.application),
                web.post(f"/api/v10/channels/{CHANNEL}/messages", self.post),
            ]
        )
        self.runner = web.AppRunner(app, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    # ---- REST ----

    async def me(self, request):
        if request.headers["Authorization"] != f"Bot {TOKEN}":
            return answer({"message": "401: Unauthorized", "code": 0}, status=401)
        return answer(user(1))

    async def application(self, request):
        data = {"id": "300", "name": "bot", "icon": None, "description": "", "verify_key": "", "flags": 0}
        return answer({**data, "bot_public": True, "bot_require_code_grant": False, "owner": user(2)})

    async def post(self, request):
        data = await request.json()
        self.posted.append(data["content"])
        return answer(message(10_000_000 + len(self.posted), data["content"], 1))

    # ---- the gateway ----

    async def connect(self, request):
        assert request.query["compress"] == "zlib-stream"
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        await connection.send({"op": HELLO, "d": {"heartbeat_interval": INTERVAL * 1000}, "s": None, "t": None})
        session = None
        async for received in socket:
            if received.type is not WSMsgType.TEXT:
                break
            data = json.loads(received.data)
            self.counts[data["op"]] += 1
            if data["op"] == HEARTBEAT:
                await connection.send({"op": ACK, "d": None, "s": None, "t": None})
            elif data["op"] == IDENTIFY:
                session = await self.identify(connection, data["d"])
            elif data["op"] == RESUME:
                session = await self.resume(connection, data["d"])
        if session and session.connection is connection:
            session.connection = None
        return socket

    async def identify(self, connection, data):
        if data["token"] != TOKEN:
            await connection.socket.close(code=4004)
            return None
        session = Session(len(self.sessions))
        self.sessions[session.id] = session
        session.connection = connection
        ready = {
            "v": 10,
            "user": user(1),
            "guilds": [{"id": GUILD, "unavailable": True}],
            "session_id": session.id,
            "resume_gateway_url": f"ws://127.0.0.1:{self.port}/",
            "application": {"id": "300", "flags": 0},
        }
        await session.dispatch("READY", ready)
        return session

    async def resume(self, connection, data):
        session = self.sessions.get(data["session_id"])
        if session is None or data["token"] != TOKEN:
            await connection.send({"op": INVALID, "d": False, "s": None, "t": None})
            return None
        session.connection, position = None, data["seq"]
        while position < len(session.sent):
            await connection.send(session.sent[position])
            position += 1
        session.connection = connection
        await session.dispatch("RESUMED", {})
        return session

    # ---- what may happen to a client ----

    async def ask_to_reconnect(self, session):
        await session.connection.send({"op": RECONNECT, "d": None, "s": None, "t": None})

    def break_off(self, session):
        """Resets its connection, as a router may."""
        connection, session.connection = session.connection, None
        connection.transport.abort()

    async def invalidate(self, session):
        """The client has to identify itself anew."""
        del self.sessions[session.id]
        await session.connection.send({"op": INVALID, "d": False, "s": None, "t": None})

    async def close(self, session, code):
        connection, session.connection = session.connection, None
        await connection.socket.close(code=code)
