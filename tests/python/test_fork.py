"""fork: what a child may do beside its parent's loop, and multiprocessing."""

import asyncio
import concurrent.futures
import gc
import multiprocessing
import os
import signal
import socket
import sys
import traceback

import pytest

# Python 3.12 and newer warn of forks in a process with threads; here there are some in an executor.
pytestmark = [pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"), pytest.mark.forks]

REFUSED = "belongs to the parent process"


def in_child(function, *args):
    """What function(*args) returns in a child of fork(): a string."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            result = str(function(*args))
        except BaseException:
            result = traceback.format_exc()
        finally:
            os.write(write, result.encode())
            os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        result = pipe.read()
    os.waitpid(pid, 0)
    return result


async def answer():
    await asyncio.sleep(0.001)
    await asyncio.to_thread(int)
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.send(b"data")
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        loop.add_reader(reader, lambda: readable.done() or readable.set_result(reader.recv(10)))
        data = await readable
        loop.remove_reader(reader)
    return data.decode()


def run_another(loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(answer())


def test_child_makes_a_loop_of_its_own(loop, loop_factory):
    assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1
    assert in_child(run_another, loop_factory) == "data"
    assert loop.run_until_complete(asyncio.sleep(0, 2)) == 2


def test_child_made_while_the_loop_runs(loop, loop_factory):
    async def main():
        assert in_child(run_another, loop_factory) == "data"
        return await asyncio.sleep(0.001, "parent")

    assert loop.run_until_complete(main()) == "parent"


def test_child_made_by_a_callback(loop, loop_factory):
    results = []
    loop.call_soon(lambda: results.append(in_child(run_another, loop_factory)))
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert results == ["data"]


@pytest.mark.own("asyncio's loops know nothing of forks")
def test_child_that_uses_the_parents_loop(loop):
    handles = [loop.call_soon(int), loop.call_later(1, int)]
    server_like = socket.socketpair()

    def child():
        coroutine = asyncio.sleep(0)
        for name, call in {
            "call_soon": lambda: loop.call_soon(int),
            "call_soon_threadsafe": lambda: loop.call_soon_threadsafe(int),
            "call_later": lambda: loop.call_later(1, int),
            "call_at": lambda: loop.call_at(1, int),
            "create_task": lambda: loop.create_task(coroutine),
            "run_forever": lambda: loop.run_forever(),
            "run_until_complete": lambda: loop.run_until_complete(coroutine),
            "add_reader": lambda: loop.add_reader(server_like[0], int),
            "run_in_executor": lambda: loop.run_in_executor(None, int),
        }.items():
            try:
                call()
            except RuntimeError as error:
                assert REFUSED in str(error), error
            else:
                raise AssertionError(name)
        coroutine.close()
        for handle in handles:
            handle.cancel()
        repr(loop), loop.time(), loop.stats(), loop.backend, loop.is_closed(), loop.get_debug(), loop.stop()
        loop.close()
        assert loop.is_closed()
        return "refused"

    assert in_child(child) == "refused"
    for end in server_like:
        end.close()
    loop.stop()
    loop.run_forever()
    handles[1].cancel()


@pytest.mark.own("a child may use asyncio's loop, and breaks the parent's")
def test_child_that_lets_go_of_a_transport(loop, loop_factory):
    """Its loop does not know the transport any more: there another one may be, in the same place of memory."""

    async def connect(sock):
        return await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=sock)

    def child():
        kept.clear()
        gc.collect()
        another = loop_factory()
        transport, _ = another.run_until_complete(connect(right))
        with pytest.raises(RuntimeError, match=REFUSED):
            loop.remove_reader(left)
        transport.abort()
        another.run_until_complete(asyncio.sleep(0))
        return "refused"

    left, right = socket.socketpair()
    with left, right:
        kept = list(loop.run_until_complete(connect(left)))
        kept[0].pause_reading()
        assert in_child(child) == "refused"
        kept[0].abort()
        loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.own("asyncio's loops know nothing of forks")
def test_child_that_goes_on_in_the_run(loop):
    """It returns from the callback into the parent's run, which it is not to go on with."""
    read, write = os.pipe()
    ran = []

    def fork():
        if pid := os.fork():
            ran.append(pid)

    def run():
        loop.call_soon(fork)
        loop.call_soon(ran.append, "next")
        loop.call_soon(loop.stop)
        loop.run_forever()

    parent = os.getpid()
    try:
        run()
    except BaseException as error:
        if os.getpid() != parent:
            os.write(write, f"{type(error).__name__}: {error} {ran} {loop.is_running()}".encode())
            os._exit(0)
        raise
    finally:
        if os.getpid() != parent:
            os.write(write, b"went on")
            os._exit(0)
    pid, following = ran
    os.waitpid(pid, 0)
    said = os.read(write and read, 1000).decode()
    os.close(read)
    os.close(write)
    assert following == "next"
    assert said.startswith("RuntimeError: ") and REFUSED in said and said.endswith("[] False"), said


def test_signals_of_a_child_are_its_own(loop, loop_factory):
    """The parent's wakeup descriptor is shared by a fork: what is written there would wake the parent."""
    seen = []

    async def main():
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "parent")

        def child():
            signal.signal(signal.SIGUSR1, lambda *args: seen.append("child"))
            os.kill(os.getpid(), signal.SIGUSR1)
            return seen

        assert in_child(child) == "['child']"
        for _ in range(5):
            await asyncio.sleep(0)
        assert seen == []
        os.kill(os.getpid(), signal.SIGUSR1)
        while not seen:
            await asyncio.sleep(0)

    if "ringport" not in type(loop).__module__ and sys.version_info < (3, 12):
        pytest.skip("asyncio's loops share the descriptor before 3.12")
    loop.run_until_complete(main())
    assert seen == ["parent"]


# ---- multiprocessing ----


def square(number):
    return number * number


def run_in_process(number):
    """In a process of multiprocessing's: on a loop of the same kind."""
    import ringport

    async def main():
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(square, number)

    return ringport.run(main())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pool(loop, method):
    context = multiprocessing.get_context(method)

    async def main():
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, square, n) for n in range(10)))

    assert loop.run_until_complete(main()) == [n * n for n in range(10)]
    stop_helpers(method)


@pytest.mark.own("its processes run ringport's loop")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_loops_in_processes(loop, method):
    context = multiprocessing.get_context(method)

    async def main():
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            return await loop.run_in_executor(pool, run_in_process, 7)

    assert loop.run_until_complete(main()) == 49
    stop_helpers(method)


def stop_helpers(method):
    """multiprocessing keeps processes of its own, with pipes to them."""
    from multiprocessing import forkserver, resource_tracker

    if method == "forkserver":
        forkserver._forkserver._stop()
    if method != "fork":
        resource_tracker._resource_tracker._stop()
