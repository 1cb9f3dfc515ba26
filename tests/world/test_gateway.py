"""discord.py and clients of websockets' at a made-up gateway: identify, heartbeats, zlib-stream, resume, reconnect."""

import asyncio
import contextlib

import discord
import gateway
import pytest
import yarl
from cases import on_loop, until
from gateway_client import Client
from loops import check, size

PACKAGES = ["discord.py", "websockets", "aiohttp"]


class Bot(discord.Client):
    """Answers each message, and notes what has happened to it."""

    def __init__(self):
        super().__init__(intents=discord.Intents.default(), max_ratelimit_timeout=30)
        self.events = []
        self.heard = []

    async def on_connect(self):
        check()
        self.events.append("connect")

    async def on_disconnect(self):
        self.events.append("disconnect")

    async def on_resumed(self):
        self.events.append("resumed")

    async def on_message(self, message):
        self.heard.append(message.content)
        if message.content.startswith("ask"):
            channel = self.get_partial_messageable(int(gateway.CHANNEL))
            await channel.send(f"answer to {message.content}")


@contextlib.asynccontextmanager
async def running(monkeypatch, count=1):
    """A service, and bots that are connected to it."""
    async with gateway.Gateway() as service, contextlib.AsyncExitStack() as stack:
        monkeypatch.setattr(discord.http.Route, "BASE", f"http://127.0.0.1:{service.port}/api/v10")
        url = yarl.URL(f"ws://127.0.0.1:{service.port}/")
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", url)
        bots = [await stack.enter_async_context(Bot()) for _ in range(count)]
        tasks = [asyncio.create_task(bot.start(gateway.TOKEN)) for bot in bots]
        await until(lambda: any(task.done() for task in tasks) or all("connect" in bot.events for bot in bots))
        await asyncio.gather(*(task for task in tasks if task.done()))
        yield service, bots
        for bot in bots:
            await bot.close()
        await asyncio.gather(*tasks)


async def say(session, first, count):
    """Messages from somebody."""
    for number in range(first, first + count):
        await session.dispatch("MESSAGE_CREATE", gateway.message(number, f"message {number}", 3))


def expected(count):
    return [f"message {number}" for number in range(1, count + 1)]


@on_loop
async def test_dispatches(monkeypatch):
    count = size(5000, 500)
    async with running(monkeypatch) as (service, [bot]):
        [session] = service.sessions.values()
        await say(session, 1, count)
        await until(lambda: len(bot.heard) == count)
        assert bot.heard == expected(count)


@on_loop
async def test_heartbeats(monkeypatch):
    """A thread of the library's has the loop send them."""
    async with running(monkeypatch) as (service, [bot]):
        await until(lambda: service.counts[gateway.HEARTBEAT] >= 10)
        await until(lambda: bot.latency < 60)
        assert bot.events == ["connect"]


@on_loop
async def test_answers(monkeypatch):
    async with running(monkeypatch) as (service, [bot]):
        [session] = service.sessions.values()
        for number in range(20):
            await session.dispatch("MESSAGE_CREATE", gateway.message(1 + number, f"ask {number}", 3))
        await until(lambda: len(service.posted) == 20)
        assert sorted(service.posted) == sorted(f"answer to ask {number}" for number in range(20))


@on_loop
async def test_reconnecting_when_asked(monkeypatch):
    async with running(monkeypatch) as (service, [bot]):
        [session] = service.sessions.values()
        for turn in range(5):
            await say(session, 1 + 100 * turn, 50)
            await service.ask_to_reconnect(session)
            await say(session, 51 + 100 * turn, 50)
            await until(lambda: bot.events.count("resumed") == turn + 1)
        await until(lambda: len(bot.heard) == 500)
        assert sorted(bot.heard) == sorted(expected(500))
        assert service.counts[gateway.IDENTIFY] == 1


@on_loop
async def test_resuming_after_a_break(monkeypatch):
    """What was sent while nobody was connected comes when the client is back, each message once."""
    async with running(monkeypatch) as (service, [bot]):
        [session] = service.sessions.values()
        for turn in range(5):
            await say(session, 1 + 20 * turn, 10)
            await until(lambda: len(bot.heard) == 20 * turn + 10)
            service.break_off(session)
            await say(session, 11 + 20 * turn, 10)
            await until(lambda: bot.events.count("resumed") == turn + 1)
            await until(lambda: len(bot.heard) == 20 * turn + 20)
        assert bot.heard == expected(100)
        assert service.counts[gateway.IDENTIFY] == 1


@on_loop
async def test_a_session_that_is_invalid(monkeypatch):
    async with running(monkeypatch) as (service, [bot]):
        [session] = service.sessions.values()
        await service.invalidate(session)
        await until(lambda: bot.events.count("connect") == 2)
        assert service.counts[gateway.IDENTIFY] == 2


@on_loop
async def test_a_close_that_can_be_resumed(monkeypatch):
    async with running(monkeypatch) as (service, [bot]):
        [session] = service.sessions.values()
        await service.close(session, 4009)
        await until(lambda: "resumed" in bot.events)


@on_loop
async def test_a_token_that_is_refused(monkeypatch):
    async with running(monkeypatch):
        async with Bot() as bot:
            with pytest.raises(discord.LoginFailure):
                await bot.start("another token")


@on_loop
async def test_many_bots(monkeypatch):
    count = size(50, 10)
    async with running(monkeypatch, count) as (service, bots):
        assert len(service.sessions) == count
        for turn in range(10):
            await asyncio.gather(*(say(session, 1 + 10 * turn, 10) for session in service.sessions.values()))
            for number, session in enumerate(service.sessions.values()):
                if number % 3 == turn % 3 and session.connection:
                    service.break_off(session)
        await until(lambda: all(len(set(bot.heard)) == 100 for bot in bots))
        assert all(sorted(bot.heard) == sorted(expected(100)) for bot in bots)


@contextlib.asynccontextmanager
async def connected(count=1):
    """A service, and clients of websockets' that have identified themselves."""
    async with gateway.Gateway() as service:
        clients = [Client(service.port) for _ in range(count)]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: any(task.done() for task in tasks) or all(client.session for client in clients))
        await asyncio.gather(*(task for task in tasks if task.done()))
        yield service, clients
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task


@on_loop
async def test_websockets_that_are_dropped():
    """By a reset, an order to reconnect and a close, in turns: each message comes once, and in order."""
    count = size(50, 10)

    async def drop(service, session, how):
        await say(session, 1 + len(session.sent), 10)
        match how % 3:
            case 0:
                service.break_off(session)
            case 1:
                await service.ask_to_reconnect(session)
            case 2:
                await service.close(session, 4009)
        await say(session, 1 + len(session.sent), 10)

    async with connected(count) as (service, clients):
        sessions = list(service.sessions.values())
        for turn in range(9):
            await asyncio.gather(*(drop(service, session, turn + number) for number, session in enumerate(sessions)))
            await until(lambda: all(client.resumed == turn + 1 for client in clients))
        for session, client in zip(sessions, clients):
            messages = [sent["d"]["content"] for sent in session.sent if sent["t"] == "MESSAGE_CREATE"]
            await until(lambda: len(client.heard) >= len(messages))
            assert len(messages) == 180 and client.heard == messages
        assert service.counts[gateway.IDENTIFY] == count


@on_loop
async def test_websockets_send_heartbeats():
    async with connected() as (service, [client]):
        await until(lambda: client.acknowledged >= 10)
        assert service.counts[gateway.HEARTBEAT] >= 10 and client.resumed == 0


@on_loop
async def test_websockets_identify_anew():
    async with connected() as (service, [client]):
        [session] = service.sessions.values()
        await service.invalidate(session)
        await until(lambda: client.identified == 2)
        [session] = service.sessions.values()
        await say(session, 1, 10)
        await until(lambda: client.heard == expected(10))
