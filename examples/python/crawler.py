#!/usr/bin/env python3
"""A crawler: gets what a page leads to, each once, and so many pages a second at most.

    python crawler.py HOST PORT PATH RATE
"""

import asyncio
import re
import sys

import ringport


async def pace(rate):
    while True:
        yield  # a page may be asked for
        await asyncio.sleep(1 / rate)


async def get(host, port, path):
    reader, writer = await asyncio.open_connection(host, port, happy_eyeballs_delay=0.25)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return (await reader.read()).decode("latin-1")
    finally:
        writer.close()


async def crawl(host, port, path, rate):
    known, pages, turn = {path}, asyncio.Queue(), asyncio.Lock()
    pages.put_nowait(path)
    pacer = pace(rate)

    async def work():
        while True:
            page = await pages.get()
            async with turn:  # one task at a time asks the generator
                await anext(pacer)
            for link in re.findall(r'href="(/[^"#]*)', await get(host, port, page)):
                if link not in known:
                    known.add(link)
                    pages.put_nowait(link)
            print(f"{page}: read", flush=True)
            pages.task_done()

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(4)]
        await pages.join()
        for worker in workers:
            worker.cancel()


if __name__ == "__main__":
    ringport.run(crawl(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
