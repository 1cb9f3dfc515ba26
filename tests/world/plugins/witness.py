"""A plugin of pytest that tells on whose loops a suite has run, and fails one that was to run on ringport's and did not.

Suites make their loops themselves, some of them of a class that they name: such a case says nothing about ringport. So each
loop that runs is counted, by the package that its class is from.
"""

import asyncio
import collections
import os

WANTED = os.environ.get("WORLD_LOOP", "ringport")
begun = collections.Counter()


def watch(events):
    """Have the loops that begin to run counted. Ringport's call the function by its module, asyncio's do so as well."""
    set_running_loop = events._set_running_loop

    def counted(loop):
        if loop is not None:
            begun[type(loop).__module__.split(".")[0]] += 1
        set_running_loop(loop)

    events._set_running_loop = counted


watch(asyncio.events)


def pytest_terminal_summary(terminalreporter):
    told = ", ".join(f"{count} of {package}" for package, count in begun.most_common())
    terminalreporter.write_line(f"runs of loops: {told or 'none'}")


def pytest_sessionfinish(session):
    if begun[WANTED] <= sum(begun.values()) / 2:
        print(f"\nmost loops were not of {WANTED}: {dict(begun)}")
        session.exitstatus = 3
