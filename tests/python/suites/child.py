"""child.py SUITE MODULE REPORT-FD LIST [--reference]: runs tests of a module of a suite (SUITE_suite.py) on ringport's loop.

LIST is a file with the names of the tests, or of those that are left out, with a minus before them. What comes of each is
written to REPORT-FD, a JSON object a line.
"""

import faulthandler
import gc
import importlib
import json
import os
import sys
import unittest
import warnings

DEADLINE = 120  # seconds for one test, for hangs alone

suite = importlib.import_module(f"{sys.argv[1]}_suite")
home = suite.home(sys.argv[2])  # the module's whole name


def name_of(test):
    return test.id().removeprefix(home.rpartition(".")[0] + ".")


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
        self.made = suite.made()
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
        self.tell(test=self.name, loops=suite.made() - self.made, **self.outcome)
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


def flat(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main():
    module, descriptor, wanted = sys.argv[2:5]
    wanted = set(open(wanted).read().split())
    loaded = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(home))
    suite.prepare(module, "--reference" in sys.argv)
    tests = [test for test in flat(loaded) if not suite.left_out(test)]
    left_out = {name[1:] for name in wanted if name.startswith("-")}
    wanted -= {"-" + name for name in left_out}
    chosen = [test for test in tests if name_of(test) not in left_out and (not wanted or name_of(test) in wanted)]
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
