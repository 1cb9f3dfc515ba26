"""A project's tests by pytest-asyncio: both modes, fixtures, loops of each scope, tests that fail, a policy."""

import re
import subprocess

import pytest
from loops import LOOP, python

PACKAGES = ["pytest-asyncio", "pytest"]
COMMON = f"""
import asyncio
import pytest
import pytest_asyncio

def check():
    assert type(asyncio.get_running_loop()).__module__.split(".")[0] == {LOOP!r}
"""
AUTO = """
@pytest.fixture
async def server():
    check()
    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.close()
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]

async def test_server(server):
    check()
    reader, writer = await asyncio.open_connection("127.0.0.1", server)
    writer.write(b"text")
    writer.write_eof()
    assert await reader.read() == b"text"
    writer.close()

@pytest.mark.parametrize("n", range(50))
async def test_many(n):
    await asyncio.sleep(0)

async def test_children():
    child = await asyncio.create_subprocess_exec("true")
    assert await child.wait() == 0

class TestOfAClass:
    async def test_method(self):
        check()
"""
STRICT = """
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loop_of_the_module():
    check()
    yield asyncio.get_running_loop()

@pytest.mark.asyncio(loop_scope="module")
async def test_first(loop_of_the_module):
    assert asyncio.get_running_loop() is loop_of_the_module

@pytest.mark.asyncio(loop_scope="module")
async def test_second(loop_of_the_module):
    assert asyncio.get_running_loop() is loop_of_the_module

@pytest.mark.asyncio
async def test_own_loop(loop_of_the_module):
    assert asyncio.get_running_loop() is not loop_of_the_module

@pytest.mark.asyncio
async def test_that_fails():
    await asyncio.sleep(0)
    assert False

@pytest.mark.asyncio
async def test_that_leaves_a_task():
    asyncio.get_running_loop().create_task(asyncio.sleep(3600))
"""
CONFTEST = """
import ringport
from ringport import EventLoopPolicy
import pytest

@pytest.fixture(scope="session")
def event_loop_policy():
    return EventLoopPolicy()
"""


def outcome(folder, mode, text, command=python):
    """Runs a project of one file; gives what passed, what failed, and what was printed."""
    (folder / "test_project.py").write_text(COMMON + text)
    (folder / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    options = ["-m", "pytest", "-q", "-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider", "-W", "error"]
    options += ["-W", "ignore::DeprecationWarning"]
    done = subprocess.run(command(*options), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])}
    return counts, done.stdout


def test_auto_mode(tmp_path):
    counts, printed = outcome(tmp_path, "auto", AUTO)
    assert counts == {"passed": 53}, printed


def test_strict_mode(tmp_path):
    counts, printed = outcome(tmp_path, "strict", STRICT)
    assert counts == {"passed": 4, "failed": 1} and "FAILED test_project.py::test_that_fails" in printed, printed


@pytest.mark.skipif(LOOP != "ringport", reason="asyncio's own needs no fixture")
def test_by_a_policy(tmp_path):
    """A conftest.py alone, without python -m ringport."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    counts, printed = outcome(tmp_path, "auto", AUTO, lambda *words: python(*words)[:1] + list(words))
    assert counts == {"passed": 53}, printed
