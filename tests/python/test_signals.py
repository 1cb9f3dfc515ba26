"""Signals: handlers of a loop and of the program, Ctrl-C, and the descriptor that Python writes signals into."""

import asyncio
import errno
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

DEADLINE = 60  # for hangs alone
SIGNALS = signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM, signal.SIGTERM


@pytest.fixture(autouse=True)
def as_before():
    """Each test leaves handlers and the wakeup descriptor as it has found them."""
    for sig in SIGNALS:
        if signal.getsignal(sig) is signal.SIG_IGN:  # as under nohup; asyncio puts the default one in its place
            signal.signal(sig, signal.SIG_DFL)
    handlers = [signal.getsignal(sig) for sig in (signal.SIGINT, *SIGNALS)]
    yield
    now = [signal.getsignal(sig) for sig in (signal.SIGINT, *SIGNALS)]
    assert now == handlers
    wakeup = signal.set_wakeup_fd(-1)
    assert wakeup == -1


def kill(sig=signal.SIGUSR1):
    os.kill(os.getpid(), sig)


def kill_when_asleep(loop, sig=signal.SIGUSR1):
    """Sends the signal from a thread, to the process, when the loop has nothing to do any more."""
    state = pathlib.Path(f"/proc/self/task/{threading.get_native_id()}/stat")

    def wait_and_kill():
        while state.read_text().rpartition(")")[2].split()[0] != "S":
            time.sleep(0)
        kill(sig)

    thread = threading.Thread(target=wait_and_kill)
    loop.call_soon(thread.start)
    return thread


# ---- handlers of the loop ----


def test_handler(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, lambda *args: (seen.append(args), loop.stop()), 1, 2)
    for _ in range(3):
        loop.call_soon(kill)
        loop.run_forever()
    assert seen == [(1, 2)] * 3
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_handler_of_a_sleeping_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = kill_when_asleep(loop)
    loop.run_forever()
    thread.join()


def test_handler_of_a_busy_loop(loop):
    def spin():
        loop.call_soon(spin)

    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.call_soon(spin)
    loop.call_soon(kill)
    loop.run_forever()


def test_handler_is_called_in_a_turn(loop):
    """Not where the signal has struck: it may use the loop."""
    seen = []

    async def main():
        event = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append(asyncio.current_task()), event.set()))
        kill()
        seen.append("struck")
        await event.wait()

    loop.run_until_complete(main())
    assert seen == ["struck", None]


def test_signal_between_two_runs(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "between")
    loop.run_until_complete(asyncio.sleep(0))
    kill()
    assert seen == []
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    assert seen == ["between"]


def test_many_signals(loop):
    seen = []
    sent = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP]
    for sig in sent:
        loop.add_signal_handler(sig, lambda sig=sig: (seen.append(sig), len(seen) == 3 and loop.stop()))
    for sig in sent:
        kill(sig)
    loop.run_forever()
    assert seen == sent


def test_second_handler_replaces_the_first(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append(2), loop.stop()))
    loop.call_soon(kill)
    loop.run_forever()
    assert seen == [2]


def test_handler_removed_by_itself(loop):
    def handler():
        assert loop.remove_signal_handler(signal.SIGUSR1)
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(kill)
    loop.run_forever()


def test_handler_that_fails(loop, reports):
    def handler():
        loop.stop()
        raise LookupError("wrong")

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(kill)
    loop.run_forever()
    assert "LookupError: wrong" in reports.pop()


def test_handlers_context(loop):
    import contextvars

    variable = contextvars.ContextVar("variable", default=0)
    seen = []
    token = variable.set(1)
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append(variable.get()), loop.stop()))
    variable.reset(token)
    loop.call_soon(kill)
    loop.run_forever()
    assert seen == [1]


def test_close_removes_handlers(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGINT, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_child_signal(loop):
    loop.add_signal_handler(signal.SIGCHLD, loop.stop)
    process = subprocess.Popen(["true"])
    loop.run_forever()
    assert process.wait() == 0


def test_interrupts_taken_by_a_handler(loop):
    loop.add_signal_handler(signal.SIGINT, loop.stop)
    thread = kill_when_asleep(loop, signal.SIGINT)
    loop.run_forever()
    thread.join()


async def coroutine_function():
    pass


def test_refused(loop):
    coroutine = coroutine_function()
    for wrong in coroutine, coroutine_function:
        with pytest.raises(TypeError, match=r"^coroutines cannot be used with add_signal_handler\(\)$"):
            loop.add_signal_handler(signal.SIGUSR1, wrong)
    coroutine.close()
    for sig in 0, -1, 100000, signal.NSIG:
        with pytest.raises(ValueError, match=f"^invalid signal number {int(sig)}$"):
            loop.add_signal_handler(sig, print)
        with pytest.raises(ValueError, match=f"^invalid signal number {int(sig)}$"):
            loop.remove_signal_handler(sig)
    for sig in "SIGUSR1", None, 1.5:
        with pytest.raises(TypeError, match=f"^sig must be an int, not {sig!r}$"):
            loop.add_signal_handler(sig, print)
    for sig in signal.SIGKILL, signal.SIGSTOP:
        with pytest.raises(RuntimeError, match=f"^sig {int(sig)} cannot be caught$"):
            loop.add_signal_handler(int(sig), print)
        assert loop.remove_signal_handler(sig) is False
    loop.close()
    with pytest.raises(RuntimeError, match="^Event loop is closed$"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_refused_in_another_thread(loop):
    errors = []

    def other():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as error:
            errors.append(str(error))
        loop.run_until_complete(asyncio.sleep(0))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(errors) == 1 and "only works in main thread" in errors[0]


def test_error_of_the_system(loop, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(signal, "signal", fail)
    with pytest.raises(OSError, match="no memory"):
        loop.add_signal_handler(signal.SIGUSR1, print)
    monkeypatch.undo()
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


# ---- handlers of the program ----


@pytest.fixture
def program_handler():
    """Sets a handler by signal.signal(), and restores what was there."""
    before = []

    def set_handler(sig, handler):
        before.append((sig, signal.signal(sig, handler)))

    yield set_handler
    for sig, handler in reversed(before):
        signal.signal(sig, handler)


def test_program_handler_while_the_loop_sleeps(loop, program_handler):
    program_handler(signal.SIGUSR1, lambda *args: loop.call_soon_threadsafe(loop.stop))
    thread = kill_when_asleep(loop)
    loop.run_forever()
    thread.join()


@pytest.mark.own("asyncio's loops go on to sleep")
def test_program_handler_that_uses_the_loop_directly(loop, program_handler):
    """call_soon() is not for handlers of signals. But it works when the loop wakes up."""
    program_handler(signal.SIGUSR1, lambda *args: loop.call_soon(loop.stop))
    thread = kill_when_asleep(loop)
    loop.run_forever()
    thread.join()


def test_program_handler_that_raises(loop, program_handler):
    class Told(Exception):
        pass

    def handler(*args):
        raise Told

    program_handler(signal.SIGUSR1, handler)
    thread = kill_when_asleep(loop)
    with pytest.raises(Told):
        loop.run_forever()
    thread.join()
    assert loop.run_until_complete(asyncio.sleep(0, "goes on")) == "goes on"


@pytest.mark.own("asyncio's loops go on to sleep")
def test_signal_for_another_thread(loop, program_handler):
    """The kernel may pick any thread; the main one, which runs the handler, must hear of it."""
    gate = threading.Event()
    threads = [threading.Thread(target=gate.wait)]
    threads[0].start()
    program_handler(signal.SIGUSR1, lambda *args: loop.call_soon_threadsafe(loop.stop))
    thread = threading.Thread(target=lambda: signal.pthread_kill(threads[0].ident, signal.SIGUSR1))
    loop.call_soon(thread.start)
    loop.run_forever()
    gate.set()
    for thread in thread, *threads:
        thread.join()


@pytest.mark.own("asyncio's loops go on to sleep")
def test_signal_just_before_the_sleep(loop, program_handler):
    """It comes after Python has looked for signals, and before the loop sleeps."""
    program_handler(signal.SIGUSR1, lambda *args: loop.call_soon_threadsafe(loop.stop))
    for _ in range(20):
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        loop.run_forever()


def test_alarms(loop, program_handler):
    program_handler(signal.SIGALRM, lambda *args: loop.call_soon_threadsafe(loop.stop))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    loop.run_forever()


# ---- Ctrl-C ----


def test_interrupt_of_a_sleeping_loop(loop):
    thread = kill_when_asleep(loop, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    thread.join()
    assert loop.run_until_complete(asyncio.sleep(0, "goes on")) == "goes on"


def test_interrupt_of_a_busy_loop(loop):
    async def spin():
        while True:
            await asyncio.sleep(0)

    loop.call_later(0.001, kill, signal.SIGINT)
    task = loop.create_task(spin())
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    if not task.done():
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    else:
        assert isinstance(task.exception(), KeyboardInterrupt)


def test_interrupt_of_callbacks_in_c(loop):
    """None of them gives Python an occasion to look for signals."""
    import functools

    spin = functools.partial(loop.call_soon)
    spin.__setstate__((loop.call_soon, (spin,), {}, {}))
    loop.call_soon(spin)
    loop.call_soon(functools.partial(signal.raise_signal, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()


def test_interrupt_cancels_the_main_task(loop_factory):
    seen = []

    async def main():
        threading.Thread(target=kill, args=(signal.SIGINT,)).start()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
            seen.append("cleaned up")
            raise

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(main())
        assert seen == ["cleaned up"]
        assert runner.run(asyncio.sleep(0, "again")) == "again"


def test_interrupt_that_the_main_task_ignores(loop_factory):
    async def main():
        threading.Thread(target=kill, args=(signal.SIGINT,)).start()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "ignored"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == "ignored"


def test_second_interrupt_ends_at_once(loop_factory):
    async def main():
        loop = asyncio.get_running_loop()
        loop.call_soon(kill, signal.SIGINT)
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            loop.call_soon(kill, signal.SIGINT)
            await loop.create_future()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(main())


PROGRAM = """
import asyncio, sys
async def main():
    print("ready", flush=True)
    {wait}
{run}
"""


@pytest.mark.own("it is about ringport's run()")
@pytest.mark.parametrize("wait", ["await asyncio.sleep(3600)", "while True: await asyncio.sleep(0)", "while True: pass"])
@pytest.mark.parametrize(
    "run",
    ["import ringport; ringport.run(main())", "import ringport; ringport.Loop().run_until_complete(main())"],
)
def test_interrupt_from_outside(wait, run):
    program = PROGRAM.format(wait=wait, run=run)
    command = [sys.executable, "-W", "ignore", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        while wait == "while True: pass" and process.poll() is None:
            process.send_signal(signal.SIGINT)  # the first one cancels the task, which does not look
            time.sleep(0.01)
        err = process.communicate(timeout=DEADLINE)[1]
        assert process.returncode == -signal.SIGINT
        assert "\nKeyboardInterrupt" in err


# ---- the wakeup descriptor ----


@pytest.fixture
def somebodys():
    """A wakeup descriptor of another library's: its read end."""
    read, write = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(write)
    yield read, write
    assert signal.set_wakeup_fd(-1) == write
    os.close(read)
    os.close(write)


@pytest.mark.own("asyncio's loops take the descriptor away")
def test_somebody_elses_descriptor(loop, somebodys, program_handler):
    read, write = somebodys
    program_handler(signal.SIGUSR1, lambda *args: None)

    async def main():
        kill()
        while not select.select([read], [], [], 0)[0]:
            await asyncio.sleep(0)
        assert os.read(read, 10) == bytes([signal.SIGUSR1])
        loop.add_signal_handler(signal.SIGUSR2, print)
        loop.remove_signal_handler(signal.SIGUSR2)

    loop.run_until_complete(main())
    kill()
    assert os.read(read, 10) == bytes([signal.SIGUSR1])


@pytest.mark.own("asyncio's loops take the descriptor away")
def test_somebody_elses_descriptor_watched_by_the_loop(loop, somebodys, program_handler):
    """What a program does that wants signals in its loop, without add_signal_handler()."""
    read, write = somebodys
    seen = []
    program_handler(signal.SIGUSR1, lambda *args: None)
    loop.add_reader(read, lambda: (seen.append(os.read(read, 10)), loop.stop()))
    loop.call_soon(kill)
    loop.run_forever()
    loop.remove_reader(read)
    assert seen == [bytes([signal.SIGUSR1])]


@pytest.mark.own("asyncio's loops take the descriptor away")
def test_descriptor_that_somebody_sets_during_a_run(loop):
    read, write = os.pipe2(os.O_NONBLOCK)

    async def main():
        signal.set_wakeup_fd(write)

    loop.run_until_complete(main())
    assert signal.set_wakeup_fd(-1) == write
    os.close(read)
    os.close(write)


@pytest.mark.own("asyncio's loops take the descriptor away")
def test_two_loops_with_handlers(new_loop):
    one, other = new_loop(), new_loop()
    seen = []
    one.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("one"), one.stop()))
    other.add_signal_handler(signal.SIGUSR2, lambda: (seen.append("other"), other.stop()))
    other.call_soon(kill, signal.SIGUSR2)
    other.run_forever()
    one.call_soon(kill, signal.SIGUSR1)
    one.run_forever()
    other.call_soon(kill, signal.SIGUSR2)
    other.run_forever()
    assert seen == ["other", "one", "other"]
    other.close()
    one.call_soon(kill, signal.SIGUSR1)
    one.run_forever()
    assert seen[3:] == ["one"]


def test_run_in_a_thread_while_the_main_one_has_handlers(loop, new_loop):
    other = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = threading.Thread(target=other.run_until_complete, args=(asyncio.sleep(0.001),))
    thread.start()
    loop.call_soon(kill)
    loop.run_forever()
    thread.join()
