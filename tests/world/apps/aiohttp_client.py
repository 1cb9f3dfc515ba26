"""aiohttp_client.py URL: prints which loop it is on, and what is there."""

import asyncio
import sys

import aiohttp


async def main():
    print(type(asyncio.get_running_loop()).__module__.split(".")[0])
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as response:
        print(await response.text())


asyncio.run(main())
