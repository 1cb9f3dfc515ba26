#!/usr/bin/env python3
"""frames.py PORT SECONDS: WebSocket messages of 64 bytes that a server of 127.0.0.1 sends back, on ten connections.

It blocks, and takes frames as they are: a client as light as that is not what is measured. Prints how many there were.
"""

import base64
import itertools
import os
import socket
import sys
import time

CONNECTIONS = 10
SIZE = 64


def opened(port):
    """A connection past its handshake."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    return client


def frame():
    """A masked binary message. The server's has no mask: four bytes less."""
    mask, message = os.urandom(4), os.urandom(SIZE)
    return b"\x82" + bytes([0x80 | SIZE]) + mask + bytes(a ^ b for a, b in zip(message, itertools.cycle(mask)))


def main():
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    clients, message, count = [opened(port) for _ in range(CONNECTIONS)], frame(), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for client in clients:
            client.sendall(message)
        for client in clients:
            answer = client.recv(SIZE + 2, socket.MSG_WAITALL)
            assert len(answer) == SIZE + 2
            count += 1
    for client in clients:
        client.close()
    print(count)


main()
