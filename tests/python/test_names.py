"""Names: getaddrinfo() and getnameinfo() on threads of their own, what is asked once for several, cancelling, ends.

What needs a resolver that holds its questions runs in a process that has preloaded one: held_names.c.
"""

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

OWN = pytest.mark.own("asyncio asks on the default executor, each time anew")


async def test_answers_are_those_of_the_resolver(loop):
    assert await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM) == socket.getaddrinfo(
        "127.0.0.1", 80, type=socket.SOCK_STREAM
    )
    assert await loop.getaddrinfo(b"localhost", "http", family=socket.AF_INET, type=socket.SOCK_STREAM)
    assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == ("127.0.0.1", "80")
    assert await loop.getnameinfo(("::1", 443, 0, 0), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == ("::1", "443")


async def test_errors_are_those_of_the_resolver(loop):
    with pytest.raises(socket.gaierror) as caught:
        await loop.getaddrinfo("localhost", 1, flags=socket.AI_NUMERICHOST)
    assert caught.value.errno == socket.EAI_NONAME
    with pytest.raises(UnicodeError):
        await loop.getaddrinfo("a" * 100 + ".test", 1)
    with pytest.raises(TypeError):
        await loop.getaddrinfo(object(), 1)
    with pytest.raises(TypeError):
        await loop.getaddrinfo()
    with pytest.raises(TypeError):
        await loop.getnameinfo("name")
    with pytest.raises(OSError):
        await loop.getnameinfo(("name.test", 1))


def test_a_closed_loop_asks_nobody(loop):
    loop.close()
    for asked in loop.getaddrinfo("127.0.0.1", 1), loop.getnameinfo(("127.0.0.1", 1)):
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            asked.send(None)


async def test_a_resolver_that_is_patched_is_called_each_time(loop, monkeypatch):
    asked = []

    def getaddrinfo(*args):
        asked.append(args)
        return [args]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "getnameinfo", lambda *args: args)
    answers = await asyncio.gather(*(loop.getaddrinfo("name.test", 80) for _ in range(3)))
    assert asked == [("name.test", 80, 0, 0, 0, 0)] * 3
    assert answers == [asked[:1]] * 3
    assert await loop.getnameinfo(("name.test", 1), 2) == (("name.test", 1), 2)


@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(3), StopIteration()])
def test_a_resolver_may_raise_anything(loop, monkeypatch, error):
    def getaddrinfo(*args):
        raise error

    async def main():
        try:
            await loop.getaddrinfo("name.test", 80)
        except BaseException as caught:
            return type(caught)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    expected = type(error)
    if expected is StopIteration:
        if type(loop) is asyncio.SelectorEventLoop and sys.version_info < (3, 12):
            pytest.skip("a future of asyncio's cannot have it")
        expected = RuntimeError
    assert loop.run_until_complete(main()) is expected


async def test_debug_mode_logs_what_is_asked(loop, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", "asyncio"):
        await loop.getaddrinfo("127.0.0.1", 80)
    assert any("Get address info 127.0.0.1:80" in record.getMessage() for record in caplog.records)


@OWN
async def test_names_need_no_default_executor(loop):
    await loop.shutdown_default_executor()
    assert await loop.getaddrinfo("127.0.0.1", 80)


@OWN
async def test_beyond_64_names_wait_for_their_turn(loop, monkeypatch):
    gate, lock = threading.Event(), threading.Lock()
    full = asyncio.Event()
    inside, most = set(), []

    def getaddrinfo(host, *args):
        with lock:
            inside.add(host)
            most.append(len(inside))
            if len(inside) == 64:
                loop.call_soon_threadsafe(full.set)
        gate.wait()
        with lock:
            inside.remove(host)
        return host

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    asking = [asyncio.ensure_future(loop.getaddrinfo(str(n), 80)) for n in range(70)]
    await full.wait()
    asking[69].cancel()  # it is never asked
    await asyncio.wait(asking[69:])
    gate.set()
    assert await asyncio.gather(*asking[:69]) == [str(n) for n in range(69)]
    assert max(most) == 64
    assert len(most) == 69


@OWN
def test_a_thread_that_cannot_be_started(loop, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    async def main():
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="^can't start new thread$"):
                await loop.getaddrinfo("127.0.0.1", 80)
        assert await loop.getaddrinfo("127.0.0.1", 80)

    loop.run_until_complete(main())


@OWN
def test_idle_threads_end(loop, monkeypatch):
    import ringport.names

    monkeypatch.setattr(ringport.names, "IDLE", 0)
    before = set(threading.enumerate())
    loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80))


@OWN
def test_a_loop_that_is_closed_waits_for_no_resolver(new_loop, monkeypatch):
    gate, inside = threading.Event(), threading.Event()

    def getaddrinfo(*args):
        inside.set()
        gate.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    loop = new_loop()
    task = loop.create_task(loop.getaddrinfo("name.test", 80))
    loop.run_until_complete(asyncio.sleep(0))
    inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    gate.set()


def held(script):
    """Run a script with the resolver that holds its questions; what it prints."""
    stub = importlib.util.find_spec("held_names").origin
    preload = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), stub]))
    head = """
        import asyncio, socket, threading
        import held_names, ringport

        def ask(loop, host, **options):
            return asyncio.ensure_future(loop.getaddrinfo(host, 80, type=socket.SOCK_STREAM, **options))

        async def others_run():
            for _ in range(3):
                await asyncio.sleep(0)
        """
    tail = "ringport.run(main())"
    source = "\n".join(map(textwrap.dedent, (head, script, tail)))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", source], env={**os.environ, "LD_PRELOAD": preload}, stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    return done.stdout


@OWN
def test_fifty_names_are_asked_at_once_and_keep_no_thread_of_the_executor():
    held("""
        async def main():
            loop = asyncio.get_running_loop()
            asking = [ask(loop, f"held-{n}") for n in range(50)]
            await others_run()
            held_names.await_inside(50)
            assert await loop.run_in_executor(None, lambda: 42) == 42
            assert held_names.inside() == 50
            assert not any(each.done() for each in asking)
            held_names.open_gate()
            for answer in await asyncio.gather(*asking):
                assert answer[0][4] == ("127.0.0.1", 80)
        """)


@OWN
@pytest.mark.parametrize("debug", [False, True])
def test_what_is_asked_already_is_not_asked_again(debug):
    held(f"""
        async def main():
            loop = asyncio.get_running_loop()
            loop.set_debug({debug})
            asking = [ask(loop, "held-1") for _ in range(10)]
            different = [ask(loop, b"held-1"), ask(loop, "held-1", flags=socket.AI_PASSIVE)]
            failing = [ask(loop, "held-none") for _ in range(3)]
            await others_run()
            held_names.await_inside(4)
            asking.pop(0).cancel()
            await others_run()
            asking += [ask(loop, "held-1")]
            held_names.open_gate()
            answers = await asyncio.gather(*asking)
            assert all(answer == answers[0] for answer in answers)
            assert len(set(map(id, answers))) == 10
            await asyncio.gather(*different)
            errors = await asyncio.gather(*failing, return_exceptions=True)
            assert all(type(error) is socket.gaierror and error.errno == socket.EAI_NONAME for error in errors)
            assert len(set(map(id, errors))) == 3
            assert held_names.calls() == 4
            await ask(loop, "held-1")
            assert held_names.calls() == 5
        """)


@OWN
def test_a_question_that_all_have_left_is_still_there_to_be_joined():
    held("""
        async def main():
            loop = asyncio.get_running_loop()
            left = ask(loop, "held-1")
            await others_run()
            held_names.await_inside(1)
            left.cancel()
            await others_run()
            again = ask(loop, "held-1")
            await others_run()
            held_names.open_gate()
            assert await again
            assert held_names.calls() == 1
        """)


@OWN
def test_a_program_ends_while_a_name_is_asked_for():
    held("""
        async def main():
            asking = ask(asyncio.get_running_loop(), "held-1")
            await others_run()
            held_names.await_inside(1)
        """)


@OWN
@pytest.mark.forks
def test_a_child_of_fork_asks_by_threads_of_its_own():
    held("""
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)

        async def main():
            loop = asyncio.get_running_loop()
            asking = ask(loop, "held-1")
            await others_run()
            held_names.await_inside(1)
            pid = os.fork()
            if pid == 0:
                os._exit(child(loop))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            held_names.open_gate()
            assert await asking

        def child(loop):
            asyncio._set_running_loop(None)
            another = ringport.new_event_loop()
            answer = another.run_until_complete(another.getaddrinfo("127.0.0.1", 80))
            another.close()
            return 0 if answer else 1
        """)
