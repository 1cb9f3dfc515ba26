"""Random scenarios of a transport, or of asyncio's streams over one, whose peer is a socket of the scenario's own.

What the protocol or the streams are told is compared, and in which turn, and the bytes that the peer gets.
Turns may differ in which buffered bytes are sent, and that of connection_lost() after a close() with bytes in the buffer.
So from when the peer makes room, or from such a close, no turns are told apart and no steps are done; the peer takes all
there is, and it goes on when the loop is quiet again.
"""

import asyncio
import contextvars
import socket
import zlib

import random_callbacks

SIZES = 0, 1, 5, 100, 3000, 10_000, 40_000, 100_000
LIMITS = 0, 1, 10, 1000, 5000, 20_000, 100_000, None
SETTLED = 40  # turns, after which nothing goes on that was begun before
PATTERN = bytes(range(251)) * (2 + SIZES[-1] // 251)

PEER = {
    "send": (8, "n"),
    "take": (5, "n"),
    "end": (1, ""),
    "vanish": (1, ""),
}
TRANSPORT = {
    "write": (8, "n"),
    "writelines": (2, "nn"),
    "write_eof": (1, ""),
    "pause": (3, ""),
    "resume": (4, ""),
    "close": (1, ""),
    "abort": (1, ""),
    "limits": (3, "nn"),
    "ask": (3, ""),
}
PROTOCOL = PEER | TRANSPORT | {
    "soon": (4, "b"),
    "now": (1, "b"),
    "on": (14, "nb"),
    "protocol": (3, "n"),
    "keep": (1, "n"),
    "raise": (1, ""),
}
STREAMS = PEER | TRANSPORT | {
    "soon": (3, "b"),
    "task": (14, "a"),
    "cancel_task": (4, "n"),
}
INSIDE = {
    "plain": (6, "b"),
    "sleep0": (3, ""),
    "read": (6, "n"),
    "read_all": (1, ""),
    "readline": (4, ""),
    "readexactly": (4, "n"),
    "readuntil": (2, "n"),
    "drain": (6, ""),
    "wait_closed": (2, ""),
    "catch": (4, "a"),
}


def generate(random):
    return [step for _ in range(5) for step in random_callbacks.body(random, {"b": PROTOCOL}, "b", 3)]


def generate_streams(random):
    tables = {"b": STREAMS, "a": INSIDE}
    return [step for _ in range(5) for step in random_callbacks.body(random, tables, "b", 3)]


def digest(data):
    return len(data), zlib.crc32(data)


class Told:
    """What all protocols have in common."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.name = scenario.name()

    def tell(self, what, *arguments):
        self.scenario.told(what, self.name, *arguments)

    def connection_made(self, transport):
        self.tell("made")

    def eof_received(self):
        self.tell("eof")
        if not self.scenario.keeps:
            self.scenario.closes()
        return self.scenario.keeps

    def pause_writing(self):
        self.tell("pause")

    def resume_writing(self):
        self.tell("resume")

    def connection_lost(self, error):
        self.tell("lost", repr(error))


class Protocol(Told, asyncio.Protocol):
    def data_received(self, data):
        self.tell("data", *digest(data))


class BufferedProtocol(Told, asyncio.BufferedProtocol):
    def __init__(self, scenario, size):
        super().__init__(scenario)
        self.buffer = bytearray(size)

    def get_buffer(self, hint):
        return self.buffer

    def buffer_updated(self, count):
        self.tell("data", *digest(self.buffer[:count]))


EVENTS = "data", "data", "data", "data", "eof", "pause", "resume", "lost"


class Scenario(random_callbacks.Scenario):
    def play(self):
        self.ours, self.theirs = socket.socketpair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)  # a single read takes it all
        self.theirs.setblocking(False)
        self.transport = None
        self.on = {}  # event: what is done the next time that it is told
        self.keeps = self.gone = False
        self.vague = False
        self.settling = self.turns = self.since_data = 0
        self.sent = self.written = 0
        connecting = self.loop.create_task(self.connect())
        try:
            events = super().play()
            connecting.result()
            if not self.gone:
                self.transport.abort()
                self.turn()
            return events
        finally:
            self.theirs.close()

    async def connect(self):
        self.transport, _ = await self.loop.create_unix_connection(lambda: Protocol(self), sock=self.ours)

    def tick(self):
        super().tick()
        self.since_data += 1
        if self.vague:
            self.events.pop()
            self.settle()

    def begin_vague(self):
        self.vague = self.drains = True
        self.rest = 0, 0

    def settle(self):
        self.quiet = 0
        self.settling += 1
        if self.settling == SETTLED:
            self.settling = 0
            self.vague = self.drains  # for a whole round there has been nothing to drain
            self.drains = bool(self.buffered())
            if not self.vague and self.transport.is_closing():
                self.gone = True  # asyncio's transport does not always know that it has ended
        elif self.settling > SETTLED // 2:
            self.rest = self.received(1 << 20, self.rest)
        if not self.vague:
            self.event("settled", self.rest)

    def clear(self, steps):
        for step in steps:
            if not self.vague:
                yield step

    def do(self, steps):
        super().do(self.clear(steps))

    async def inside(self, steps):
        return await super().inside(self.clear(steps))

    def next(self):
        self.turns = 0 if self.vague else self.turns + 1
        if self.vague or self.turns % 3:  # what a step has caused is told before the next step
            self.loop.call_soon(self.next)
        else:
            super().next()

    def failed(self, loop, context):
        message = "callback" if "handle" in context else context["message"]
        self.event("failed", message, repr(context.get("exception")), sorted(context))

    def told(self, what, *arguments):
        if what == "data":
            self.since_data = 0
        self.event(what, *arguments)
        self.do(self.on.pop(what, []))

    # ---- the peer ----

    def received(self, most, before=(0, 0)):
        """Adds to the length and checksum of what came before."""
        length, checksum = before
        try:
            while length - before[0] < most and (data := self.theirs.recv(most - length + before[0])):
                length, checksum = length + len(data), zlib.crc32(data, checksum)
        except OSError as error:
            if not self.vague:
                self.event("take", repr(error))
        return length, checksum

    def ends(self):
        """Whether the socket is closed, or will be in some turn: the peer acts no more."""
        return self.transport is not None and self.transport.is_closing()

    def do_send(self, n):
        if self.ends() or self.since_data == 1:  # ringport may look for more in the turn after it has received
            return
        start = self.sent % 251
        try:
            count = self.theirs.send(PATTERN[start : start + SIZES[n]])
            self.sent += count
            self.event("sent", count)
        except OSError as error:
            self.event("sent", repr(error))

    def do_take(self, n):
        if self.ends():
            return
        self.event("taken", *self.received(max(SIZES[n], 1)))
        if self.buffered():
            self.begin_vague()

    def do_end(self):
        if self.ends():
            return
        try:
            self.theirs.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.event("end", repr(error))

    def do_vanish(self):
        # With bytes in the buffer, whether the end or the failed write comes first depends on the backend.
        if not self.buffered() and not self.ends():
            self.theirs.close()

    # ---- the transport ----

    def call(self, name, *arguments):
        if not self.transport or self.gone:
            return
        try:
            self.event(name, getattr(self.transport, name)(*arguments))
        except (RuntimeError, ValueError) as error:
            self.event(name, type(error).__name__)  # the words differ between versions of asyncio

    def piece(self, n):
        start = self.written % 251
        self.written += SIZES[n]
        return PATTERN[start : start + SIZES[n]]

    def do_write(self, n):
        self.call("write", self.piece(n))

    def do_writelines(self, *pieces):
        self.call("writelines", [self.piece(n) for n in pieces])

    def do_write_eof(self):
        self.call("write_eof")

    def do_pause(self):
        self.call("pause_reading")

    def do_resume(self):
        self.call("resume_reading")

    def buffered(self):
        return self.transport and self.transport.get_write_buffer_size()

    def closes(self):
        if self.buffered() and not self.transport.is_closing():
            self.begin_vague()

    def do_close(self):
        self.closes()
        self.call("close")

    def do_abort(self):
        self.call("abort")

    def do_limits(self, high, low):
        self.call("set_write_buffer_limits", LIMITS[high], LIMITS[low])

    def do_ask(self):
        for name in "is_closing", "is_reading", "get_write_buffer_size", "get_write_buffer_limits":
            self.call(name)

    def do_on(self, n, steps):
        self.on[EVENTS[n]] = steps

    def do_protocol(self, n):
        room = max(SIZES[n], 10_000)  # all is read before the peer drains
        protocol = Protocol(self) if n % 2 else BufferedProtocol(self, room)
        self.call("set_protocol", protocol)

    def do_keep(self, n):
        self.keeps = bool(n % 2)


class Streams(Scenario):
    async def connect(self):
        self.reader, self.writer = await asyncio.open_unix_connection(sock=self.ours, limit=2000)
        self.transport = self.writer.transport

    async def in_read(self, n):
        return digest(await self.reader.read(SIZES[n]))

    async def in_read_all(self):
        return digest(await self.reader.read())

    async def in_readline(self):
        return digest(await self.reader.readline())

    async def in_readexactly(self, n):
        return digest(await self.reader.readexactly(SIZES[n]))

    async def in_readuntil(self, n):
        return digest(await self.reader.readuntil(PATTERN[n : n + 2]))

    async def in_drain(self):
        await self.writer.drain()

    async def in_wait_closed(self):
        await self.writer.wait_closed()


def play(loop, steps):
    return contextvars.Context().run(Scenario(loop, steps).play)


def play_streams(loop, steps):
    return contextvars.Context().run(Streams(loop, steps).play)
