#!/usr/bin/env python3
"""digest_tasks.py [PORT]: answers each line with its digest, which takes a while; with a task for each connection.

It is digest_threads.py on an event loop. Only what blocks is left on threads.
"""

import asyncio
import hashlib
import sys

import ringport


def digest(line):
    return hashlib.scrypt(line.strip(), salt=b"salt", n=1024, r=8, p=1, dklen=16).hex()


async def serve_client(reader, writer):
    async for line in reader:
        answer = await asyncio.to_thread(digest, line)
        writer.write(f"{answer}\n".encode())
        await writer.drain()
    writer.close()


async def main(port=8888):
    server = await asyncio.start_server(serve_client, "127.0.0.1", port)
    print(f"serving on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    ringport.run(main(*map(int, sys.argv[1:])))
