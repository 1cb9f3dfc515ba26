#!/usr/bin/env python3
"""Two servers on one loop: an echo server in C (echo_protocol.c), and one in Python that tells how it is doing.

    python mixed_server.py [ECHO-PORT STATUS-PORT]

    $ ncat 127.0.0.1 8889
    the echo server in C has 3 connections
"""

import asyncio
import signal
import socket
import sys

import ringport

import echo_protocol


async def main(echo_port=8888, status_port=8889):
    listening = socket.create_server(("127.0.0.1", echo_port))
    echo_port = listening.getsockname()[1]
    echo = echo_protocol.serve(listening)
    listening.detach()  # it is the server's now

    async def tell(reader, writer):
        writer.write(f"the echo server in C has {echo.connections} connections\n".encode())
        await writer.drain()
        writer.close()

    status = await asyncio.start_server(tell, "127.0.0.1", status_port)
    print(f"echo on 127.0.0.1:{echo_port}, status on 127.0.0.1:{status.sockets[0].getsockname()[1]}", flush=True)

    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()
    echo.close()
    status.close()


ringport.run(main(*map(int, sys.argv[1:])))
