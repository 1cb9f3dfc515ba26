"""CPython's own tests of asyncio, and those of others of its parts that run coroutines: the ones that came with this Python.

Nothing of them is changed: the names by which they get a loop are made to lead to ours after they have been imported, so that
the classes which they derive from asyncio's stay what they are.
"""

import asyncio
import contextlib
import importlib.util
import os
import pathlib
import signal
import socket
import sys
from asyncio import base_events, selector_events, unix_events
from unittest import mock

LISTS = ["cpython.txt"] + ["cpython_sanitized.txt"] * ("libasan" in os.environ.get("LD_PRELOAD", ""))
LONGEST = "test_ssl", "test_events", "test_tasks", "test_sslproto", "test_sendfile"

# Tests of coroutines beyond asyncio's own: where they are, which Python 3.12 has changed for those of unittest.
UNITTEST = "test.test_unittest" if sys.version_info >= (3, 12) else "unittest.test"
ELSEWHERE = {
    "test_asyncgen": "test.test_asyncgen",
    "test_contextlib_async": "test.test_contextlib_async",
    "test_coroutines": "test.test_coroutines",
    "test_async_case": f"{UNITTEST}.test_async_case",
    "testasync": f"{UNITTEST}.testmock.testasync",
}

# Whose tests look for readers and writers in a loop that is made for tests: they are about asyncio's transports.
LOOK_INSIDE = {"test_selector_events", "test_proactor_events", "test_unix_events", "test_subprocess"}

# The same tests as in SelectEventLoopTests, with another argument that our loop ignores.
THE_SAME = {"EPollEventLoopTests", "PollEventLoopTests"}

# Whose tests make a loop of a base class.
IN_PLACE_OF_BASES = {
    "test_base_events": ((base_events, "BaseEventLoop"), (selector_events, "BaseSelectorEventLoop")),
    "test_pep492": ((asyncio, "BaseEventLoop"),),
    "test_runners": ((asyncio, "BaseEventLoop"),),
}

loops = 0  # of ours


def modules(source):
    where = pathlib.Path(importlib.util.find_spec("test.test_asyncio").origin).parent
    return sorted(path.stem for path in where.glob("test_*.py") if "windows" not in path.stem) + sorted(ELSEWHERE)


def home(module):
    return ELSEWHERE.get(module, f"test.test_asyncio.{module}")


def prepare(module, reference):
    if not reference:
        replace_loops(module)
    permit_large_tests()


def made():
    return loops


def left_out(test):
    return type(test).__name__ in THE_SAME


class Replaceable:
    """For ringport's own modules: a module, or what a test has put in its place in one of asyncio's modules."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        places = (getattr(place, self.module.__name__) for place in (base_events, unix_events))
        return getattr(next((place for place in places if isinstance(place, mock.Mock)), self.module), name)


def replace_loops(module):
    """Makes ours of every loop that a test can ask for."""
    import ringport

    class Loop(ringport.Loop):
        """Takes what the constructors of asyncio's loops take."""

        def __init__(self, selector=None):
            global loops
            loops += 1
            super().__init__()
            if selector is not None:
                selector.close()

    for owner, name in (
        (asyncio, "SelectorEventLoop"),
        (asyncio, "EventLoop"),
        (unix_events, "SelectorEventLoop"),
        (unix_events, "_UnixSelectorEventLoop"),
        (unix_events, "EventLoop"),
    ) + IN_PLACE_OF_BASES.get(module, ()):
        if hasattr(owner, name):
            setattr(owner, name, Loop)
    unix_events._UnixDefaultEventLoopPolicy._loop_factory = Loop

    from test.test_asyncio import utils

    def new_test_loop(self, gen=None):
        # With `gen` it is a loop whose time is made up, which is asyncio's.
        loop = Loop() if gen is None and module not in LOOK_INSIDE else utils.TestLoop(gen)
        self.set_event_loop(loop)
        return loop

    utils.TestCase.new_test_loop = new_test_loop

    ringport.connect.socket = ringport.server.socket = Replaceable(socket)
    if module == "test_unix_events":
        from ringport import signals

        base_events.signal = signal
        signals.signal, signals.sys = Replaceable(signal), Replaceable(sys)

    if module == "test_tasks":
        from test.test_asyncio import test_tasks

        def run_loop(self, loop):
            # In place of looking whether handles are ready.
            for _ in range(10):
                utils.run_once(loop)

        test_tasks.GatherTestsBase._run_loop = run_loop


def permit_large_tests():
    """Have those run that need some memory, and in this process."""
    from test import support

    support.real_max_memuse = support.max_memuse = 4 << 30
    with contextlib.suppress(ImportError):  # it came with 3.14
        from test.support import isolation

        isolation.runningInSubprocess = True
