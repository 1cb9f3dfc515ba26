#!/usr/bin/env python3
"""dask_tasks.py SECONDS: a cluster of Dask's does nothing, thousands of times; LOOP is in WORLD_LOOP.

Scheduler, four workers and client are processes on that loop. Prints an object of JSON: the tasks a second, and the
scheduler's processor time for each.
"""

import importlib
import json
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/world"))
from cluster import Cluster  # noqa: E402
from loops import LOOP  # noqa: E402

BATCH = 500


def same(number):
    """A task."""
    return number


def run_batch(client):
    """So many tasks, and what is left of them is forgotten."""
    futures = client.map(same, range(BATCH), pure=False)
    client.gather(futures)


def main(seconds):
    if LOOP != "asyncio":
        importlib.import_module(LOOP).install()
    with Cluster() as cluster, cluster.client() as client:
        client.wait_for_workers(4)
        run_batch(client)
        clock = (~cluster.scheduler.pid << 3) | 2  # that of the process, as Linux numbers it
        count, used, begun = 0, time.clock_gettime(clock), time.perf_counter()
        while time.perf_counter() - begun < seconds:
            run_batch(client)
            count += BATCH
        took, used = time.perf_counter() - begun, time.clock_gettime(clock) - used
    print(json.dumps({"operations_per_s": count / took, "cpu_us_per_operation": used / count * 1e6}))


main(float(sys.argv[1]))
