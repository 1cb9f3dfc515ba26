#!/usr/bin/python3
"""names_asyncio.py COUNT SECONDS: the same by asyncio, whose names and functions share min(32, cpus + 4) threads."""

import asyncio
import json
import socket
import sys
import time


async def measure(count):
    loop, begun = asyncio.get_running_loop(), time.perf_counter()
    asking = [loop.create_task(loop.getaddrinfo(f"slow-{number}", 80)) for number in range(count)]
    await asyncio.sleep(0.05)
    asked = time.perf_counter()
    await loop.run_in_executor(None, lambda: None)
    job = time.perf_counter() - asked
    await asyncio.gather(*asking)
    print(json.dumps({"wall_s": round(time.perf_counter() - begun, 3), "job_ms": round(job * 1e3, 3)}))


def main(count, seconds):
    def slow(*args, **options):
        time.sleep(seconds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))]

    socket.getaddrinfo = slow
    asyncio.run(measure(count))


main(int(sys.argv[1]), float(sys.argv[2]))
