"""What clients do to a site of apps/: on threads and sockets that block, and by the command wrk."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import select
import socket
import struct
import subprocess
import time

import payload
import pytest
import websockets.sync.client
from loops import LOOP, size
from servers import tool

PATIENCE = 120  # seconds, for hangs alone
BROKEN = ConnectionError, http.client.BadStatusLine


class Site:
    """Where a site is: a port of 127.0.0.1, and the context of a client if it has TLS."""

    def __init__(self, port, context=None):
        self.port, self.context = port, context
        self.address = "127.0.0.1", port
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"

    def connection(self):
        """A client of one connection, to be used in a with statement."""
        if self.context:
            made = http.client.HTTPSConnection(*self.address, timeout=PATIENCE, context=self.context)
        else:
            made = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        return contextlib.closing(made)

    def socket(self):
        """A connection for bytes."""
        made = socket.create_connection(self.address, timeout=PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(made, server_hostname="127.0.0.1") if self.context else made


def ask(connection, path, method="GET", body=None, **headers):
    """The body at a path."""
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.read()
    assert answer.status == 200, (path, answer.status, found)
    return found


def get(site, path):
    """The body at a path, by a connection of its own."""
    with site.connection() as connection:
        return ask(connection, path)


def is_on_loop(site):
    assert get(site, "/loop").decode() == LOOP


def load(site, path="/", connections=64, seconds=size(3, 1)):
    """wrk's load. It counts whatever has gone wrong."""
    command = [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", site.url + path]
    printed = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=True).stdout
    assert int(re.search(r"([0-9]+) requests in", printed)[1]) > 0, printed
    assert "Socket errors" not in printed and "Non-2xx" not in printed, printed


def pid(site):
    """Which process serves, or None if there is none for the moment."""
    with contextlib.suppress(*BROKEN):
        return get(site, "/pid")


def crowd(site, path, clients=16, requests=size(100, 10)):
    """Clients on threads, each with a connection of its own."""

    def client(number):
        with site.connection() as connection:
            return {ask(connection, path) for _ in range(requests)}

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        assert set.union(*pool.map(client, range(clients))) == {b"hello"}


def until(condition):
    """Waits until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


def all_serve(site, count):
    """Waits until so many processes have served a request, each on the loop."""
    found = set()

    def served_by_all():
        with site.connection() as connection:
            found.add((ask(connection, "/pid"), ask(connection, "/loop").decode()))
        return len({pid for pid, _ in found}) == count

    until(served_by_all)
    assert {loop for _, loop in found} == {LOOP}


def keep_alive(site):
    """Requests one after the other share a connection."""
    with site.connection() as connection:
        assert len({ask(connection, "/client") for _ in range(size(1000, 100))}) == 1


def read_answers(connection):
    """The bodies of answers on a connection, which have their lengths."""
    with connection.makefile("rb") as file:
        while line := file.readline():
            assert line.split()[1] == b"200", line
            length = None
            while (line := file.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            yield file.read(length)


def pipelining(site):
    """Requests are all sent before an answer is read."""
    count = size(500, 100)
    with site.socket() as connection:
        connection.sendall(b"".join(b"GET /number/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(count)))
        answers = read_answers(connection)
        assert [int(next(answers)) for _ in range(count)] == list(range(count))


def upload(site):
    """The large body, with its length and in chunks."""
    with site.connection() as connection:
        for headers in {"Content-Length": str(payload.SIZE)}, {}:
            found = ask(connection, "/upload", "POST", payload.blocks(), **headers)
            assert json.loads(found) == [payload.SIZE, payload.DIGEST]


def download(site):
    with site.connection() as connection:
        connection.request("GET", "/download")
        answer = connection.getresponse()
        assert payload.digest(iter(lambda: answer.read(1 << 16), b"")) == payload.DIGEST


def slow_senders(site):
    """Connections whose requests come byte by byte, each in turn with the others. The site serves others meanwhile."""
    request = b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\nslow body"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(site.socket()) for _ in range(size(200, 20))]
        for byte in request[:-1]:
            for connection in connections:
                connection.send(bytes([byte]))
        assert get(site, "/") == b"hello"
        for connection in connections:
            connection.send(request[-1:])
        expected = [9, payload.digest([b"slow body"])]
        assert all(json.loads(next(read_answers(connection))) == expected for connection in connections)


def slow_readers(site):
    """Connections that read nothing of the large body for a while, and then all. The site serves others meanwhile."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(site.connection()) for _ in range(5)]
        for connection in connections:
            connection.request("GET", "/download")
            select.select([connection.sock], [], [], PATIENCE)
        keep_alive(site)
        answers = [connection.getresponse() for connection in connections]
        while answers := [answer for answer in answers if answer.read(1 << 20)]:
            pass
        download(site)


def resets(site):
    """Clients that break their connections: before a request, within it, and within its answer."""
    requests = (
        b"",
        b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"GET /download HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    for number in range(size(150, 30)):
        with site.socket() as connection:
            connection.send(requests[number % 3])
            if number % 3 == 2:
                connection.recv(10000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert get(site, "/") == b"hello"


def echo(site, compression="deflate"):
    """Messages through a WebSocket, in the end a large one."""
    url = site.url.replace("http", "ws", 1) + "/echo"
    with websockets.sync.client.connect(url, ssl=site.context, max_size=None, compression=compression) as connection:
        for number in range(size(1000, 100)):
            message = f"message {number}" if number % 2 else bytes([number % 256]) * number
            connection.send(message)
            assert connection.recv(PATIENCE) == message
        connection.send(payload.BLOCK * 4)
        assert connection.recv(PATIENCE) == payload.BLOCK * 4
    assert connection.close_code == 1000


def visits(*more):
    """Has a test run for each visit that any server of such sites is to stand, and for more: its argument `visit`."""
    common = is_on_loop, load, keep_alive, pipelining, upload, download, slow_readers, echo
    return pytest.mark.parametrize("visit", [*common, *more], ids=lambda visit: visit.__name__)


class Workers:
    """Clients that ask for /work, each one request after the other, until the site no longer serves them."""

    def __init__(self, site, count=size(50, 20)):
        self.site = site
        self.answered = [0] * count
        self.pool = concurrent.futures.ThreadPoolExecutor(count)
        self.running = [self.pool.submit(self.ask, number) for number in range(count)]

    def ask(self, number):
        with self.site.connection() as connection, contextlib.suppress(*BROKEN):
            while True:
                connection.request("GET", "/work")
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (200, b"done")
                self.answered[number] += 1

    def busy(self):
        """Waits until each client has had some answers."""
        until(lambda: min(self.answered) >= 5)

    def total(self):
        """How many answers there have been, once all clients have ended."""
        for running in self.running:
            running.result(PATIENCE)
        self.pool.shutdown()
        return sum(self.answered)


def begun(server):
    """How many requests for /work the processes of a site have begun, as they say in the end."""
    return sum(map(int, re.findall(r"begun: ([0-9]+)", server.printed())))


def graceful_shutdown(site, server, lossless=True):
    """SIGTERM under load: each request that has begun is answered, and the server ends by itself.

    Of a server that is not lossless each client may lose its last one.
    """
    workers = Workers(site)
    workers.busy()
    server.terminate()
    server.wait(PATIENCE)
    lost = begun(server) - workers.total()
    assert 0 <= lost <= (0 if lossless else len(workers.answered)), server.printed()
    assert "Traceback" not in server.printed(), server.printed()
