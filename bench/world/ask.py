#!/usr/bin/env python3
"""ask.py KIND LOOP SECONDS ADDRESS: a library's client asks a database again and again, on ten connections.

The address is an object of JSON, by the names of the library's function. Prints another: the operations a second, and the
processor time that each takes here. The text is the same for each loop.
"""

import asyncio
import json
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import loops  # noqa: E402

CONNECTIONS = 10
WARM_UP = 0.2  # seconds


async def open_asyncpg(address):
    """A query that PostgreSQL answers at once."""
    import asyncpg

    connection = await asyncpg.connect(**address)

    async def select():
        assert await connection.fetchval("select 1") == 1
        return 1

    return select, connection.close


async def open_redis(address, length):
    """A pipeline of so many GETs."""
    import redis.asyncio

    client = redis.asyncio.Redis(**address)
    await client.set("key", b"x" * 64)

    async def get():
        pipeline = client.pipeline(transaction=False)
        for _ in range(length):
            pipeline.get("key")
        assert len(await pipeline.execute()) == length
        return length

    return get, client.aclose


OPENERS = {
    "asyncpg": open_asyncpg,
    "redis-1": lambda address: open_redis(address, 1),
    "redis-50": lambda address: open_redis(address, 50),
}


async def repeat(operation, end):
    """One after the other until the time is over; how many there were."""
    count = 0
    while time.perf_counter() < end:
        count += await operation()
    return count


async def all_of(operations, seconds):
    """All connections at once."""
    end = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(repeat(operation, end) for operation in operations)))


async def measure(kind, seconds, address):
    """The figures."""
    opened = [await OPENERS[kind](address) for _ in range(CONNECTIONS)]
    operations = [operation for operation, _ in opened]
    await all_of(operations, WARM_UP)
    begun, used = time.perf_counter(), time.process_time()
    count = await all_of(operations, seconds)
    used, took = time.process_time() - used, time.perf_counter() - begun
    for _, close in opened:
        await close()
    return {"operations_per_s": count / took, "cpu_us_per_operation": used / count * 1e6}


def main(kind, name, seconds, address):
    """Runs it."""
    with loops.runner(name) as runner:
        print(json.dumps(runner.run(measure(kind, float(seconds), json.loads(address)))))


main(*sys.argv[1:])
