"""Threads: loops in several threads, one loop in several of them, and callbacks that come from others."""

import asyncio
import concurrent.futures
import functools
import socket
import sys
import threading
import time

import pytest

DEADLINE = 60  # for hangs alone


def in_thread(function, *args):
    """function(*args), in a thread of its own."""
    future = concurrent.futures.Future()

    def run():
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return future.result(DEADLINE)
    finally:
        thread.join()


@pytest.fixture
def pair():
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


def test_one_loop_in_several_threads(loop):
    async def main():
        await asyncio.sleep(0.001)
        await asyncio.to_thread(int)
        return threading.get_ident()

    threads = {loop.run_until_complete(main())}
    for _ in range(3):
        threads.add(in_thread(loop.run_until_complete, main()))
        threads.add(loop.run_until_complete(main()))
    assert len(threads) >= 2 and loop.run_until_complete(main()) == threading.get_ident()


def test_what_waits_moves_along(loop, pair):
    seen = []
    reader, writer = pair

    def readable():
        seen.append((reader.recv(10), threading.get_ident()))
        loop.stop()

    loop.add_reader(reader, readable)
    timer = loop.call_later(0.02, loop.stop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    in_thread(loop.run_forever)  # until the timer
    writer.send(b"data")
    thread = in_thread(lambda: (loop.run_forever(), threading.get_ident())[1])
    assert seen == [(b"data", thread)]
    writer.send(b"more")
    loop.run_forever()
    assert seen[1:] == [(b"more", threading.get_ident())]
    assert not timer.cancelled()
    loop.remove_reader(reader)


def test_closed_in_another_thread(loop):
    loop.run_until_complete(asyncio.sleep(0))
    in_thread(loop.close)
    assert loop.is_closed()


def test_running_in_two_threads_is_refused(loop):
    def other():
        with pytest.raises(RuntimeError, match="^This event loop is already running$"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="^Cannot close a running event loop$"):
            loop.close()
        assert loop.is_running()
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()

    async def main():
        await asyncio.to_thread(other)

    loop.run_until_complete(main())


def test_several_loops_at_once(loop_factory):
    together = threading.Barrier(4)

    async def main():
        loop = asyncio.get_running_loop()
        together.wait(DEADLINE)  # each of them runs
        for _ in range(50):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
        assert await asyncio.gather(*(asyncio.sleep(0.001, i) for i in range(20))) == list(range(20))
        return threading.get_ident()

    def run():
        loop = loop_factory()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert len({future.result(DEADLINE) for future in [pool.submit(run) for _ in range(4)]}) == 4


def test_threadsafe_wakes_a_sleeping_loop(loop):
    asleep = threading.Event()
    ran = []

    def other():
        asleep.wait(DEADLINE)
        for i in range(100):
            loop.call_soon_threadsafe(ran.append, i)
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    thread.start()
    loop.call_soon(asleep.set)
    loop.run_forever()
    thread.join()
    assert ran == list(range(100))


def test_threadsafe_back_and_forth(loop):
    """Each wake-up finds the other side asleep."""
    go = [threading.Semaphore(0), 0]

    def other():
        for _ in range(300):
            go[0].acquire(timeout=DEADLINE)
            loop.call_soon_threadsafe(answer)

    def answer():
        go[1] += 1
        if go[1] == 300:
            loop.stop()
        else:
            go[0].release()

    thread = threading.Thread(target=other)
    thread.start()
    loop.call_soon(go[0].release)
    loop.run_forever()
    thread.join()
    assert go[1] == 300


def test_threadsafe_under_load(loop):
    threads, calls, seen = 4, 2000, []

    def other(number):
        for i in range(calls):
            loop.call_soon_threadsafe(seen.append, (number, i))

    async def main():
        pending = [asyncio.to_thread(other, number) for number in range(threads)]
        busy = asyncio.ensure_future(keep_busy())
        await asyncio.gather(*pending)
        while len(seen) < threads * calls:
            await asyncio.sleep(0)
        busy.cancel()

    async def keep_busy():
        while True:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    for number in range(threads):
        assert [i for which, i in seen if which == number] == list(range(calls))


def test_threadsafe_while_the_loop_is_closed(loop):
    """Either a call is taken, or it is told that the loop is closed."""
    begun = threading.Event()
    errors = []

    def other():
        try:
            while True:
                loop.call_soon_threadsafe(int)
                begun.set()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(DEADLINE)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    thread.join()
    assert errors == ["Event loop is closed"]


@pytest.mark.own("asyncio schedules a callback that never runs")
@pytest.mark.parametrize("method, args", [("call_soon_threadsafe", ()), ("call_soon", ()), ("call_later", (1,))])
def test_closed_while_a_callback_is_being_scheduled(loop, monkeypatch, method, args):
    """In debug mode that runs Python code, during which another thread may run."""

    def extract_stack(*args):
        in_thread(loop.close)
        return []

    loop.set_debug(True)
    monkeypatch.setattr(asyncio.format_helpers, "extract_stack", extract_stack)
    with pytest.raises(RuntimeError, match="^Event loop is closed$"):
        getattr(loop, method)(*args, print)


def test_threadsafe_to_a_loop_that_does_not_run(loop):
    seen = []
    in_thread(loop.call_soon_threadsafe, seen.append, 1)
    loop.stop()
    loop.run_forever()
    assert seen == [1]


def test_coroutines_from_threads(loop):
    async def double(number):
        await asyncio.sleep(0)
        if number < 0:
            raise ValueError("negative")
        return 2 * number

    def other():
        assert asyncio.run_coroutine_threadsafe(double(4), loop).result(DEADLINE) == 8
        with pytest.raises(ValueError, match="negative"):
            asyncio.run_coroutine_threadsafe(double(-1), loop).result(DEADLINE)
        future = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
        future.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(DEADLINE)

    async def main():
        await asyncio.to_thread(other)

    loop.run_until_complete(main())


def test_cancelling_a_handle_in_another_thread(loop):
    """What programs do, although only the loop's thread may: it must not break anything."""
    seen = []
    handle = loop.call_soon(seen.append, 1)
    in_thread(handle.cancel)
    loop.stop()
    loop.run_forever()
    assert seen == []


def test_other_threads_run_beside_a_busy_loop(loop):
    """Callbacks that are C functions all never give the GIL away by themselves."""
    spin = functools.partial(loop.call_soon)
    spin.__setstate__((loop.call_soon, (spin,), {}, {}))
    alive = threading.Event()

    def other():
        for _ in range(3):
            sum(range(1000))
        alive.set()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other)
    loop.call_soon(spin)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert alive.is_set()


def test_debug_mode_set_from_another_thread(loop):
    async def main():
        depth = sys.get_coroutine_origin_tracking_depth()
        await asyncio.to_thread(loop.set_debug, True)
        await asyncio.sleep(0)
        assert sys.get_coroutine_origin_tracking_depth() > depth and loop.get_debug()
        await asyncio.to_thread(loop.set_debug, False)
        await asyncio.sleep(0)
        assert sys.get_coroutine_origin_tracking_depth() == depth and not loop.get_debug()

    loop.run_until_complete(main())


def test_origin_of_coroutines_in_debug_mode(loop):
    async def main():
        async def inner():
            pass

        coroutine = inner()
        coroutine.close()
        return coroutine.cr_origin

    depth = sys.get_coroutine_origin_tracking_depth()
    assert loop.run_until_complete(main()) is None
    loop.set_debug(True)
    assert sys.get_coroutine_origin_tracking_depth() == depth
    origin = loop.run_until_complete(main())
    assert origin[0][2] == "main" and sys.get_coroutine_origin_tracking_depth() == depth


# ---- a handle of call_soon_threadsafe() that runs ----

guarded = pytest.mark.skipif(sys.version_info < (3, 14), reason="_ThreadSafeHandle came with 3.14")


def is_inside(thread, function):
    """Whether a thread is in a function that `function` has called: it may wait there."""
    return sys._current_frames()[thread.ident].f_code is not function.__code__


@guarded
@pytest.mark.parametrize("method", ["cancel", "cancelled"])
@pytest.mark.parametrize("outcome", [None, ZeroDivisionError])
def test_a_running_threadsafe_handle_is_awaited(loop, contexts, method, outcome):
    """Other threads that cancel it, or ask whether it was cancelled, go on when it has returned."""
    running = threading.Event()
    told = []

    def other():
        running.wait(DEADLINE)
        told.append("asks")
        result = getattr(handle, method)()
        told.append(result)

    def callback():
        running.set()
        begun = time.monotonic()
        while len(told) < 4 and time.monotonic() - begun < DEADLINE:
            if told.count("asks") == 2 and all(is_inside(thread, other) for thread in threads):
                break
            time.sleep(0)
        told.append("returns")
        if outcome:
            raise outcome

    threads = [threading.Thread(target=other) for _ in range(2)]
    handle = loop.call_soon_threadsafe(callback)
    for thread in threads:
        thread.start()
    loop.call_soon(loop.stop)
    loop.run_forever()
    for thread in threads:
        thread.join()
    assert told[:3] == ["asks", "asks", "returns"] and len(told) == 5
    assert handle.cancelled() == (method == "cancel")
    assert [type(context["exception"]) for context in contexts] == [outcome] * bool(outcome)


@guarded
def test_a_threadsafe_handle_that_does_not_run_is_not_awaited(loop):
    def callback():
        handle.cancel()
        seen.append(handle.cancelled())

    seen = []
    handle = loop.call_soon_threadsafe(callback)
    assert isinstance(handle, asyncio.events._ThreadSafeHandle) and isinstance(handle, asyncio.Handle)
    in_thread(handle._run)  # which is that thread's, and not the loop's
    in_thread(handle.cancel)
    assert handle.cancelled() and seen == [True]
    handle = loop.call_soon_threadsafe(callback)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [True, True]
