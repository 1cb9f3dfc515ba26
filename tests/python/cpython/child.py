"""child.py MODULE REPORT-FD LIST [--reference]: runs tests of test.test_asyncio.MODULE with ringport's loop.

LIST is a file with the names of the tests, or of those that are left out, with a minus before them. What comes of each is
written to REPORT-FD, a JSON object a line. Nothing of the test suite is changed: the names by which its tests get a loop are
made to lead to ours after it has been imported, so that the classes which it derives from asyncio's stay what they are.
"""

import asyncio
import contextlib
import faulthandler
import gc
import importlib
import json
import os
import signal
import socket
import sys
import unittest
import warnings
from asyncio import base_events, selector_events, unix_events
from unittest import mock

DEADLINE = 120  # seconds for one test, for hangs alone

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

made = 0  # loops of ours


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
            global made
            made += 1
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


def name_of(test):
    return test.id().removeprefix("test.test_asyncio.")


def never_begun(test):
    """Whether a decorator has the test skipped."""
    method = getattr(test, getattr(test, "_testMethodName", ""), None)
    return getattr(type(test), "__unittest_skip__", False) or getattr(method, "__unittest_skip__", False)


class Result(unittest.TestResult):
    """Tells what becomes of each test, and looks for what it has left behind."""

    def __init__(self, report):
        super().__init__()
        self.report = report
        self.name = None  # of the test that is running, or has run
        self.outcome = {}
        self.unraisable = []
        sys.unraisablehook = lambda error: self.unraisable.append(
            f"unraisable {error.exc_type.__name__}: {error.exc_value} in {error.object!r}"
        )

    def tell(self, **what):
        self.report.write(json.dumps(what) + "\n")
        self.report.flush()

    def startTest(self, test):
        super().startTest(test)
        self.finish()
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        self.name = name_of(test)
        self.tell(begun=self.name)
        self.outcome = {"outcome": "passed"}
        self.unraisable.clear()
        self.made = made
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def finish(self):
        """Tells what became of a test: not in stopTest(), since IsolatedAsyncioTestCase closes its loop after that."""
        if self.name is None:
            return
        gc.collect()
        faulthandler.cancel_dump_traceback_later()
        for problem in self.unraisable:
            self.failed(problem)
        if len(os.listdir("/proc/self/fd")) > self.descriptors:
            self.failed("left descriptors open")
        self.tell(test=self.name, loops=made - self.made, **self.outcome)
        self.name = None

    def failed(self, why):
        self.outcome = {"outcome": "failed", "why": self.outcome.get("why", "") + why + "\n"}

    def addSkip(self, test, reason):
        if not hasattr(test, "_testMethodName"):  # of a class or a module as a whole
            self.tell(whole=str(test), outcome="unfit", why=reason)
        elif name_of(getattr(test, "test_case", test)) != self.name:  # Python 3.12.1 begins no test that is to be skipped
            self.tell(test=name_of(test), outcome="unfit", why=reason)
        elif self.outcome["outcome"] != "failed":
            self.outcome = {"outcome": "unfit" if never_begun(test) else "skipped", "why": reason}

    def addError(self, test, error):
        self.failed(self._exc_info_to_string(error, test) if hasattr(test, "failureException") else repr(error[1]))
        if not hasattr(test, "_testMethodName"):
            self.tell(whole=str(test), **self.outcome)

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error:
            self.addError(test, error)

    def addExpectedFailure(self, test, error):
        self.outcome = {"outcome": "passed"}


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main():
    module, descriptor, wanted = sys.argv[1:4]
    wanted = set(open(wanted).read().split())
    suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f"test.test_asyncio.{module}"))
    tests = [test for test in flat(suite) if type(test).__name__ not in THE_SAME]
    left_out = {name[1:] for name in wanted if name.startswith("-")}
    wanted -= {"-" + name for name in left_out}
    chosen = [test for test in tests if name_of(test) not in left_out and (not wanted or name_of(test) in wanted)]
    if "--reference" not in sys.argv:
        replace_loops(module)
    permit_large_tests()
    warnings.simplefilter("default")
    gc.collect()
    gc.freeze()
    with open(int(descriptor), "w") as report:
        result = Result(report)
        if not wanted:
            result.tell(tests=[name_of(test) for test in tests])
        unittest.TestSuite(chosen).run(result)
        result.finish()
        result.tell(ended=True)


if __name__ == "__main__":  # not in a process that multiprocessing has started
    main()
