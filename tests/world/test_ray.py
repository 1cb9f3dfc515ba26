"""A driver, workers and async actors: 1,000 calls at once, streams, cancellation, an actor killed and restarted.

At which addresses Ray's daemons serve is theirs to choose, so the row has a network of its own: nothing but loopback.
"""

import asyncio
import os
import pathlib
import shutil
import signal
import tempfile

import network
import numpy
import psutil
import pytest
import ray
from cases import on_loop
from loops import LOOP, check, size
from ray.exceptions import ActorDiedError, TaskCancelledError

PACKAGES = ["ray"]
MAY_SKIP = True

# Workers are no children of `python -m ringport`: Ray calls this in each of them before it runs anything.
ENVIRONMENT = {"worker_process_setup_hook": "ringport.install"} if LOOP == "ringport" else {}


@pytest.fixture(scope="module", autouse=True)
def alone():
    """The network."""
    try:
        with network.of_its_own():
            yield
    except OSError as error:
        pytest.skip(f"no network namespace is permitted here: {error}")


@pytest.fixture(scope="module", autouse=True)
def cluster(alone):
    """Ray on two processors, of which nothing is left in the end: no process, no file."""
    folder = tempfile.mkdtemp()  # not pytest's: the paths of Unix sockets are short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # a token would be left in the home folder
        patch.setenv("RAY_USE_UVLOOP", "0")  # it is taken where it is installed
        try:
            ray.init(
                num_cpus=2, object_store_memory=80 << 20, include_dashboard=False, log_to_driver=False,
                runtime_env=ENVIRONMENT, _node_ip_address="127.0.0.1", _temp_dir=folder,
            )  # fmt: skip
            yield
        finally:
            processes = psutil.Process().children(recursive=True)
            ray.shutdown()
            _, left = psutil.wait_procs(processes, timeout=60)
            for process in left:
                process.kill()
            shutil.rmtree(folder)
    assert not left, left


@ray.remote(max_concurrency=2000, concurrency_groups={"aside": 2})
class Actor:
    """Its methods are coroutines on a loop in its process."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.waiting = self.cancelled = 0

    async def pid(self):
        check()
        return os.getpid()

    async def double(self, number):
        check()
        await asyncio.sleep(0)
        return 2 * number

    async def wait(self, number=0):
        """Until the gate is opened."""
        self.waiting += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return number

    async def open(self):
        self.gate.set()

    async def counts(self):
        return self.waiting, self.cancelled

    async def count_up(self, count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    async def ask(self, other, numbers):
        """Awaits calls of another actor's."""
        return await asyncio.gather(*(other.double.remote(number) for number in numbers))

    @ray.method(concurrency_group="aside")
    async def aside(self):
        """Runs on another loop, which is on a thread of its own."""
        check()
        return id(asyncio.get_running_loop())

    async def loop(self):
        return id(asyncio.get_running_loop())

    async def fail(self):
        await asyncio.sleep(0)
        return 1 / 0


@ray.remote
def total(*arrays):
    """A task, which has a loop if it wants one."""

    async def add():
        check()
        return int(sum(await asyncio.gather(*(asyncio.to_thread(array.sum) for array in arrays))))

    return asyncio.run(add())


@ray.remote
def numbers(first, count):
    return numpy.arange(first, first + count)


@pytest.fixture(scope="module")
def actor(cluster):
    """The actor of those that leave it as it was."""
    return Actor.remote()


async def waiting(actor, expected):
    """Waits until so many calls of an actor's wait, and so many were cancelled."""
    while await actor.counts.remote() != expected:
        await asyncio.sleep(0.01)


@on_loop
async def test_tasks():
    """Each result is awaited on the driver's loop. Some are arguments of other tasks."""
    count, length = size(200, 40), 10_000
    arrays = [numbers.remote(number * length, length) for number in range(count)]
    totals = [total.remote(*arrays[first : first + 4]) for first in range(0, count, 4)]
    assert sum(await asyncio.gather(*totals)) == sum(range(count * length))
    assert (await arrays[-1])[-1] == count * length - 1


@on_loop
async def test_large_objects():
    for number in range(size(10, 3)):
        array = numpy.arange(number, number + 1_000_000)
        reference = ray.put(array)
        assert (await reference == array).all()
        assert await total.remote(reference) == array.sum()


@on_loop
async def test_an_async_actor(actor):
    assert await actor.pid.remote() != os.getpid()
    assert await actor.double.remote(21) == 42
    assert await asyncio.to_thread(ray.get, actor.double.remote(21)) == 42
    with pytest.raises(ZeroDivisionError):
        await actor.fail.remote()
    assert await actor.aside.remote() != await actor.loop.remote()


@on_loop
async def test_calls_at_once(actor):
    """All of them wait in the actor, each in a task of its own."""
    count = size(1000, 200)
    calls = [actor.wait.remote(number) for number in range(count)]
    await waiting(actor, (count, 0))
    await actor.open.remote()
    assert await asyncio.gather(*calls) == list(range(count))
    doubled = await asyncio.gather(*(actor.double.remote(number) for number in range(count)))
    assert doubled == [2 * number for number in range(count)]


@on_loop
async def test_a_stream(actor):
    count = size(1000, 100)
    assert [await reference async for reference in actor.count_up.remote(count)] == list(range(count))


@on_loop
async def test_an_actor_awaits_another(actor):
    other = Actor.remote()
    assert await other.ask.remote(actor, range(100)) == list(range(0, 200, 2))
    ray.kill(other)


@on_loop
async def test_cancellation():
    """Of calls, and of what waits for them: that lets them go on."""
    actor = Actor.remote()
    calls = [actor.wait.remote(number) for number in range(20)]
    await waiting(actor, (20, 0))
    for call in calls[::2]:
        ray.cancel(call)
    for call in calls[::2]:
        with pytest.raises(TaskCancelledError):
            await call
    await waiting(actor, (10, 10))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(calls[1], 0.1)
    await actor.open.remote()
    assert await asyncio.gather(*calls[1::2]) == list(range(1, 20, 2))
    ray.kill(actor)


@on_loop
async def test_an_actor_is_killed():
    """Ray starts it anew, and calls it again for those who wait. After the last time they are told."""
    actor = Actor.options(max_restarts=1, max_task_retries=-1).remote()
    pid = await actor.pid.remote()
    calls = [actor.wait.remote(number) for number in range(50)]
    await waiting(actor, (50, 0))
    os.kill(pid, signal.SIGKILL)
    assert await actor.pid.remote() != pid
    await waiting(actor, (50, 0))
    await actor.open.remote()
    assert await asyncio.gather(*calls) == list(range(50))
    os.kill(await actor.pid.remote(), signal.SIGKILL)
    with pytest.raises(ActorDiedError):
        await actor.pid.remote()
