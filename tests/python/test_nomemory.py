"""Allocations that fail in each entry point of the extension, each in its turn: an error is seen, nothing leaks or crashes.

`nomemory_child.py entry call_soon 7 1` tries the allocation number 7 of the entry point call_soon only, and
`nomemory_child.py scenario echo 0 100` a hundred of those of a whole scenario (scenarios.py). There, the interpreter may
lose a wake-up over it, and what waits for that goes on when its time limit is over.
"""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

import entries

CHILD = pathlib.Path(__file__).resolve().with_name("nomemory_child.py")
ALL = 100_000

pytestmark = [
    pytest.mark.own("is about the extension"),
    pytest.mark.skipif(not importlib.util.find_spec("_testcapi"), reason="this Python has no _testcapi"),
]


def wrong(what, name, count):
    """What the child has found; if it dies, another one goes on after the allocation over which it has died."""
    found, first = [], 0
    for _ in range(5):
        child = subprocess.run(
            [sys.executable, CHILD, what, name, str(first), str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines = child.stdout.splitlines()
        found += [line for line in lines if line.startswith("wrong")]
        if lines and lines[-1] == "end":
            return found
        found.append(f"died with status {child.returncode} in {lines[-1:]}: {child.stderr[-3000:]}")
        last = next((line.split() for line in reversed(lines) if line.startswith("run")), None)
        if not last:
            break
        first = int(last[1]) + 1
    return found


@pytest.mark.parametrize("name", entries.ENTRIES)
def test_entry(name):
    assert not wrong("entry", name, ALL)
