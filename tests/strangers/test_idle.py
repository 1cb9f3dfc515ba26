#!/usr/bin/python3
"""test_idle.py DIR: servers with 10,000 connections that are open, and quiet, beside the load of others.

Nothing that curl, wrk and redis-benchmark ask for fails meanwhile. Then all that were quiet are answered, and what each of
them took of the server's memory is printed.
"""

import contextlib
import os
import re
import resource
import sys

from programs import Skip, resident, run_all, serving
from tools import connect, use

IDLE = 10000
DESCRIPTORS = IDLE + 1000  # in this process, and in the server


def raise_limit():
    """So many descriptors are to be open, here and in what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, max(DESCRIPTORS, hard)))
        except (ValueError, OSError):
            raise Skip(f"the limit of descriptors is {hard}, and {DESCRIPTORS} are needed") from None


def receive(connection, expected):
    received = b""
    while len(received) < len(expected):
        part = connection.recv(len(expected) - len(received))
        assert part, received
        received += part
    assert received == expected, received


@contextlib.contextmanager
def idle_beside(name, *arguments, ask, answer, begun):
    """Gives the port of a server. A third of the idle connections never say a word until the end; a third have been answered;
    of the rest a request has begun."""
    raise_limit()
    with serving(name, *arguments) as (process, port), contextlib.ExitStack() as stack:
        with connect(port) as connection:
            connection.sendall(ask)
            receive(connection, answer)
        before = resident(process)
        connections = []
        for i in range(IDLE):
            connection = stack.enter_context(connect(port))
            connections.append(connection)
            if i % 3 == 0:  # so nobody runs ahead of the server, whose queue of connections is short
                connection.sendall(ask)
                receive(connection, answer)
            elif i % 3 == 1:
                connection.sendall(ask[:begun])
        with connect(port) as connection:  # which is answered when those before it were accepted
            connection.sendall(ask)
            receive(connection, answer)
        grown = resident(process) - before
        print(f"# {name}: {grown / IDLE / 1024:.1f} KiB an idle connection")
        assert grown < IDLE * 32 * 1024, grown
        yield port
        for i, connection in enumerate(connections):
            connection.sendall(ask[begun:] if i % 3 == 1 else ask)
        for connection in connections:
            receive(connection, answer)


def idle_connections_beside_curl_and_wrk():
    ask = b"GET /idle HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n/idle"
    with idle_beside("http_server", 0, ask=ask, answer=answer, begun=20) as port:
        url = f"http://127.0.0.1:{port}"
        codes = use("curl", "-sS", "-Z", "--parallel-max", 50, "-o", os.devnull, "-w", "%{http_code} ", f"{url}/[1-500]")
        assert codes.split() == [b"200"] * 500, codes
        for header in ("X: y", "Connection: close"):
            output = ""
            while not re.search(r"^ *[1-9]\d* requests in", output, re.M):  # in a second a busy machine may do nothing
                output = use("wrk", "-t", 2, "-c", 100, "-d", "1s", "-H", header, f"{url}/x").decode()
            print("#", re.search(r"Requests/sec:.*", output)[0], f"({header})")
            assert "Non-2xx" not in output, output
            errors = re.search(r"Socket errors: (.*)", output)  # a time-out is the machine's, not an error
            assert not errors or re.match(r"connect 0, read 0, write 0", errors[1]), output


def idle_connections_beside_redis_benchmark():
    ask = b"*2\r\n$4\r\nECHO\r\n$4\r\nidle\r\n"
    with idle_beside("resp_server", 0, ask=ask, answer=b"$4\r\nidle\r\n", begun=20) as port:
        for pipeline in (1, 50):
            output = use("redis-benchmark", "-h", "127.0.0.1", "-p", port, "-q", "-n", 20000, "-c", 100, "-P", pipeline,
                         "-t", "set,get").decode()
            assert output.count("requests per second") == 2 and "rror" not in output, output


sys.exit(run_all([idle_connections_beside_curl_and_wrk, idle_connections_beside_redis_benchmark]))
