"""How the tests of the Python face are run: on a loop that is made for each, and checked for what it leaves behind.

RINGPORT_PROACTOR chooses the backend. With --reference the tests run on asyncio's own loop: that they pass there too shows
that what they expect is asyncio's behaviour, and not ours. A test of what asyncio's loop does not do in each of the
versions of Python is marked @pytest.mark.own("why").

A test is a function, or a coroutine, which runs on the fixture `loop`. CONTRIBUTING.md has the rules.
"""

import asyncio
import gc
import inspect
import os
import pathlib
import socket
import subprocess

import pytest

import leaks

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNFORKABLE = "libasan of gcc 12 does not hold its locks over a fork: beside threads, a child may wait for one for ever"


def pytest_addoption(parser):
    parser.addoption("--reference", action="store_true", help="run on asyncio's own loop")


def refused():
    """Why the backend that is asked for cannot be had on this machine, or None."""
    if os.environ.get("RINGPORT_PROACTOR") != "io_uring":
        return None
    asked = subprocess.run([ROOT / "scripts/io-uring-permitted"], stdout=subprocess.PIPE, text=True)
    return asked.stdout.strip() if asked.returncode else None


def pytest_report_header(config):
    if config.getoption("reference"):
        return "loop: asyncio's own"
    return f"loop: ringport's, backend {os.environ.get('RINGPORT_PROACTOR', 'of its choice')}"


def pytest_collection_modifyitems(config, items):
    if config.getoption("reference"):
        own = [item for item in items if item.get_closest_marker("own")]
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]
    elif why := refused():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"no io_uring here: {why}"))
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        for item in items:
            if item.get_closest_marker("forks"):
                item.add_marker(pytest.mark.skip(reason=UNFORKABLE))
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "function", None)) and "loop" not in item.fixturenames:
            item.fixturenames.append("loop")


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("reference"):
        session.exitstatus = pytest.ExitCode.OK  # a file of our own matters


def pytest_collection_finish():
    # What is there by now stays: looking for what a test has left need not go through it each time.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    wanted = inspect.signature(pyfuncitem.function).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}
    pyfuncitem.funcargs["loop"].run_until_complete(pyfuncitem.function(**arguments))
    return True


def pytest_terminal_summary(terminalreporter):
    """The line that scripts/summary looks for."""
    cases = {}
    for outcome in "passed", "skipped", "failed", "error":
        for report in terminalreporter.stats.get(outcome, []):
            cases[report.nodeid] = "failed" if outcome == "error" else outcome
    counts = [list(cases.values()).count(outcome) for outcome in ("passed", "failed", "skipped")]
    terminalreporter.write_line("# {} passed, {} failed, {} skipped".format(*counts))


@pytest.fixture(autouse=True)
def reports():
    """What was logged as an error, message by message. A test that causes some takes them out of here."""
    held = leaks.Held()
    with leaks.Reports() as messages:
        yield messages
        left = held.left()
        assert not messages, "asyncio has logged an error"
    assert not left, "the test has left something behind"


@pytest.fixture(scope="session")
def loop_factory(pytestconfig):
    """Makes a loop of the kind that is tested."""
    if pytestconfig.getoption("reference"):
        return asyncio.SelectorEventLoop
    import ringport

    return ringport.new_event_loop


@pytest.fixture
def new_loop(reports, loop_factory):
    """Makes a loop that is ended after the test: its tasks are cancelled, as asyncio.run() does, and it is closed."""
    loops = []

    def new():
        loops.append(loop_factory())
        return loops[-1]

    yield new
    for loop in loops:
        if not loop.is_closed():
            end(loop)


def end(loop):
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


@pytest.fixture
def loop(new_loop):
    """A loop: not running, unless the test is a coroutine."""
    return new_loop()


@pytest.fixture
def contexts(loop):
    """What the loop's exception handler is told."""
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    return told


@pytest.fixture
def pair():
    """Two connected sockets, which do not block."""
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


@pytest.fixture
def run(loop):
    """run(awaitable): its result, on `loop`."""
    return loop.run_until_complete
