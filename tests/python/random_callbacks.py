"""Random scenarios of callbacks, timers, futures and tasks: what runs in which turn.

Time decides nothing. Timers are due in the past, or never, or the scenario waits until they are due before the turn ends.
A ticker tells the turns apart.
"""

import asyncio
import contextvars
import threading

variable = contextvars.ContextVar("variable", default=0)

# How often a step is chosen; b: a body of steps, a: one of a task's, n: a number.
PLAIN = {
    "soon": (8, "b"),
    "threadsafe": (2, "b"),
    "thread": (1, "b"),
    "past": (3, "nb"),
    "now": (2, "b"),
    "far": (2, "nb"),
    "timers": (2, "nbbb"),
    "cancel": (4, "n"),
    "future": (4, ""),
    "result": (4, "n"),
    "fail": (2, "n"),
    "cancel_future": (2, "n"),
    "callback": (3, "nb"),
    "task": (6, "a"),
    "cancel_task": (3, "n"),
    "set_event": (2, "n"),
    "set": (2, "n"),
    "context": (1, "nb"),
    "raise": (1, ""),
    "stop": (1, ""),
}
INSIDE = {
    "plain": (8, "b"),
    "sleep0": (6, ""),
    "sleep": (3, ""),
    "await": (5, "n"),
    "await_task": (3, "n"),
    "gather": (2, "naa"),
    "wait": (1, "nnn"),
    "wait_for": (3, "nn"),
    "timeout": (2, "a"),
    "shield": (1, "n"),
    "group": (2, "aa"),
    "event": (2, "n"),
    "lock": (3, "na"),
    "put": (2, "n"),
    "get": (2, "n"),
    "catch": (3, "a"),
    "finally": (2, "aa"),
    "generator": (1, "n"),
    "raise": (1, ""),
}


def body(random, tables, kind, depth):
    """Steps of that kind: of the table that has its name."""
    table = tables[kind]
    steps = []
    for _ in range(random.randrange(1, 5) if depth else 0):
        name = random.choices(list(table), [weight for weight, _ in table.values()])[0]
        arguments = (random.randrange(8) if k == "n" else body(random, tables, k, depth - 1) for k in table[name][1])
        steps.append((name, *arguments))
    return steps


def generate(random):
    tables = {"b": PLAIN, "a": INSIDE}
    return [step for _ in range(4) for step in body(random, tables, "b", 4)]


class Failure(Exception):
    pass


class Scenario:
    QUIET = 6  # turns without an event, after which no more will come

    def __init__(self, loop, steps):
        self.loop = loop
        self.steps = list(steps)
        self.events = []
        self.handles, self.futures, self.tasks = [], [], []
        self.flags, self.locks, self.queues = {}, {}, {}
        self.named = 0
        self.quiet = 0
        self.ended = False
        self.begun = loop.time() - 1000

    def play(self):
        self.loop.set_exception_handler(self.failed)
        self.loop.call_soon(self.tick)
        self.loop.call_soon(self.next)
        self.turn()
        self.event("left", [task.done() for task in self.tasks], [future.done() for future in self.futures])
        for task in self.tasks:
            task.cancel()
        self.turn()
        self.event("end", [self.outcome(future) for future in self.tasks + self.futures])
        self.loop.set_exception_handler(lambda *_: None)
        events, self.events = self.events, []
        while tasks := asyncio.all_tasks(self.loop):  # in no order that could be compared
            for task in tasks:
                task.cancel()
            self.turn()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        return events

    def turn(self):
        self.ended, self.quiet = False, 0
        while not self.ended:
            self.loop.run_forever()
            self.event("stopped")

    def event(self, *what):
        self.quiet = 0
        self.events.append((*what, variable.get()))

    def tick(self):
        self.events.append("turn")
        self.quiet += 1
        if self.quiet > self.QUIET and not self.steps:
            self.ended = True
            self.loop.stop()
        self.loop.call_soon(self.tick)

    def next(self):
        if self.steps:
            self.loop.call_soon(self.next)
            self.do([self.steps.pop(0)])

    def failed(self, loop, context):
        if "handle" in context:
            self.event("failed", type(context["exception"]).__name__, sorted(context))

    def outcome(self, future):
        if not future.done():
            return "pending"
        if future.cancelled():
            return "cancelled"
        return repr(future.exception()) if future.exception() else future.result()

    def name(self):
        self.named += 1
        return self.named

    def callback(self, steps):
        name = self.name()

        def run(future=None):
            self.event("callback", name, future and self.outcome(future))
            self.do(steps)

        return run

    def pick(self, of, n):
        return of[n % len(of)] if of else None

    def do(self, steps):
        for name, *arguments in steps:
            self.event(name, *(n for n in arguments if not isinstance(n, list)))
            getattr(self, f"do_{name}")(*arguments)

    def do_soon(self, steps):
        self.handles.append(self.loop.call_soon(self.callback(steps)))

    def do_threadsafe(self, steps):
        self.handles.append(self.loop.call_soon_threadsafe(self.callback(steps)))

    def do_thread(self, steps):
        thread = threading.Thread(target=self.do_threadsafe, args=(steps,))
        thread.start()
        thread.join()

    def do_past(self, n, steps):
        when = self.begun + n + self.name() / 1000  # no two are the same: asyncio has no order then
        self.handles.append(self.loop.call_at(when, self.callback(steps)))

    def do_now(self, steps):
        self.handles.append(self.loop.call_later(0, self.callback(steps)))

    def do_far(self, n, steps):
        self.handles.append(self.loop.call_later(100_000 + n, self.callback(steps)))

    def do_timers(self, n, *bodies):
        now = self.loop.time()
        for i, steps in enumerate(bodies):
            when = now + (7 * i + n) % 8 * 1e-6 + i * 1e-7
            self.handles.append(self.loop.call_at(when, self.callback(steps)))
        while self.loop.time() < now + 10e-6:
            pass

    def do_cancel(self, n):
        if handle := self.pick(self.handles, n):
            handle.cancel()
            self.event("cancelled", handle.cancelled())

    def do_future(self):
        self.futures.append(self.loop.create_future())

    def do_result(self, n):
        future = self.pick(self.futures, n)
        if future and not future.done():
            future.set_result(n)

    def do_fail(self, n):
        future = self.pick(self.futures, n)
        if future and not future.done():
            future.set_exception(Failure(n))

    def do_cancel_future(self, n):
        if future := self.pick(self.futures, n):
            self.event("cancelled", future.cancel())

    def do_callback(self, n, steps):
        if future := self.pick(self.futures + self.tasks, n):
            future.add_done_callback(self.callback(steps))

    def do_task(self, steps):
        self.tasks.append(self.loop.create_task(self.inside(steps)))

    def do_cancel_task(self, n):
        if task := self.pick(self.tasks, n):
            self.event("cancelled", task.cancel())

    def do_set_event(self, n):
        self.flags.setdefault(n, asyncio.Event()).set()

    def do_set(self, n):
        variable.set(n)

    def do_context(self, n, steps):
        context = contextvars.copy_context()
        context.run(variable.set, 100 + n)
        self.handles.append(self.loop.call_soon(self.callback(steps), context=context))

    def do_raise(self):
        raise Failure

    def do_stop(self):
        self.loop.stop()

    async def inside(self, steps):
        task = self.name()
        try:
            for name, *arguments in steps:
                self.event("in", task, name)
                result = await getattr(self, f"in_{name}")(*arguments)
                self.event("after", task, name, result)
        except BaseException as error:
            self.event("out", task, repr(error))
            raise
        return task

    async def in_plain(self, steps):
        self.do(steps)

    async def in_sleep0(self):
        await asyncio.sleep(0)

    async def in_sleep(self):
        await asyncio.sleep(1e-9)

    async def in_await(self, n):
        if future := self.pick(self.futures, n):
            return await future

    async def in_await_task(self, n):
        task = self.pick(self.tasks, n)
        if task and task is not asyncio.current_task():
            return await asyncio.shield(task)

    async def in_gather(self, n, *bodies):
        return repr(await asyncio.gather(*map(self.inside, bodies), return_exceptions=bool(n % 2)))

    async def in_wait(self, n, *which):
        modes = asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION, asyncio.ALL_COMPLETED
        if self.futures:
            done, pending = await asyncio.wait({self.pick(self.futures, i) for i in which}, return_when=modes[n % 3])
            return len(done), len(pending)

    async def in_wait_for(self, n, limit):
        if future := self.pick(self.futures, n):
            return await asyncio.wait_for(future, (0, -1, 1e-9, None)[limit % 4])

    async def in_timeout(self, steps):
        async with asyncio.timeout_at(self.begun + self.name() / 1000):
            await self.inside(steps)

    async def in_shield(self, n):
        if future := self.pick(self.futures, n):
            return await asyncio.shield(future)

    async def in_group(self, one, other):
        async with asyncio.TaskGroup() as group:  # of one task: more are cancelled in the order of a set
            group.create_task(self.inside(one))
            await self.inside(other)

    async def in_event(self, n):
        await self.flags.setdefault(n, asyncio.Event()).wait()

    async def in_lock(self, n, steps):
        async with self.locks.setdefault(n % 2, asyncio.Lock()):
            await self.inside(steps)

    async def in_put(self, n):
        await self.queues.setdefault(n % 2, asyncio.Queue(1)).put(n)

    async def in_get(self, n):
        return await self.queues.setdefault(n % 2, asyncio.Queue(1)).get()

    async def in_catch(self, steps):
        try:
            await self.inside(steps)
        except (Exception, asyncio.CancelledError) as error:
            return repr(error)

    async def in_finally(self, steps, last):
        try:
            await self.inside(steps)
        finally:
            await self.inside(last)

    async def in_generator(self, n):
        async def numbers():
            try:
                for i in range(5):
                    yield i
                    await asyncio.sleep(0)
            finally:
                self.event("generator ends")

        async for i in numbers():
            if i == n:
                break

    async def in_raise(self):
        raise Failure


def play(loop, steps):
    return contextvars.Context().run(Scenario(loop, steps).play)
