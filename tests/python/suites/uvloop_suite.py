"""uvloop's own tests, which uvloop's source package has: PYTHONPATH leads to it, unpacked.

In place of uvloop's extension module, where its loop is, it has standin.py. Everything else of it is as it came. Of the tests,
those are left out that uvloop runs on asyncio's loop.
"""

import pathlib

LISTS = ["uvloop.txt"]
LONGEST = "test_tcp", "test_base", "test_process", "test_sockets", "test_context"


def modules(source):
    return sorted(path.stem for path in (pathlib.Path(source) / "tests").glob("test_*.py"))


def home(module):
    return f"tests.{module}"


def prepare(module, reference):
    """Nothing is to be done: standin.py asks the environment whether this is a reference."""


def made():
    from uvloop import loop

    return loop.Loop.made


def left_out(test):
    from uvloop import _testbase

    return isinstance(test, _testbase.AIOTestCase)
