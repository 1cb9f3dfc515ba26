#!/usr/bin/env python3
"""Sends datagrams back to where they come from, by asyncio's transports and protocols.

    python udp_echo.py [PORT]
"""

import asyncio
import sys

import ringport


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)

    def error_received(self, error):
        print(f"error: {error}", file=sys.stderr)  # a datagram is lost, as datagrams may be


async def serve(port=9999):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", port))
    print(f"serving on 127.0.0.1:{transport.get_extra_info('sockname')[1]}", flush=True)
    try:
        await loop.create_future()  # until SIGINT
    finally:
        transport.close()


if __name__ == "__main__":
    ringport.run(serve(*map(int, sys.argv[1:])))
