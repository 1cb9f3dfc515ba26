"""A scheduler and four workers, by TCP and TLS: more data than memory, a worker killed, thousands of tasks."""

import asyncio
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy
import pytest
from cases import on_loop, until
from cluster import Cluster, loop_of_task
from loops import LOOP, check, python, size
from servers import free_port, stop
from tls import Certificate

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
PACKAGES = ["distributed", "dask", "numpy"]


def kinds(*reduced):
    """By TCP and by TLS; a reduced run has one of them."""
    chosen = size([False, True], list(reduced))
    return pytest.mark.parametrize("secure", chosen, ids=lambda secure: "tls" if secure else "tcp")


@pytest.fixture(scope="module")
def cluster():
    """The cluster of those that leave it as it was."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def new_cluster(tmp_path):
    """Makes clusters: new_cluster(secure, options)."""

    def make(secure, **options):
        return Cluster(certificate=Certificate(tmp_path) if secure else None, **options)

    return make


def numbers(seed, length):
    """So many numbers that do not compress."""
    return numpy.random.default_rng(seed).integers(0, 1 << 62, length)


def total(array):
    return int(array.sum() % 1_000_003)


def double(number):
    return 2 * number


def slow_total(array):
    """Takes long enough for its worker to be killed amid others like it."""
    return total(numpy.sort(array))


def count_workers(dask_scheduler):
    """How many the scheduler knows."""
    return len(dask_scheduler.workers)


async def spilled(client):
    """How many bytes the workers have on disk."""
    return sum((await client.run(lambda dask_worker: dask_worker.state.data.spilled_total.disk)).values())


@kinds(False)
@on_loop
async def test_more_data_than_memory(new_cluster, secure):
    """Each worker may have so much, of which Dask spills what is above 60 %; the data is more than all of that."""
    limit, arrays, length = size(300, 220), size(60, 40), size(4_000_000, 2_000_000)
    with new_cluster(secure, memory=f"{limit}MB") as running:
        async with running.client(asynchronous=True) as client:
            await running.ready(client)
            futures = client.map(numbers, range(arrays), length=length)
            expected = [total(numbers(seed, length)) for seed in range(arrays)]
            assert await client.gather(client.map(total, futures)) == expected
            assert await spilled(client) > 0
            assert await client.gather([client.submit(total, future, pure=False) for future in futures]) == expected


@kinds(True)
@on_loop
async def test_a_worker_is_killed(new_cluster, secure):
    with new_cluster(secure) as running:
        async with running.client(asynchronous=True) as client:
            await running.ready(client)
            length = size(1_000_000, 300_000)
            arrays = client.map(numbers, range(60), length=length)
            totals = client.map(slow_total, arrays)
            await until(lambda: sum(future.done() for future in totals) > 5)
            os.kill(running.workers[0].pid, signal.SIGKILL)
            assert await client.gather(totals) == [total(numbers(seed, length)) for seed in range(60)]
            while await client.run_on_scheduler(count_workers) != 3:
                await asyncio.sleep(0.01)
            running.start_worker()
            await running.ready(client, 4)
            assert await client.submit(double, 21) == 42


@on_loop
async def test_many_small_tasks(cluster):
    count, length = size(5000, 500), size(50, 20)
    async with cluster.client(asynchronous=True) as client:
        await cluster.ready(client)
        assert await client.submit(sum, client.map(double, range(count))) == count * (count - 1)
        chain = client.submit(double, 1)
        for _ in range(length):
            chain = client.submit(double, chain)
        assert await chain == 2 ** (length + 1)


@on_loop
async def test_large_arrays_there_and_back(cluster):
    async with cluster.client(asynchronous=True) as client:
        await cluster.ready(client)
        array = numbers(1, size(8_000_000, 1_000_000))
        everywhere = await client.scatter(array, broadcast=True)
        found = await client.gather([client.submit(total, everywhere, pure=False) for _ in range(8)])
        assert found == [total(array)] * 8
        assert (await client.gather(everywhere) == array).all()


@on_loop
async def test_errors_and_cancellation(cluster):
    async with cluster.client(asynchronous=True) as client:
        await cluster.ready(client)
        with pytest.raises(ZeroDivisionError):
            await client.submit(lambda: 1 / 0)
        waiting = client.submit(time.sleep, 1)
        behind = client.submit(double, waiting)
        await client.cancel([behind])
        assert behind.cancelled()


def test_a_client_that_blocks(cluster):
    """Its loop is in a thread of its own."""
    with cluster.client() as client:
        check(client.loop.asyncio_loop)
        client.wait_for_workers(4)
        assert client.submit(sum, client.map(double, range(100))).result() == 9900


@on_loop
async def test_a_nanny():
    """It starts a worker anew whose process has gone. Worker and nanny are processes, of which one spawns the other."""
    with Cluster(workers=0) as running:
        nanny = running.start_worker("--nanny")
        async with running.client(asynchronous=True) as client:
            await running.ready(client, 1)
            assert set((await client.run(loop_of_task, nanny=True)).values()) == {LOOP}
            (pid,) = (await client.run(os.getpid)).values()
            os.kill(pid, signal.SIGKILL)
            assert await client.submit(os.getpid, pure=False) != pid
            await running.ready(client, 1)
        # Killed, it would leave the semaphores of its queues in /dev/shm.
        nanny.terminate()
        await asyncio.to_thread(nanny.wait, 60)


def test_lines_of_the_readme(tmp_path):
    """They start a cluster, and print what it has added up."""
    lines = re.search(r"^### More than one machine.*?```sh\n(.*?)```", README.read_text(), re.M | re.S)[1]
    start = " ".join(python()[1:])
    lines = lines.replace("python -m ringport", f"{sys.executable} {start}").replace("8786", str(free_port()))
    command = ["bash", "-ec", lines]
    shell = subprocess.Popen(command, cwd=tmp_path, text=True, start_new_session=True, stdout=subprocess.PIPE)
    try:
        printed, _ = shell.communicate(timeout=120)
    finally:
        stop(shell)
    assert shell.returncode == 0 and printed.split() == ["333332833333500000"], printed
