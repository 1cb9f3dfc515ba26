#!/usr/bin/env python3
"""A chat server: each line goes to all other clients, by a queue for each of them.

    python chat_server.py [PORT]
"""

import asyncio
import sys

import ringport

queues = set()


async def deliver(queue, writer):
    while line := await queue.get():
        writer.write(line)
        await writer.drain()


async def listen(reader, own):
    while line := await reader.readline():
        for queue in queues - {own}:
            if not queue.full():  # else so slow a client misses it
                queue.put_nowait(line)


async def chat(reader, writer):
    queue = asyncio.Queue(100)
    queues.add(queue)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(deliver(queue, writer))
            await listen(reader, queue)
            await queue.put(b"")  # the end, behind what is left
    except* ConnectionError:
        pass
    finally:
        queues.remove(queue)
        writer.close()


async def serve(port=8888):
    server = await asyncio.start_server(chat, "127.0.0.1", port)
    print(f"serving on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    ringport.run(serve(*map(int, sys.argv[1:])))
