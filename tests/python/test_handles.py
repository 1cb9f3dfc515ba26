"""Handles: what call_soon() and its like return, and how they are shown, compared, cancelled and freed."""

import asyncio
import contextvars
import functools
import gc
import re
import sys
import weakref

import pytest


def here():
    """The name of the function that is running, and its line."""
    frame = sys._getframe(1)
    return frame.f_lineno


def callback(*args):
    pass


@pytest.fixture
def ran(loop):
    """Runs what is ready."""

    def run():
        loop.stop()
        loop.run_forever()

    return run


# ---- calling ----


def test_arguments(loop, ran):
    seen = []
    for count in range(6):
        loop.call_soon(lambda *args: seen.append(args), *range(count))
        loop.call_soon_threadsafe(lambda *args: seen.append(args), *range(count))
    ran()
    assert seen == [tuple(range(count)) for count in range(6) for _ in range(2)]


def test_order(loop, ran):
    seen = []
    now = loop.time()
    loop.call_at(now, seen.append, "timer of now")
    loop.call_at(now - 1, seen.append, "timer of before")
    loop.call_at(now, seen.append, "second timer of now")
    loop.call_soon(seen.append, "soon")
    loop.call_later(-5, seen.append, "negative delay")
    ran()
    assert seen == ["soon", "negative delay", "timer of before", "timer of now", "second timer of now"]


def test_order_before_the_clock_began(loop, ran):
    seen = []
    for when in -1, -3, -2, float("-inf"):
        loop.call_at(when, seen.append, when)
    ran()
    assert seen == [float("-inf"), -3, -2, -1]


def test_timers_run_in_order(loop):
    seen = []
    for delay in 0.003, 0.001, 0.002, 0, 0.004:
        loop.call_later(delay, seen.append, delay)
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert seen == sorted(seen) and len(seen) == 5


def test_far_timers(loop, ran):
    for when in 1e9, 1e18, 1e300, float("inf"):
        loop.call_at(when, callback)
        loop.call_later(when, callback)
    ran()


def test_wrong_arguments(loop):
    for call in (
        lambda: loop.call_soon(),
        lambda: loop.call_soon(callback, wrong=1),
        lambda: loop.call_soon_threadsafe(),
        lambda: loop.call_later(),
        lambda: loop.call_later(1),
        lambda: loop.call_later("1", callback),
        lambda: loop.call_later(None, callback),
        lambda: loop.call_at(),
        lambda: loop.call_at(1),
        lambda: loop.call_at(None, callback),
        lambda: loop.call_later(1, callback, wrong=1),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError, match="^delay must not be None$"):
        loop.call_later(None, callback)
    with pytest.raises(TypeError, match="^when cannot be None$"):
        loop.call_at(None, callback)


def test_keywords_by_name(loop, ran):
    seen = []
    loop.call_later(delay=0, callback=lambda: seen.append("later"))
    loop.call_at(when=0, callback=lambda: seen.append("at"))
    loop.call_soon(callback=lambda: seen.append("soon"))
    loop.call_soon_threadsafe(callback=lambda: seen.append("threadsafe"))
    ran()
    assert sorted(seen) == ["at", "later", "soon", "threadsafe"]


def test_not_callable(loop, ran, reports):
    """Outside of debug mode that shows when it is to run."""
    loop.call_soon(1)
    ran()
    report = reports.pop()
    assert report.startswith("Exception in callback 1") and "'int' object is not callable" in report


def test_debug_checks(loop):
    loop.set_debug(True)

    async def coroutine_function():
        pass

    coroutine = coroutine_function()
    for name, call in {
        "call_soon": loop.call_soon,
        "call_soon_threadsafe": loop.call_soon_threadsafe,
        "call_at": functools.partial(loop.call_at, 0),
    }.items():
        for wrong in coroutine, coroutine_function:
            with pytest.raises(TypeError, match=rf"^coroutines cannot be used with {name}\(\)$"):
                call(wrong)
        with pytest.raises(TypeError, match=rf"^a callable object was expected by {name}\(\), got 1$"):
            call(1)
    coroutine.close()


def test_wrong_thread_in_debug_mode(loop):
    import threading

    loop.set_debug(True)
    errors = []

    def other():
        for call in (
            lambda: loop.call_soon(callback),
            lambda: loop.call_later(0, callback),
            lambda: loop.call_at(0, callback),
        ):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    text = "Non-thread-safe operation invoked on an event loop other than the current one"
    assert errors == [text] * 3


# ---- contexts ----


def test_contexts(loop, ran):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    def get():
        seen.append(variable.get())
        variable.set(100)

    context = contextvars.copy_context()
    context.run(variable.set, 1)
    loop.call_soon(get, context=context)
    loop.call_soon(get, context=context)
    loop.call_soon(get, context=None)
    token = variable.set(2)
    loop.call_soon(get)
    loop.call_later(0, get)
    variable.reset(token)
    loop.call_later(0, get, context=context)
    ran()
    assert seen == [1, 100, 0, 2, 2, 100] and variable.get() == 0


@pytest.mark.own("get_context() came with 3.12")
def test_get_context(loop):
    context = contextvars.copy_context()
    assert loop.call_soon(callback, context=context).get_context() is context
    assert loop.call_later(9, callback, context=context).get_context() is context


def test_context_that_is_entered_already(loop, ran, reports):
    context = contextvars.copy_context()

    def run():
        loop.call_soon(callback, context=context)
        ran()

    context.run(run)
    assert "cannot enter context" in reports.pop()


# ---- cancelling ----


def test_cancel(loop, ran):
    seen = []
    soon, later = loop.call_soon(seen.append, 1), loop.call_later(0, seen.append, 2)
    posted = loop.call_soon_threadsafe(seen.append, 3)
    for handle in soon, later, posted:
        assert not handle.cancelled()
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()
    ran()
    assert seen == []
    soon = loop.call_soon(seen.append, 4)
    ran()
    soon.cancel()
    assert seen == [4] and soon.cancelled()


def test_cancel_of_one_that_runs(loop, ran):
    seen = []

    class Self:
        def __call__(self, argument):
            self.handle.cancel()
            seen.append(argument)

    run = Self()
    run.handle = loop.call_soon(run, "argument")
    ran()
    assert seen == ["argument"] and run.handle.cancelled()


def test_cancel_of_one_that_runs_in_its_own_run(loop, ran, reports):
    calls = []

    def fail():
        calls.append(len(calls))
        if len(calls) == 1:
            handle._run()  # refused: its context is entered
            handle.cancel()
            raise ValueError("after the cancellation")

    handle = loop.call_soon(fail)
    ran()
    assert calls == [0]
    assert len(reports) == 2
    reports.clear()


def test_cancel_within_the_turn(loop, ran):
    seen = []
    loop.call_soon(lambda: (second.cancel(), timer.cancel()))
    second = loop.call_soon(seen.append, "second")
    timer = loop.call_later(0, seen.append, "timer")
    ran()
    assert seen == []


def test_many_cancelled_timers(loop):
    seen = []
    for handle in [loop.call_later(0.001 + i / 1e6, seen.append, i) for i in range(2000)]:
        handle.cancel()
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert seen == []


def test_cancel_after_the_close(loop):
    handles = [loop.call_soon(callback), loop.call_later(1, callback)]
    loop.close()
    for handle in handles:
        handle.cancel()
        assert handle.cancelled()


def test_cancel_drops_what_it_refers_to(loop):
    class Thing:
        pass

    for make in loop.call_soon, functools.partial(loop.call_later, 100):
        for count in 0, 1, 2, 5:
            things = [Thing() for _ in range(count + 1)]
            gone = [weakref.ref(thing) for thing in things]
            handle = make(functools.partial(callback, things[0]), *things[1:])
            del things
            handle.cancel()
            assert [reference() for reference in gone] == [None] * (count + 1)


# ---- showing ----

HERE = re.escape(__file__)


def test_repr(loop):
    line = callback.__code__.co_firstlineno
    handle = loop.call_soon(callback)
    assert repr(handle) == f"<Handle callback() at {__file__}:{line}>"
    later = loop.call_at(123.5, callback)
    assert repr(later) == f"<TimerHandle when=123.5 callback() at {__file__}:{line}>"
    handle.cancel()
    later.cancel()
    assert (repr(handle), repr(later)) == ("<Handle cancelled>", "<TimerHandle cancelled when=123.5>")


def test_an_integral_time(loop):
    assert loop.call_at(7, callback).when() == 7


def test_repr_of_methods_and_partials(loop):
    class Class:
        def method(self):
            pass

    handle = loop.call_soon(Class().method)
    assert repr(handle).startswith("<Handle test_repr_of_methods_and_partials.<locals>.Class.method()")
    assert repr(loop.call_soon(functools.partial(callback, 1))).startswith("<Handle callback(")


def test_repr_in_debug_mode(loop, ran):
    loop.set_debug(True)
    line, created = callback.__code__.co_firstlineno, here() + 1
    handle, later = loop.call_soon(callback, 1), loop.call_at(5.0, callback)
    shown = rf"callback\((1)?\) at {HERE}:{line} created at {HERE}:{created}>"
    assert re.fullmatch(f"<Handle {shown}", repr(handle))
    assert re.fullmatch(rf"<TimerHandle when=5\.0 {shown}", repr(later))
    handle.cancel()
    later.cancel()
    assert re.fullmatch(f"<Handle cancelled {shown}", repr(handle))
    assert re.fullmatch(rf"<TimerHandle cancelled when=5\.0 {shown}", repr(later))


def test_source_of_a_failure_in_debug_mode(loop, ran):
    loop.set_debug(True)
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    for make in loop.call_soon, loop.call_soon_threadsafe, functools.partial(loop.call_later, 0):
        handle = make(lambda: 1 / 0)
        ran()
        context = contexts.pop()
        assert context["handle"] is handle and isinstance(context["exception"], ZeroDivisionError)
        assert context["source_traceback"][-1].name == "test_source_of_a_failure_in_debug_mode"
        assert context["source_traceback"][-1].filename == __file__


def test_slow_callbacks(loop, ran, caplog):
    def slow():
        loop.running_handle = loop._current_handle

    loop.set_debug(True)
    loop.slow_callback_duration = 0
    handle = loop.call_soon(slow)
    ran()
    assert loop.running_handle is handle and loop._current_handle is None
    [text] = [record.getMessage() for record in caplog.records if "slow" in record.getMessage()]
    source = rf"<Handle .*test_slow_callbacks\.<locals>\.slow\(\) at {HERE}:\d+ created at {HERE}:\d+>"
    assert re.fullmatch(rf"Executing {source} took \d+\.\d\d\d seconds", text)


async def test_slow_tasks(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0

    async def step():
        pass

    await asyncio.create_task(step(), name="dawdling")
    texts = [record.getMessage() for record in caplog.records]
    assert any(re.match(r"Executing <Task finished name='dawdling' coro=<.*> took", text) for text in texts)


# ---- comparing ----


def test_timers_compare(loop):
    one, two, other = loop.call_at(1, callback), loop.call_at(2, callback), loop.call_at(1, callback)
    assert one < two and one <= two and not one > two and not one >= two and one != two
    assert one == other and one <= other and one >= other and not one < other and not one > other
    assert hash(one) == hash(other) == hash(1) and hash(two) == hash(2)
    assert sorted([two, one]) == [one, two]
    assert one != loop.call_at(1, here) and one != loop.call_at(1, callback, 1)
    cancelled = loop.call_at(1, callback)
    cancelled.cancel()
    assert one != cancelled and not one <= cancelled and not one >= cancelled
    assert one != 1 and not one == 1
    with pytest.raises(TypeError):
        one < 1
    assert one.__lt__(1) is NotImplemented and one.__eq__(1) is NotImplemented


def test_handles_compare_by_identity(loop):
    one, other = loop.call_soon(callback), loop.call_soon(callback)
    assert one == one and one != other and hash(one) != hash(other)
    with pytest.raises(TypeError):
        one < other


# ---- references ----


def test_weak_references(loop, ran):
    handle = loop.call_soon(callback)
    gone = []
    reference = weakref.ref(handle, gone.append)
    assert reference() is handle
    del handle
    assert gone == []
    ran()
    assert gone == [reference] and reference() is None


def test_reference_cycles_through_pending_handles(loop_factory):
    class Thing:
        pass

    loop = loop_factory()
    things = [Thing() for _ in range(4)]
    gone = [weakref.ref(thing) for thing in things]
    for thing in things:
        thing.handles = [loop.call_later(1000, callback, thing), loop.call_soon(callback, thing, thing, thing)]
        thing.loop = loop
    loop.close()
    del loop, things, thing
    gc.collect()
    assert [reference() for reference in gone] == [None] * 4


def test_attributes_that_libraries_look_at(loop, ran):
    handle = loop.call_soon(callback, 1)
    assert handle._callback is callback and tuple(handle._args) == (1,) and handle._cancelled is False
    assert handle._loop is loop
    timer = loop.call_at(5, callback)
    assert timer._when == 5 and timer._scheduled is True
    timer.cancel()
    assert timer._cancelled is True and timer._callback is None


def test_types(loop):
    handle, timer = loop.call_soon(callback), loop.call_later(1, callback)
    assert isinstance(handle, asyncio.Handle) and not isinstance(handle, asyncio.TimerHandle)
    assert isinstance(timer, asyncio.TimerHandle) and isinstance(timer, asyncio.Handle)


def test_a_handle_that_has_run_keeps_nothing_alive(loop_factory):
    class Program:
        pass

    program = Program()
    program.loop = loop_factory()
    program.loop.set_exception_handler(lambda loop, context, program=program: program)
    program.ran = program.loop.call_soon(program.loop.stop)
    program.cancelled = program.loop.call_later(60, print)
    program.cancelled.cancel()
    program.loop.run_forever()
    program.loop.close()
    assert not program.ran.cancelled()
    program.ran.cancel()
    assert program.ran.cancelled() and program.cancelled.cancelled()
    assert "Handle" in repr(program.ran) and "TimerHandle cancelled" in repr(program.cancelled)
    alive = weakref.ref(program)
    del program
    gc.collect()
    assert alive() is None
