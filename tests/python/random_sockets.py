"""Random scenarios of readers, writers and operations on sockets, among callbacks: what is told in which turn.

Nothing comes from outside: the peers are sockets of the scenario's own. What asyncio cannot do is left out: a reader and an
operation, or two operations, that wait for the same socket and direction.
"""

import contextvars
import socket

import random_callbacks

PAIRS = 1  # whose descriptors are told of first is not defined

TABLE = {
    "soon": (5, "b"),
    "now": (1, "b"),
    "send": (8, "nn"),
    "end": (1, "n"),
    "reader": (4, "nb"),
    "remove_reader": (1, "n"),
    "writer": (2, "nnb"),
    "remove_writer": (1, "n"),
    "recv": (6, "nn"),
    "sendall": (3, "nn"),
    "drain": (4, "n"),
    "cancel_task": (3, "n"),
}


def generate(random):
    return [step for _ in range(5) for step in random_callbacks.body(random, {"b": TABLE}, "b", 3)]


class Scenario(random_callbacks.Scenario):
    def play(self):
        self.pairs = [socket.socketpair() for _ in range(PAIRS)]
        for ours, theirs in self.pairs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            ours.setblocking(False)
            theirs.setblocking(False)
        self.receives = [None] * PAIRS  # what waits to receive from each: "reader", "operation" or None
        self.sends = [None] * PAIRS
        try:
            events = super().play()
            for ours, _ in self.pairs:
                self.loop.remove_reader(ours)
                self.loop.remove_writer(ours)
            return events
        finally:
            for pair in self.pairs:
                for sock in pair:
                    sock.close()

    def outcome(self, future):
        return super().outcome(future) if not future.done() or future.cancelled() else "done"

    def do_send(self, n, count):
        try:
            self.pairs[n % PAIRS][1].send(bytes(range(count)))
        except OSError as error:
            self.event("send", repr(error))

    def do_end(self, n):
        self.pairs[n % PAIRS][1].shutdown(socket.SHUT_WR)

    def do_drain(self, n):
        total = 0
        try:
            while data := self.pairs[n % PAIRS][1].recv(1 << 20):
                total += len(data)
        except BlockingIOError:
            self.event("drained", total)

    def do_reader(self, n, steps):
        n %= PAIRS
        if self.receives[n] == "operation":
            return
        name = self.name()
        ours = self.pairs[n][0]
        rest = [steps]  # only once: else there might be no end

        def readable():
            try:
                data = ours.recv(3)
            except BlockingIOError as error:
                data = repr(error)
            self.event("readable", name, data)
            if not data:
                self.do_remove_reader(n)
            self.do(rest.pop() if rest else [])

        self.receives[n] = "reader"
        self.loop.add_reader(ours, readable)

    def do_remove_reader(self, n):
        n %= PAIRS
        if self.receives[n] == "reader":
            self.receives[n] = None
            self.event("removed", self.loop.remove_reader(self.pairs[n][0]))

    def do_writer(self, n, count, steps):
        n %= PAIRS
        if self.sends[n] == "operation":
            return
        name = self.name()
        left = count % 3
        rest = [steps]

        def writable():
            nonlocal left
            self.event("writable", name)
            left -= 1
            if left < 0:
                self.do_remove_writer(n)
            self.do(rest.pop() if rest else [])

        self.sends[n] = "writer"
        self.loop.add_writer(self.pairs[n][0], writable)

    def do_remove_writer(self, n):
        n %= PAIRS
        if self.sends[n] == "writer":
            self.sends[n] = None
            self.event("removed", self.loop.remove_writer(self.pairs[n][0]))

    def do_recv(self, n, count):
        n %= PAIRS
        if self.receives[n] is None:
            self.receives[n] = "operation"
            self.tasks.append(self.loop.create_task(self.receive(n, count)))
            self.tasks[-1].add_done_callback(lambda _: self.free(self.receives, n))

    async def receive(self, n, count):
        name = self.name()
        self.event("receives", name)
        try:
            self.event("received", name, await self.loop.sock_recv(self.pairs[n][0], count))
        except BaseException as error:
            self.event("received", name, repr(error))
            raise

    def do_sendall(self, n, count):
        n %= PAIRS
        if self.sends[n] is None:
            self.sends[n] = "operation"
            self.tasks.append(self.loop.create_task(self.send_all(n, count)))
            self.tasks[-1].add_done_callback(lambda _: self.free(self.sends, n))

    async def send_all(self, n, count):
        name = self.name()
        self.event("sends", name)
        try:
            await self.loop.sock_sendall(self.pairs[n][0], bytes(10 if count < 4 else 40_000))
            self.event("sent", name)
        except BaseException as error:
            self.event("sent", name, repr(error))
            raise

    def free(self, users, n):
        # A turn later, asyncio has ended the operation too.
        self.loop.call_soon(users.__setitem__, n, None)


def play(loop, steps):
    return contextvars.Context().run(Scenario(loop, steps).play)
