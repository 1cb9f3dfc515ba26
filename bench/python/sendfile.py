#!/usr/bin/env python3
"""sendfile.py LOOP SECONDS: a cached file of 64 MiB sent over loopback by loop.sendfile(), again and again.

Prints an object of JSON: the time that a megabyte takes. The text is the same for each loop.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
import time

import loops

SIZE = 64 << 20


def take(sock):
    """All that comes, until the end."""
    buffer = bytearray(1 << 20)
    while sock.recv_into(buffer):
        pass


async def measure(file, sock, seconds):
    """What a megabyte takes."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=sock)
    await loop.sendfile(transport, file)
    sent, begun = 0, time.perf_counter_ns()
    while time.perf_counter_ns() - begun < seconds * 1e9:
        sent += await loop.sendfile(transport, file)
    taken = time.perf_counter_ns() - begun
    transport.close()
    return taken / 1000 / (sent / 1e6)


def main():
    loop, seconds = sys.argv[1:]
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryFile() as file:
        file.write(os.urandom(1 << 20) * (SIZE >> 20))
        file.flush()
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()

        taker = threading.Thread(target=take, args=(theirs,))
        taker.start()
        with loops.runner(loop) as runner:
            print(json.dumps({"us_per_mb": runner.run(measure(file, ours, float(seconds)))}))
        taker.join()
        theirs.close()


if __name__ == "__main__":
    main()
