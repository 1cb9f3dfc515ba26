#!/usr/bin/env python3
"""micro.py LOOP WHAT [listener]: does one thing again and again on a loop, and says what it cost.

It reads lines. To `for SECONDS` it answers with an object of JSON. To `count N` it does the thing about N times, and
answers with how often it was. The text is the same for each loop. With `listener` the loop also has a listening socket,
to which nobody connects: some loops ask the kernel for nothing while they have no descriptor to ask about, and no
program is like that.
"""

import asyncio
import json
import os
import sys
import time

import loops

BATCH = 1000


def nothing():
    """A callback."""


async def nothing_more():
    """A coroutine that never suspends."""


async def chain(loop, count, call=None):
    """A callback that schedules the next one: a turn for each."""
    call = call or loop.call_soon
    done = loop.create_future()

    def step():
        nonlocal count
        count -= 1
        if count:
            call(step)
        else:
            done.set_result(None)
    call(step)
    await done


async def burst(loop, count):
    """Callbacks that are all scheduled in one turn."""
    for _ in range(count // BATCH):
        step, done = countdown(loop)
        for _ in range(BATCH):
            loop.call_soon(step)
        await done


def countdown(loop):
    """A callback, and a future that is done when that has been called once for each of a batch."""
    left, done = BATCH, loop.create_future()

    def step():
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)
    return step, done


async def sleep(_loop, count):
    """A turn for each."""
    for _ in range(count):
        await asyncio.sleep(0)


async def call_later_cancel(loop, count):
    """Time limits that are not reached: what most timers are."""
    for _ in range(count // BATCH):
        for _ in range(BATCH):
            loop.call_later(60, nothing).cancel()
        await asyncio.sleep(0)


async def call_later(loop, count):
    """Timers that are due at once."""
    for _ in range(count // BATCH):
        step, done = countdown(loop)
        for _ in range(BATCH):
            loop.call_later(0, step)
        await done


async def threadsafe(loop, count):
    """A chain by call_soon_threadsafe()."""
    await chain(loop, count, loop.call_soon_threadsafe)


async def task(loop, count):
    """A task that is created and awaited."""
    for _ in range(count):
        await loop.create_task(nothing_more())


async def gather(_loop, count):
    """Ten coroutines at once; counted for each."""
    for _ in range(count // 10):
        await asyncio.gather(*[nothing_more() for _ in range(10)])


async def executor(loop, count):
    """A function that a thread calls."""
    for _ in range(count):
        await loop.run_in_executor(None, nothing)


class Passing(asyncio.Protocol):
    """Writes the next message when one has come."""

    def __init__(self, output, count):
        self.output = output
        self.left = count
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        """A message: they come one at a time."""
        self.left -= 1
        if self.left:
            self.output.write(data)
        else:
            self.done.set_result(None)


async def pipe(loop, count):
    """A message of 1 KiB that goes through a pipe, from one end of the loop's to the other."""
    reader, writer = (open(end, mode, 0) for end, mode in zip(os.pipe(), ("rb", "wb")))
    output, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, writer)
    protocol = Passing(output, count)
    await loop.connect_read_pipe(lambda: protocol, reader)
    output.write(bytes(1024))
    await protocol.done
    output.close()
    await asyncio.sleep(0)


WHATS = {"chain": chain, "burst": burst, "sleep-0": sleep, "call-later-cancel": call_later_cancel,
         "call-later": call_later, "threadsafe": threadsafe, "create-task": task, "gather": gather,
         "executor": executor, "pipe": pipe}


async def measured(what, seconds):
    """Does it for some time; processor time is that of all threads."""
    loop, count = asyncio.get_running_loop(), 0
    began, used = time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - began) < seconds:
        await what(loop, BATCH)
        count += BATCH
    return {"cpu_ns_per_operation": (time.process_time() - used) * 1e9 / count, "operations_per_s": count / elapsed}


async def counted(what, count):
    """Does it so often; getppid() is what callgrind is told to look for."""
    await what(asyncio.get_running_loop(), count)
    os.getppid()
    return {"operations": count}


async def listen():
    """A listening socket."""
    return await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)


def main(name, what, listener=None):
    """Answers each line."""
    with loops.runner(name) as runner:
        server = runner.run(listen()) if listener else None
        print("ready", flush=True)
        for line in sys.stdin:
            how, value = line.split()
            if how == "for":
                answer = runner.run(measured(WHATS[what], float(value)))
            else:
                answer = runner.run(counted(WHATS[what], int(value)))
            print(json.dumps(answer), flush=True)
        if server:
            server.close()


main(*sys.argv[1:])
