"""ringport.run(), loop factories, and the event loop policy."""

import asyncio
import gc
import subprocess
import sys
import weakref

import pytest

pytestmark = pytest.mark.own("this is ringport's own surface")

OLD = sys.version_info < (3, 14)


@pytest.fixture
def ringport():
    import ringport

    return ringport


async def which():
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def test_run(ringport):
    loop = ringport.run(which())
    assert type(loop) is ringport.Loop and loop.is_closed() and isinstance(loop, asyncio.AbstractEventLoop)


def test_run_options(ringport):
    async def main():
        loop = asyncio.get_running_loop()
        return loop.backend, loop.get_debug()

    assert ringport.run(main(), backend="epoll", debug=True) == ("epoll", True)
    assert ringport.run(main(), backend="epoll", debug=False, busy_poll=0.0001) == ("epoll", False)
    with pytest.raises(TypeError, match="nonsense"):
        ringport.run(coroutine := main(), nonsense=1)
    coroutine.close()


def test_run_by_a_factory(ringport):
    class Loop(ringport.Loop):
        pass

    assert type(ringport.run(which(), loop_factory=Loop)) is Loop
    assert type(ringport.run(which(), loop_factory=Loop, backend="epoll")) is Loop
    assert type(ringport.run(which(), loop_factory=None)) is ringport.Loop
    with asyncio.Runner(loop_factory=ringport.new_event_loop) as runner:
        assert type(runner.run(which())) is ringport.Loop
        assert runner.run(which()) is runner.get_loop()
    if sys.version_info >= (3, 12):
        assert type(asyncio.run(which(), loop_factory=ringport.new_event_loop)) is ringport.Loop


def test_run_refuses(ringport):
    async def main():
        coroutine = which()
        with pytest.raises(RuntimeError, match=r"^asyncio.run\(\) cannot be called from a running event loop$"):
            ringport.run(coroutine)
        coroutine.close()

    ringport.run(main())
    with pytest.raises((ValueError, TypeError), match="a coroutine was expected|coroutine or an awaitable is required"):
        ringport.run(print)


def test_run_cleans_up(ringport):
    seen = []

    async def generate():
        try:
            yield
        finally:
            await asyncio.sleep(0)
            seen.append("generator")

    async def forever():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("task")

    async def main():
        task = asyncio.create_task(forever())
        generator = generate()
        await anext(generator)
        await asyncio.to_thread(seen.append, "thread")
        await asyncio.sleep(0)
        seen.append("main")
        return task, generator

    task, _ = ringport.run(main())
    assert seen == ["thread", "main", "task", "generator"] and task.cancelled()


def test_run_fails(ringport):
    async def main():
        await asyncio.sleep(0)
        raise LookupError("wrong")

    with pytest.raises(LookupError, match="wrong"):
        ringport.run(main())


def test_run_leaves_no_objects(ringport):
    references = []

    async def main():
        references.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(5)))
        await asyncio.to_thread(int)

    for _ in range(10):
        ringport.run(main())
    gc.collect()
    assert all(reference() is None for reference in references)


def test_names(ringport):
    assert ringport.__version__.count(".") >= 1
    assert {"Loop", "new_event_loop", "run"} <= set(ringport.__all__)
    assert ringport.__doc__ and ringport.Loop.__doc__ and ringport.run.__doc__
    for name in ringport.__all__:
        assert getattr(ringport, name).__doc__
    with pytest.raises(AttributeError, match="module 'ringport' has no attribute 'nothing'"):
        ringport.nothing
    for name in vars(asyncio.AbstractEventLoop):
        if not name.startswith("_"):
            assert callable(getattr(ringport.Loop, name))


# ---- policies ----


@pytest.mark.skipif(not OLD, reason="policies are deprecated")
def test_policy(ringport):
    asyncio.set_event_loop_policy(ringport.EventLoopPolicy())
    try:
        assert type(asyncio.run(which())) is ringport.Loop
        loop = asyncio.new_event_loop()
        assert type(loop) is ringport.Loop
        asyncio.set_event_loop(loop)
        assert asyncio.get_event_loop() is loop
        loop.close()
        asyncio.set_event_loop(None)
        with pytest.raises(RuntimeError, match="There is no current event loop in thread"):
            asyncio.get_event_loop()
        with asyncio.Runner() as runner:
            assert type(runner.get_loop()) is ringport.Loop
    finally:
        asyncio.set_event_loop_policy(None)


@pytest.mark.skipif(not OLD, reason="policies are deprecated")
def test_install(ringport):
    ringport.install()
    try:
        assert isinstance(asyncio.get_event_loop_policy(), ringport.EventLoopPolicy)
        assert type(asyncio.run(which())) is ringport.Loop
    finally:
        asyncio.set_event_loop_policy(None)


LATER = """
import sys, warnings
import asyncio, _thread, threading, logging, concurrent.futures, ssl, socket
import ringport._core, asyncio.base_events, importlib
warnings.simplefilter("error")
for name in [name for name in sys.modules if name.startswith("ringport") and not name.endswith("_core")]:
    del sys.modules[name]
sys.version_info = (3, {minor}, 0, "final", 0)
import ringport
"""


def in_version(minor, code):
    """Runs code with a ringport that believes to be in Python 3.minor."""
    program = LATER.format(minor=minor) + code
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_policies_are_deprecated():
    printed = in_version(
        14,
        """
assert "install" not in ringport.__all__
for name, call in ("EventLoopPolicy", lambda: ringport.EventLoopPolicy), ("install", lambda: ringport.install()):
    try:
        call()
    except DeprecationWarning as warning:
        print(warning)
warnings.simplefilter("ignore")
ringport.install()
print(type(asyncio.new_event_loop()) is ringport.Loop)
""",
    )
    assert printed.splitlines() == [
        "'ringport.EventLoopPolicy' is deprecated and slated for removal in Python 3.16",
        "'ringport.install' is deprecated and slated for removal in Python 3.16",
        "True",
    ]


def test_policies_are_gone():
    printed = in_version(
        16,
        """
for name in "EventLoopPolicy", "install":
    try:
        getattr(ringport, name)
    except AttributeError as error:
        print(error)
""",
    )
    assert printed.splitlines() == [
        "module 'ringport' has no attribute 'EventLoopPolicy'",
        "module 'ringport' has no attribute 'install'",
    ]
