"""That the harness finds what a test has left: each case runs pytest on a small file of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def outcome(tmp_path, pytestconfig):
    """outcome(body): how a test with this body ends, and what pytest printed."""
    for name in "conftest.py", "leaks.py", "pytest.ini":
        os.symlink(HERE / name, tmp_path / name)
    options = ["--reference"] if pytestconfig.getoption("reference") else []

    def run(body):
        lines = ["import asyncio, os, threading, warnings, pytest", *body.splitlines()]
        (tmp_path / "test_it.py").write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "pytest", *options, "-c", tmp_path / "pytest.ini", tmp_path]
        printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path).stdout
        return next((line for line in printed.splitlines() if line.startswith("# ")), None), printed

    return run


@pytest.mark.parametrize(
    "body",
    [
        "def test_it(run): run(asyncio.sleep(0))",
        "async def test_it(loop): assert asyncio.get_running_loop() is loop",
        "async def test_it(tmp_path): await asyncio.sleep(0)",
        "def test_it(loop, reports):\n    loop.call_soon(lambda: 1 / 0)\n    loop.run_until_complete(asyncio.sleep(0))\n"
        "    assert 'ZeroDivisionError' in reports.pop()",
        "async def forever(): await asyncio.get_running_loop().create_future()\n"
        "async def test_it(): task = asyncio.create_task(forever())",
    ],
    ids=["run", "coroutine", "fixtures", "expected report", "task left to the fixture"],
)
def test_passes(outcome, body):
    line, printed = outcome(body)
    assert line == "# 1 passed, 0 failed, 0 skipped", printed


@pytest.mark.parametrize(
    "body, said",
    [
        ("kept = []\ndef test_it(): kept.append(os.pipe())", "descriptor"),
        (
            "import leaks\nleaks.DEADLINE = 0\n"
            "def test_it(): threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "thread",
        ),
        ("async def test_it(loop): loop.call_soon(lambda: 1 / 0)\n", "ZeroDivisionError"),
        ("async def test_it(): asyncio.get_running_loop().create_future().set_exception(ValueError('lost'))", "lost"),
        ("def test_it(loop_factory): loop_factory()", "unclosed event loop"),
        ("async def nobody(): pass\ndef test_it(): nobody()", "never awaited"),
        ("class Bad:\n    def __del__(self): 1 / 0\ndef test_it(): Bad()", "ZeroDivisionError"),
        ("async def test_it(): warnings.warn('beware', ResourceWarning)", "beware"),
        ("async def test_it(): assert False, 'wrong'", "wrong"),
    ],
    ids=["descriptor", "thread", "report", "future", "loop", "coroutine", "unraisable", "warning", "assertion"],
)
def test_fails(outcome, body, said):
    line, printed = outcome(body)
    assert line == "# 0 passed, 1 failed, 0 skipped", printed
    assert said in printed
