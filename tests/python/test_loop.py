"""A loop's life: running, stopping, closing, and what ends a run early."""

import asyncio
import ctypes
import functools
import gc
import inspect
import signal
import socket
import sys
import threading
import time
import warnings
import weakref
from unittest import mock

import pytest


async def nothing():
    pass


class Ended(SystemExit):
    """So that no handler of pytest's takes it for an end of its own."""


# ---- running ----


def test_stop_ends_the_turn_first(loop):
    seen = []

    def first():
        seen.append("first")
        loop.stop()
        loop.call_soon(seen.append, "next turn")

    loop.call_soon(first)
    loop.call_soon(seen.append, "same turn")
    loop.run_forever()
    assert seen == ["first", "same turn"]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["first", "same turn", "next turn"]


def test_stop_before_a_run_makes_it_one_turn(loop):
    seen = []
    loop.call_soon(loop.call_soon, seen.append, "second turn")
    loop.call_soon(seen.append, "first turn")
    loop.stop()
    loop.run_forever()
    assert seen == ["first turn"]


def test_stop_while_idle_in_a_timer(loop):
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert not loop.is_running()


def test_running_twice_is_refused(loop):
    seen = []

    def inside():
        for method in loop.run_forever, lambda: loop.run_until_complete(loop.create_future()):
            with pytest.raises(RuntimeError, match="^This event loop is already running$"):
                method()
        with pytest.raises(RuntimeError, match="^Cannot close a running event loop$"):
            loop.close()
        seen.append(loop.is_running())
        loop.stop()

    loop.call_soon(inside)
    loop.run_forever()
    assert seen == [True]


def test_another_loop_is_refused(loop, new_loop):
    other = new_loop()
    seen = []

    def inside():
        with pytest.raises(RuntimeError, match="^Cannot run the event loop while another loop is running$"):
            other.run_forever()
        seen.append(asyncio.get_running_loop())
        loop.stop()

    loop.call_soon(inside)
    loop.run_forever()
    assert seen == [loop]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


@pytest.mark.own("before 3.13 asyncio has no such steps")
def test_a_subclass_adds_to_a_run():
    import ringport

    seen = []

    class Loop(ringport.Loop):
        def _run_forever_setup(self):
            super()._run_forever_setup()
            seen.append(asyncio.get_running_loop())

        def _run_forever_cleanup(self):
            seen.append(asyncio.get_running_loop())
            super()._run_forever_cleanup()

    loop = Loop()
    loop.run_until_complete(asyncio.sleep(0))
    assert seen == [loop, loop] and asyncio._get_running_loop() is None
    loop.close()


@pytest.mark.parametrize("debug", [False, True])
def test_arguments_in_reports(loop, debug):
    loop.set_debug(debug)
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    loop.call_soon(int, "secret")
    loop.call_soon(loop.stop)
    loop.run_forever()
    shown = debug or sys.version_info < (3, 13)
    assert contexts[0]["message"].startswith("Exception in callback int(" + "'secret')" * shown + ")" * (not shown))


def test_another_loop_inside_for_whoever_insists(loop, new_loop):
    """Some programs hide the loop that runs, and run another one meanwhile."""
    other = new_loop()
    seen = []

    def inside():
        asyncio._set_running_loop(None)
        try:
            seen.append(other.run_until_complete(asyncio.sleep(0.001, "inner")))
        finally:
            asyncio._set_running_loop(loop)
        seen.append(loop.is_running())

    async def main():
        loop.call_soon(inside)
        await asyncio.sleep(0.001)
        seen.append("outer")

    loop.run_until_complete(main())
    assert seen == ["inner", True, "outer"]


def test_run_until_complete_that_is_stopped(loop):
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="^Event loop stopped before Future completed.$"):
        loop.run_until_complete(loop.create_future())


def test_run_until_complete_of_what_is_done(loop):
    future = loop.create_future()
    future.set_result(1)
    assert loop.run_until_complete(future) == 1
    future = loop.create_future()
    future.set_exception(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        loop.run_until_complete(future)


def test_future_of_another_loop(loop, new_loop):
    with pytest.raises(ValueError, match="The future belongs to a different loop than the one specified as the loop"):
        loop.run_until_complete(new_loop().create_future())


# ---- what ends a run early ----


@pytest.mark.parametrize("kind", [Ended, KeyboardInterrupt])
def test_exit_out_of_a_callback(loop, kind):
    seen = []

    def leave():
        raise kind("now")

    loop.call_soon(leave)
    loop.call_soon(seen.append, "same turn")
    with pytest.raises(kind, match="now"):
        loop.run_forever()
    assert seen == [] and not loop.is_running()
    loop.call_soon(seen.append, "later")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["same turn", "later"]


@pytest.mark.parametrize("kind", [Ended, KeyboardInterrupt])
def test_exit_out_of_a_timer(loop, kind):
    def leave():
        raise kind

    loop.call_later(0, leave)
    with pytest.raises(kind):
        loop.run_forever()
    assert loop.run_until_complete(asyncio.sleep(0, "goes on")) == "goes on"


@pytest.mark.parametrize("kind", [Ended, KeyboardInterrupt])
def test_exit_out_of_a_task(loop, kind):
    async def main():
        await asyncio.sleep(0)
        raise kind("now")

    with pytest.raises(kind, match="now"):
        loop.run_until_complete(main())


@pytest.mark.parametrize("kind", [Ended, KeyboardInterrupt])
def test_exit_out_of_the_exception_handler(loop, kind):
    def handler(loop, context):
        raise kind("handler")

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(kind, match="handler"):
        loop.run_forever()


def test_what_is_left_of_a_turn_counts_as_no_turn(loop):
    seen = []

    def leave():
        raise KeyboardInterrupt

    loop.call_soon(leave)
    loop.call_soon(seen.append, "left")
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.call_soon(seen.append, "scheduled later")
    loop.stop()
    loop.run_forever()
    assert seen == ["left", "scheduled later"]


def test_stop_is_forgotten_by_an_exit(loop):
    seen = []

    def leave():
        loop.stop()
        raise KeyboardInterrupt

    loop.call_soon(leave)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.call_later(0.001, seen.append, "timer")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert seen == ["timer"]


def test_other_exceptions_are_reported(loop, reports):
    class Odd(BaseException):
        pass

    def fail():
        raise Odd("strange")

    loop.call_soon(fail)
    assert loop.run_until_complete(asyncio.sleep(0, "goes on")) == "goes on"
    report = reports.pop()
    assert report.startswith("Exception in callback test_other_exceptions_are_reported.<locals>.fail")
    assert "strange" in report


# ---- closing ----


def test_closed(loop):
    loop.close()
    loop.close()
    assert loop.is_closed()
    assert repr(loop).startswith(f"<{type(loop).__name__} running=False closed=True debug=")
    coroutine = nothing()
    for call in (
        loop.run_forever,
        lambda: loop.run_until_complete(coroutine),
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
        lambda: loop.create_task(coroutine),
        lambda: loop.create_task(coroutine, name="name"),
        lambda: loop.run_in_executor(None, print),
    ):
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            call()
    coroutine.close()
    loop.stop()
    assert loop.time() > 0 and loop.create_future().get_loop() is loop


def test_closing_drops_callbacks(loop):
    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    soon = loop.call_soon(print, argument)
    later = loop.call_later(3600, print, argument)
    del argument, soon
    loop.close()
    later.cancel()
    del later
    gc.collect()
    assert gone() is None


def test_closed_loop_is_no_garbage(loop_factory):
    loop = loop_factory()
    gone = weakref.ref(loop)
    gc.disable()
    try:
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        for future in loop.create_future(), asyncio.Future(loop=loop):
            future.cancel()
            assert future.get_loop() is loop
        del future, loop
        assert gone() is None
    finally:
        gc.enable()


def test_dropped_loop_warns(loop_factory):
    loop = loop_factory()
    gone = weakref.ref(loop)
    with pytest.warns(ResourceWarning, match="unclosed event loop <.* running=False closed=False debug=False>"):
        del loop
        gc.collect()
    assert gone() is None


def test_dropped_loop_takes_its_callbacks_along(loop_factory):
    class Argument:
        pass

    def make():
        loop, argument = loop_factory(), Argument()
        argument.loop = loop
        loop.call_soon(print, argument)
        loop.call_later(3600, argument.__init__)
        loop.call_later(7200, print, argument, loop, 1)
        return weakref.ref(loop), weakref.ref(argument)

    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gone = make()
        gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_weak_reference(loop_factory):
    loop = loop_factory()
    reference = weakref.ref(loop)
    assert reference() is loop
    loop.close()
    del loop
    gc.collect()
    assert reference() is None


# ---- asynchronous generators ----


def test_asyncgens_are_shut_down(loop):
    seen = []

    async def generate():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    async def begin():
        return await anext(generator)

    generator = generate()
    hooks = sys.get_asyncgen_hooks()
    assert loop.run_until_complete(begin()) == 1
    assert sys.get_asyncgen_hooks() == hooks
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert seen == ["ended"]


def test_asyncgen_that_is_dropped(loop):
    seen = []

    async def generate():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    async def main():
        async for _ in generate():
            break
        for _ in range(5):
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert seen == ["ended"]


def test_asyncgen_after_the_shutdown_warns(loop):
    async def generate():
        yield 1

    async def main():
        await loop.shutdown_asyncgens()
        generator = generate()
        with pytest.warns(ResourceWarning, match="was scheduled after loop.shutdown_asyncgens"):
            await anext(generator)
        await generator.aclose()

    loop.run_until_complete(main())


def test_hooks_of_others_come_back(loop):
    def first(generator):
        pass

    old = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=first)
    try:
        loop.run_until_complete(nothing())
        assert sys.get_asyncgen_hooks().firstiter is first
    finally:
        sys.set_asyncgen_hooks(*old)


# ---- the default executor ----


async def test_executor(loop):
    assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
        loop.run_in_executor(None, print)


@pytest.mark.own("3.11 has no time limit, and 3.12 waits without end before it")
async def test_executor_time_limit(loop):
    gate = threading.Event()
    job = loop.run_in_executor(None, gate.wait)
    try:
        with pytest.warns(RuntimeWarning, match=r"^The executor did not finishing joining its threads within 0.01 sec"):
            await loop.shutdown_default_executor(timeout=0.01)
    finally:
        gate.set()
    assert await job


async def test_executor_jobs_are_waited_for(loop):
    gate = threading.Event()
    job = loop.run_in_executor(None, gate.wait)
    shutdown = asyncio.ensure_future(loop.shutdown_default_executor())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not shutdown.done()
    gate.set()
    await shutdown
    assert job.done() or await job


def test_set_default_executor(loop):
    with pytest.raises(TypeError, match="executor must be ThreadPoolExecutor instance"):
        loop.set_default_executor(object())


# ---- tasks and futures ----


async def test_task_arguments(loop):
    import contextvars

    variable = contextvars.ContextVar("variable", default="outer")
    context = contextvars.copy_context()
    context.run(variable.set, "inner")

    async def get():
        return variable.get()

    task = loop.create_task(get(), name="named", context=context)
    assert task.get_name() == "named" and task.get_loop() is loop
    assert await task == "inner"
    assert await loop.create_task(get()) == "outer"
    coroutine = get()
    for call in (
        lambda: loop.create_task(coroutine, wrong=1),
        lambda: loop.create_task(coroutine, "named"),
        lambda: loop.create_task(),
        lambda: loop.create_task(print),
    ):
        with pytest.raises(TypeError):
            call()
    coroutine.close()


async def test_task_factory(loop):
    seen = []

    def factory(loop, coroutine, **kwargs):
        seen.append(kwargs)
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    with pytest.raises(TypeError, match="^task factory must be a callable or None$"):
        loop.set_task_factory(1)
    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    await loop.create_task(nothing())
    task = loop.create_task(nothing(), name="named")
    assert task.get_name() == "named"
    await task
    await asyncio.create_task(nothing())
    assert len(seen) == 3 and "context" not in seen[0]
    loop.set_task_factory(None)
    await loop.create_task(nothing())
    assert len(seen) == 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
async def test_eager_tasks(loop):
    seen = []

    async def step(what):
        seen.append(what)
        await asyncio.sleep(0)
        seen.append(what.upper())
        return what

    async def at_once():
        return "at once"

    loop.set_task_factory(asyncio.eager_task_factory)
    task = asyncio.create_task(at_once())
    assert task.done() and task.result() == "at once"
    async with asyncio.TaskGroup() as group:
        group.create_task(step("a"))
        group.create_task(step("b"))
        assert seen == ["a", "b"]
    assert seen == ["a", "b", "A", "B"]
    async with asyncio.timeout(60):
        assert await asyncio.to_thread(lambda: 1) == 1


async def test_source_of_a_task_in_debug_mode(loop):
    loop.set_debug(True)
    for task in loop.create_task(nothing()), loop.create_task(nothing(), name="named"):
        assert task._source_traceback[-1].name == "test_source_of_a_task_in_debug_mode"
        await task


def test_replaced_task_and_future_classes(loop, monkeypatch):
    class Future(asyncio.Future):
        pass

    class Task(asyncio.Task):
        pass

    monkeypatch.setattr(asyncio.futures, "Future", Future)
    monkeypatch.setattr(asyncio.tasks, "Task", Task)
    assert type(loop.create_future()) is Future
    task = loop.create_task(nothing())
    assert type(task) is Task
    loop.run_until_complete(task)


# ---- before __init__ ----


@pytest.mark.own("asyncio's loops raise AttributeError there")
def test_before_init(loop):
    class Late(type(loop)):
        def __init__(self, early):
            for method in self.call_soon, self.call_soon_threadsafe:
                with pytest.raises(RuntimeError, match="__init__"):
                    method(print)
            for method in self.call_later, self.call_at:
                with pytest.raises(RuntimeError, match="__init__"):
                    method(1, print)
            for method in self.stats, self._check_closed, self._run:
                with pytest.raises(RuntimeError, match="__init__"):
                    method()
            for name in "backend", "fallback_reason":
                with pytest.raises(RuntimeError, match="__init__"):
                    getattr(self, name)
            assert self.is_closed() and not self.is_running() and not self.get_debug() and self.time() == 0
            repr(self)
            self.stop()
            gc.collect()
            if early:
                raise ValueError("early")
            super().__init__()

    with pytest.raises(ValueError, match="early"):
        Late(True)
    gc.collect()
    late = Late(False)
    assert late.run_until_complete(asyncio.sleep(0, 1)) == 1
    with pytest.raises(RuntimeError, match="the loop was made already"):
        type(loop).__init__(late)
    late.close()


@pytest.mark.own("these are options of ours")
def test_options(loop_factory, monkeypatch):
    import ringport

    for wrong in {"backend": "nothing"}, {"busy_poll": -1}, {"busy_poll": float("nan")}:
        with pytest.raises(ValueError):
            ringport.Loop(**wrong)
    for wrong in {"backend": 1}, {"busy_poll": "long"}, {"selector": None}:
        with pytest.raises(TypeError):
            ringport.Loop(**wrong)
    with pytest.raises(TypeError):
        ringport.Loop("epoll")
    loop = ringport.Loop(backend="epoll", busy_poll=0.001)
    assert loop.backend == "epoll" and loop.fallback_reason is None
    loop.run_until_complete(asyncio.sleep(0.01))
    stats = loop.stats()
    assert stats["backend"] == "epoll" and stats["busy_polls"] > 0 and stats["turns"] > 0
    loop.close()
    assert loop.backend == "closed" and loop.stats()["turns"] >= stats["turns"]
    monkeypatch.setenv("RINGPORT_PROACTOR", "nothing")
    with pytest.raises(ValueError, match="RINGPORT_PROACTOR"):
        ringport.Loop()
    gc.collect()


# ---- subclasses and patched loops ----


@pytest.fixture
def subclass(loop_factory):
    """Makes a loop of a subclass, with these methods."""
    loops = []

    def make(**methods):
        plain = loop_factory()
        kind = type(plain)
        plain.close()
        loops.append(type("Sub", (kind,), methods)())
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


def test_overridden_methods(subclass):
    seen = []

    def counted(name):
        def method(self, *args, **kwargs):
            seen.append(name)
            return getattr(super(type(self), self), name)(*args, **kwargs)

        return method

    names = "call_soon", "call_at", "call_soon_threadsafe", "create_task", "create_future", "time"
    loop = subclass(**{name: counted(name) for name in names})

    async def main():
        await asyncio.sleep(0.001)
        loop.call_soon_threadsafe(nothing_at_all)
        await asyncio.create_task(nothing())

    loop.run_until_complete(main())
    assert set(names) <= set(seen)


def nothing_at_all():
    pass


def test_patched_instances(loop):
    seen = []
    own = loop.call_soon

    def call_soon(callback, *args, **kwargs):
        seen.append("call_soon")
        return own(callback, *args, **kwargs)

    loop.call_soon = call_soon
    loop.run_until_complete(asyncio.sleep(0))
    count = len(seen)
    assert count >= 2
    del loop.call_soon
    loop.run_until_complete(asyncio.sleep(0))
    assert len(seen) == count


def test_patched_class(loop, monkeypatch):
    seen = []
    own = type(loop).call_soon

    def call_soon(self, callback, *args, **kwargs):
        seen.append("call_soon")
        return own(self, callback, *args, **kwargs)

    loop.run_until_complete(asyncio.sleep(0))
    monkeypatch.setattr(type(loop), "call_soon", call_soon)
    loop.run_until_complete(asyncio.sleep(0))
    assert len(seen) >= 2


def test_patched_time(loop):
    now = loop.time()
    loop.time = lambda: now + 1000
    handle = loop.call_later(5, print)
    assert handle.when() == now + 1005
    handle.cancel()


@pytest.fixture
def clock(loop):
    """A clock in the place of the loop's: it stands still, but for what is added to `seconds`."""

    class Clock:
        seconds = loop.time()

    with mock.patch.object(loop, "time", lambda: Clock.seconds):
        yield Clock


async def some_turns():
    for _ in range(3):
        await asyncio.sleep(0)


async def test_timers_go_by_a_patched_clock(loop, clock):
    ran = []
    for number in 3, 1, 2, 2:
        loop.call_later(number, ran.append, number)
    cancelled = loop.call_later(2, ran.append, "cancelled")
    await some_turns()
    assert ran == []
    clock.seconds += 1 - 1e-6
    await some_turns()
    assert ran == []
    clock.seconds += 1e-6
    await some_turns()
    assert ran == [1]
    cancelled.cancel()
    clock.seconds += 10
    await some_turns()
    assert ran == [1, 2, 2, 3]


async def test_a_clock_that_jumps(loop):
    """Timers of either clock run by the one that there is."""
    ran = []
    now = loop.time()
    loop.call_later(50, ran.append, "own")
    with mock.patch.object(loop, "time", lambda: now + 40):
        loop.call_later(5, ran.append, "theirs")
        await some_turns()
    assert ran == []
    with mock.patch.object(loop, "time", lambda: now + 46):
        await some_turns()
    assert ran == ["theirs"]
    loop.call_later(3600, ran.append, "never")
    loop.call_later(0.001, ran.append, "soon")
    while len(ran) < 2:
        await asyncio.sleep(0.001)
    assert ran == ["theirs", "soon"]
    with mock.patch.object(loop, "time", lambda: float("inf")):
        await some_turns()
    assert ran == ["theirs", "soon", "own", "never"]


@pytest.mark.parametrize("start", [9e9, 1e12, 1e15, -1e10, -1e15])
async def test_a_clock_that_is_far_away(loop, clock, start):
    """No count of nanoseconds gets there."""
    ran = []
    now = clock.seconds
    loop.call_at(now + 1, ran.append, "near")
    clock.seconds = start
    for number in 3, 1, 2:
        loop.call_later(number, ran.append, number)
    await some_turns()
    assert ran == (["near"] if start > 0 else [])
    for number in 1, 2, 3:
        clock.seconds = start + number + 0.5
        await some_turns()
        assert ran[-1] == number
    loop.call_later(3, ran.append, "far")
    clock.seconds = now + 2
    await some_turns()
    assert ran == (["near", 1, 2, 3] if start > 0 else [1, 2, 3, "far", "near"])
    loop.call_later(1, ran.append, "again")
    clock.seconds += 2
    await some_turns()
    assert ran[-1] == "again"


async def test_a_clock_that_was_far_away(loop):
    """What is scheduled before a turn has found the loop's own clock."""
    with mock.patch.object(loop, "time", lambda: -1e12):
        loop.call_later(1, print)
        await some_turns()
    await asyncio.sleep(0.001)


def test_a_faster_clock(subclass):
    loop = subclass(time=lambda self: 1e9 + 1000 * time.monotonic())

    async def main():
        begun = loop.time()
        results = await asyncio.gather(*(asyncio.sleep(n % 7, n) for n in range(100)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(3600)
        assert loop.time() - begun >= 11
        return results

    begun = time.monotonic()
    assert loop.run_until_complete(main()) == list(range(100))
    assert time.monotonic() - begun < 11


def test_a_clock_that_fails(loop):
    handle = loop.call_later(3600, print)
    with mock.patch.object(loop, "time", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        loop.run_forever()
    assert loop.run_until_complete(asyncio.sleep(0.001, "goes on")) == "goes on"
    handle.cancel()


def test_a_signal_that_meets_a_clock_that_fails(loop):
    """The handler runs as ever, and not amid the clock's exception."""
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.extend(range(3)))
    interrupt = ctypes.PyDLL(None).PyErr_SetInterruptEx
    interrupt.restype = None
    handle = loop.call_later(3600, print)
    loop.time = functools.partial(interrupt, signal.SIGUSR1)
    with pytest.raises(TypeError):
        loop.run_forever()
    assert seen[:3] == [0, 1, 2]
    signal.signal(signal.SIGUSR1, before)
    del loop.time
    handle.cancel()


def test_patched_exception_handler(loop, reports):
    seen = []
    loop.call_exception_handler = seen.append
    loop.call_soon(lambda: 1 / 0)
    loop.run_until_complete(asyncio.sleep(0))
    [context] = seen
    assert isinstance(context["exception"], ZeroDivisionError)
    assert context["message"].startswith("Exception in callback ") and context["handle"].cancelled() is False


def test_attributes_of_ones_own(loop):
    loop.mine = 1
    assert loop.mine == 1
    del loop.mine
    assert not hasattr(loop, "mine")


# ---- before its beginning, and after its end ----


def attempts(sock):
    """Arguments that methods may take, one or the other."""
    yield ()
    for first in sock, 1.0, print, sock.fileno():
        yield (first,)
        for second in 10, b"data", bytearray(1), print, ("127.0.0.1", 1):
            yield first, second
            yield first, second, "127.0.0.1"


def call_all(loop):
    """Call each method that is in C, and begin to await what that returns. What each has raised."""
    base = next(kind for kind in type(loop).__mro__ if kind.__name__ == "Loop" and kind.__module__ == "ringport._core")
    methods = [name for name, value in vars(base).items() if inspect.ismethoddescriptor(value) and name[:2] != "__"]
    raised = {name: [] for name in methods}
    for name in methods:
        one, other = socket.socketpair()
        with one, other, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.setblocking(False)
            other.send(b"something to receive")
            for args in attempts(one):
                try:
                    result = getattr(loop, name)(*args)
                    if inspect.isawaitable(result):
                        result.send(None)
                except Exception as error:
                    raised[name].append(error)
            del args
    return raised


@pytest.mark.own("of a Loop that asyncio has not initialized")
def test_init_was_not_called(loop):
    raised = call_all(type(loop).__new__(type(loop)))
    for name in "call_soon", "call_at", "create_future", "remove_reader", "sock_recv", "sock_sendall", "sock_accept":
        errors = {str(error) for error in raised[name] if isinstance(error, RuntimeError)}
        assert errors == {"the loop's __init__() has not been called"}, name


@pytest.mark.own("asyncio's operations on sockets may still succeed")
def test_all_after_the_close(loop):
    loop.close()
    raised = call_all(loop)
    for name in "call_soon", "call_at", "add_reader", "sock_recv", "sock_sendall", "sock_accept":
        errors = {str(error) for error in raised[name] if isinstance(error, RuntimeError)}
        assert errors == {"Event loop is closed"}, name


@pytest.mark.own("of options that asyncio does not have")
def test_an_init_that_fails_leaves_nothing(loop):
    new = type(loop).__new__(type(loop))
    for _ in range(10):
        with pytest.raises(ValueError):
            new.__init__(backend="none such")
        references = sys.getrefcount(new)
        with pytest.raises(ValueError):
            new.__init__(backend="none such")
        assert sys.getrefcount(new) == references
