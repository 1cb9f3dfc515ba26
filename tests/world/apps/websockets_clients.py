"""websockets_clients.py URL COUNT: so many clients, which are connected until the process is killed."""

import asyncio
import sys

from websockets.asyncio.client import connect


async def main(url, count):
    connections = await asyncio.gather(*(connect(url) for _ in range(count)))
    print(type(asyncio.get_running_loop()).__module__.partition(".")[0], len(connections), flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
