"""Which loop the programs of this run are on, and how much of them is run.

run.py sets both in the environment. A row calls check() in each process and thread in which it is to run on that loop: a
program that has quietly made another one would prove nothing.
"""

import asyncio
import os
import sys

LOOP = os.environ.get("WORLD_LOOP", "ringport")
REDUCED = os.environ.get("WORLD_REDUCED") == "1"

ON_UVLOOP = "import runpy, sys, uvloop; uvloop.install(); del sys.argv[:2]; runpy.run_module(sys.argv[0], None, '__main__', True)"
STARTS = {"ringport": ["-m", "ringport"], "asyncio": [], "uvloop": ["-c", ON_UVLOOP]}


def size(whole, reduced):
    """How many, how long or how large: in a whole run, and in the one that CI makes of a row that takes long."""
    return reduced if REDUCED else whole


def python(*arguments):
    """The command that has Python run a program on the loop: python("-m", "uvicorn", "site:app").

    On uvloop, which only benchmarks are, a module.
    """
    return [sys.executable, *STARTS[LOOP], *arguments]


def check(loop=None):
    """Fails if this loop, or the one that runs, is not the one that this run is about."""
    found = type(loop or asyncio.get_running_loop())
    assert found.__module__.split(".")[0] == LOOP, f"on {found.__module__}.{found.__qualname__}, not on {LOOP}"
