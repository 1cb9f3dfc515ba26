#!/usr/bin/env python3
"""processes.py LOOP COUNT MIB: starts processes one after the other and waits for each, with so much memory of its own.

Prints an object of JSON: the time that a process takes. The text is the same for each loop.
"""

import asyncio
import json
import mmap
import sys
import time

import loops

WARM_UP = 10


async def run(count):
    """So many processes."""
    for _ in range(count):
        process = await asyncio.create_subprocess_exec("/bin/true")
        if await process.wait():
            sys.exit("a process has failed")


async def measure(count):
    """What each of them takes."""
    await run(WARM_UP)
    begun = time.perf_counter_ns()
    await run(count)
    return (time.perf_counter_ns() - begun) / 1000 / count


def touched(size):
    """Memory that has been written to, page by page."""
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, size, mmap.PAGESIZE):
        memory[page] = 1
    return memory


def main():
    loop, count, mib = sys.argv[1:]
    memory = touched(int(mib) << 20)
    with loops.runner(loop) as runner:
        print(json.dumps({"us_per_process": runner.run(measure(int(count)))}))
    del memory


if __name__ == "__main__":
    main()
