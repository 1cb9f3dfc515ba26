"""Twisted on its asyncio reactor: web server and agent, Deferreds and coroutines, TLS, processes, threads, datagrams, periods.

The reactor is one of a process, so that the program runs as a process of its own.
"""

import pathlib
import subprocess

from loops import LOOP, python

PACKAGES = ["Twisted"]
PROGRAM = pathlib.Path(__file__).parent / "apps/twisted_program.py"


def test_program(tmp_path):
    """Each line that the program prints is something that has gone well."""
    done = subprocess.run(python(str(PROGRAM), str(tmp_path)), timeout=250, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"on {LOOP}", "requests", "a large body", "TLS", "a process", "threads", "datagrams", "periods",
        "a coroutine of asyncio's", "an error", "a lost connection", "the end",
    ]  # fmt: skip
