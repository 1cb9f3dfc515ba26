"""soak.py [SECONDS]: aiohttp and websockets under visitors that are slow, cancel, and reset; nothing may grow.

Servers and visitors are on one loop, half of them by TLS. Visitors come in rounds. After each all of them have left: tasks,
descriptors, timers and operations are then as many as before the first, and no connection is left at a server. Memory and
Python's objects are compared at the end with what they were once a quarter of the rounds had passed, since caches fill.

SECONDS are 600, if it is not said. WORLD_SEED replays the choices of a run, though not its timing.
"""

import asyncio
import collections
import contextlib
import ctypes
import gc
import logging
import os
import pathlib
import random
import socket
import ssl
import statistics
import struct
import sys
import tempfile

import aiohttp
from aiohttp import web
from cases import until
from loops import LOOP, check
from tls import Certificate
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import WebSocketException

VISITORS = 40  # at once
MORE_MEMORY, MORE_OBJECTS = 6 << 20, 200  # that there may be at the end: bytes, and Python's objects
CLOSING = 0.3  # seconds for a closing handshake, which a client that has stopped reading never sees; its next ping ends it
BLOCK = bytes(range(256)) * 256
FAILURES = OSError, ssl.SSLError, aiohttp.ClientError, WebSocketException, asyncio.IncompleteReadError, TimeoutError


class Reports(logging.Handler):
    """What asyncio logs as an error. In debug mode that has each handshake that the client has broken off: such are left out."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.found = []
        logging.getLogger("asyncio").addHandler(self)

    def emit(self, record):
        if not record.getMessage().startswith("Error on transport creation for incoming connection"):
            self.found.append(logging.Formatter().format(record))


class Site:
    """An HTTP server of aiohttp's and a server of websockets', with TLS or without."""

    def __init__(self, certificate):
        self.context = certificate and certificate.server()
        self.trust = certificate and certificate.client()

    async def start(self, running):
        application = web.Application(client_max_size=1 << 26)
        application.router.add_get("/bytes/{length}", self.give)
        application.router.add_post("/length", self.take)
        application.router.add_get("/never", self.wait)
        self.runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
        await self.runner.setup()
        running.push_async_callback(self.runner.cleanup)
        await web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context, shutdown_timeout=1).start()
        self.http = self.runner.addresses[0][1]
        server = serve(self.talk, "127.0.0.1", 0, ssl=self.context, close_timeout=CLOSING)
        self.websockets = await running.enter_async_context(server)
        self.ws = self.websockets.sockets[0].getsockname()[1]

    def connections(self):
        return len(self.runner.server.connections) + len(self.websockets.connections)

    async def give(self, request):
        response = web.StreamResponse()
        left = int(request.match_info["length"])
        response.content_length = left
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            while left:
                await response.write(BLOCK[:left])
                left -= len(BLOCK[:left])
        return response

    async def take(self, request):
        return web.Response(text=str(sum([len(chunk) async for chunk in request.content.iter_any()])))

    async def wait(self, request):
        await asyncio.Event().wait()

    async def talk(self, connection):
        """Echoes, until it is told to end in some way."""
        with contextlib.suppress(WebSocketException):
            async for message in connection:
                if message == "close":
                    return
                if message == "abort":
                    connection.transport.abort()
                await connection.send(message)


class Visitor:
    """Comes to one of the sites, and does a few things there, one after the other, until the round is over."""

    def __init__(self, random, site, counts):
        self.random, self.site, self.counts = random, site, counts
        self.url = f"{'https' if site.trust else 'http'}://127.0.0.1:{site.http}"

    async def come(self):
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=self.site.trust or True)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self.session:
            for _ in range(self.random.randrange(1, 8)):
                visit = self.random.choice(
                    [self.get, self.post, self.echo, self.slow_get, self.slow_post, self.slow_echo]
                    + [self.give_up, self.give_up, self.reset, self.reset_websocket, self.time_out, self.be_closed]
                )
                await visit()
                self.counts[visit.__name__] += 1

    def length(self, most=300_000):
        return int(most ** self.random.random())

    async def doze(self):
        await asyncio.sleep(self.random.random() / 100)

    async def get(self, slow=False):
        length = self.length()
        async with self.session.get(f"{self.url}/bytes/{length}") as response:
            found = 0
            async for chunk in response.content.iter_chunked(1 << 14):
                found += len(chunk)
                if slow:
                    await self.doze()
        assert found == length

    async def slow_get(self):
        await self.get(slow=True)

    async def post(self, slow=False):
        length = self.length()

        async def body():
            for first in range(0, length, 1 << 14):
                yield BLOCK[: min(1 << 14, length - first)]
                if slow:
                    await self.doze()

        async with self.session.post(f"{self.url}/length", data=body()) as response:
            assert await response.text() == str(length)

    async def slow_post(self):
        await self.post(slow=True)

    def connect(self):
        address = f"{'wss' if self.site.trust else 'ws'}://127.0.0.1:{self.site.ws}"
        compression = self.random.choice(["deflate", None])
        options = {"max_queue": 2, "close_timeout": CLOSING, "ping_interval": CLOSING, "ping_timeout": None}
        return connect(address, ssl=self.site.trust, compression=compression, **options)

    async def echo(self, slow=False):
        """As many messages on their way as are not read."""
        async with self.connect() as connection:
            lengths = [self.length(1 << 16) for _ in range(self.random.randrange(10))]

            async def write():
                for length in lengths:
                    await connection.send(BLOCK[:length])

            async with asyncio.TaskGroup() as group:
                group.create_task(write())
                for length in lengths:
                    assert len(await connection.recv()) == length
                    if slow:
                        await self.doze()

    async def slow_echo(self):
        await self.echo(slow=True)

    async def give_up(self):
        """A visit of another kind, cancelled wherever it is."""
        visit = self.random.choice([self.get, self.slow_get, self.slow_post, self.echo, self.slow_echo, self.never])
        task = asyncio.create_task(visit())
        await asyncio.sleep(self.random.random() ** 3 / 10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def never(self):
        async with self.session.get(f"{self.url}/never"):
            raise AssertionError("it has answered")

    async def time_out(self):
        try:
            async with asyncio.timeout(self.random.random() / 50):
                await self.never()
        except TimeoutError:
            pass

    async def reset(self):
        """A request, or its beginning, on a connection that ends by RST, its answer read or not."""
        with contextlib.suppress(*FAILURES):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.site.http, ssl=self.site.trust)
            request = b"GET /bytes/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.length(1 << 22)
            writer.write(request if self.random.random() < 0.7 else request[: self.random.randrange(len(request))])
            if self.random.random() < 0.5:
                await self.doze()
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            await writer.wait_closed()

    async def reset_websocket(self):
        """Messages, and then no more of the connection."""
        with contextlib.suppress(*FAILURES):
            async with self.connect() as connection:
                for _ in range(self.random.randrange(5)):
                    await connection.send(BLOCK)
                connection.transport.abort()

    async def be_closed(self):
        """The server ends it, with a closing handshake or without."""
        with contextlib.suppress(*FAILURES):
            async with self.connect() as connection:
                await connection.send(BLOCK[: self.length(1 << 16)])
                await connection.send(self.random.choice(["close", "abort"]))
                async for _ in connection:
                    await self.doze()


def held():
    """What there is of things that may not become more."""
    statistics = asyncio.get_running_loop().stats() if LOOP == "ringport" else {}
    counted = {name: statistics[name] for name in ("timers_pending", "operations_in_flight") if name in statistics}
    return {"tasks": len(asyncio.all_tasks()), "descriptors": len(os.listdir("/proc/self/fd"))} | counted


def weighed():
    """Memory, of which the allocator gives back what it can, and objects."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    resident = int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    return resident, len(gc.get_objects())


async def one_round(seconds, sites, chosen, counts):
    """Visitors for so long, until all have left."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def visits():
        while loop.time() < end:
            await Visitor(chosen, chosen.choice(sites), counts).come()

    async with asyncio.TaskGroup() as group:
        for _ in range(VISITORS):
            group.create_task(visits())


async def soak(seconds, seed):
    check()
    chosen, counts, reports, samples = random.Random(seed), collections.Counter(), Reports(), []
    rounds = 40 if seconds >= 120 else 8
    async with contextlib.AsyncExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory())
        sites = [Site(None), Site(Certificate(pathlib.Path(folder)))]
        for site in sites:
            await site.start(running)
        gc.collect()
        gc.freeze()  # what there is until now is neither looked at nor counted
        before = held()

        def quiet():
            gc.collect()
            now = held()
            return not any(site.connections() for site in sites) and all(now[name] <= before[name] for name in now)

        for number in range(rounds):
            await one_round(seconds / rounds, sites, chosen, counts)
            try:
                await until(quiet, patience=30)
            except AssertionError:
                left = [site.connections() for site in sites], asyncio.all_tasks()
                sys.exit(f"seed {seed}: {before} became {held()}; {left}")
            samples.append(weighed())
            if number % 4 == 3:
                print(f"{sum(counts.values()):7} visits: {samples[-1][0] >> 10} KiB, {samples[-1][1]} objects", flush=True)
    quarter = rounds // 4
    early, late = (
        [statistics.median(column) for column in zip(*part, strict=True)]
        for part in (samples[quarter : 2 * quarter], samples[-quarter:])
    )
    memory, objects = late[0] - early[0], late[1] - early[1]
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{sum(counts.values())} visits ({kinds}); still {before}")
    print(f"memory {early[0] / 1e6:.1f} -> {late[0] / 1e6:.1f} MB, objects {early[1]:.0f} -> {late[1]:.0f}, seed {seed}")
    assert not reports.found, f"seed {seed}: asyncio has reported\n" + "\n".join(reports.found[:5])
    assert memory <= MORE_MEMORY and objects <= MORE_OBJECTS, f"seed {seed}: {memory} bytes and {objects} objects more"


if __name__ == "__main__":
    chosen = int(os.environ.get("WORLD_SEED", random.randrange(1 << 32)))
    asyncio.run(soak(float(sys.argv[1]) if sys.argv[1:] else 600, chosen))
