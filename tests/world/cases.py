"""Tests that are coroutines, run by asyncio.run() on the loop that this run is about."""

import asyncio
import functools
import time

from loops import check, size

PATIENCE = size(300, 120)  # seconds, for hangs alone


def on_loop(test):
    """Makes a test of a coroutine."""

    async def limited(arguments):
        check()
        async with asyncio.timeout(PATIENCE):
            await test(**arguments)

    @functools.wraps(test)
    def run(**arguments):
        asyncio.run(limited(arguments))

    return run


async def until(condition, patience=60):
    """Waits until a condition holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        await asyncio.sleep(0.005)
