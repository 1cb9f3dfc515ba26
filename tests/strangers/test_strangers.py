#!/usr/bin/python3
"""test_strangers.py DIR: the built examples among programs that others wrote, on either side of the connection, and
among clients that are slow, or wrong (see programs.py).

Everything listens on the loopback interface only, on ports that are free, in a directory of its own. A tool that is
missing skips its case; where CI is set, it fails it.
"""

import asyncio
import contextlib
import http.client
import os
import pathlib
import re
import socket
import sys
import tempfile
import threading

import malformed_http
from programs import PATIENCE, run, run_all, server, start
from tools import connect, daemon, free_port, nginx, read_to_end, redis, use

DATA = os.urandom(1000000)
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


# ---- connections of our own ----

def check_http(port, count=1):
    """A well-behaved client gets its answers, all over one connection."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for number in range(count):
        client.request("GET", f"/{number}")
        response = client.getresponse()
        assert (response.status, response.read()) == (200, b"/%d" % number)
    client.close()


def check_echo(port):
    with connect(port) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(DATA), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_to_end(connection) == DATA
        sender.join()


# ---- tools as clients ----

def curl_to_http_server():
    with server("http_server", 0) as port:
        url = f"http://127.0.0.1:{port}"
        assert use("curl", "-sS", f"{url}/a?b=c", f"{url}/%C3%A9") == b"/a?b=c/%C3%A9"
        connects = use("curl", "-sS", "-o", os.devnull, "-w", "%{num_connects} ", f"{url}/[1-20]")
        assert connects.split() == [b"1"] + [b"0"] * 19, connects
        assert use("curl", "-sS", "--http1.0", f"{url}/old") == b"/old"
        assert use("curl", "-sS", "-H", "Connection: close", f"{url}/[1-3]") == b"/1/2/3"
        status = ("-o", os.devnull, "-w", "%{http_code}")
        assert use("curl", "-sS", "--data-binary", "@-", *status, url, input=DATA, stdin=None) == b"405"
        assert use("curl", "-sS", "-T", "-", *status, url, input=DATA, stdin=None) == b"405"
        assert use("curl", "-sS", "-I", *status, url) == b"405"
        assert use("curl", "-sS", "-H", "A: " + "a" * 20000, *status, url) == b"431"
        codes = use("curl", "-sS", "-Z", "--parallel-max", 50, "-o", os.devnull, "-w", "%{http_code} ", f"{url}/[1-200]")
        assert codes.split() == [b"200"] * 200, codes


def wrk_to_http_server():
    with server("http_server", 0) as port:
        for header in ("X: y", "Connection: close"):
            output = ""
            while not re.search(r"^ *[1-9]\d* requests in", output, re.M):  # in a second a busy machine may do nothing
                output = use("wrk", "-t", 2, "-c", 100, "-d", "1s", "-H", header, f"http://127.0.0.1:{port}/x").decode()
            assert "Non-2xx" not in output, output
            errors = re.search(r"Socket errors: (.*)", output)  # a time-out is the machine's, not an error
            assert not errors or re.match(r"connect 0, read 0, write 0", errors[1]), output
        check_http(port)


def socat_to_echo_server():
    with server("echo_server", 0) as port:
        for _ in range(5):
            assert use("socat", "-t", PATIENCE, "-", f"TCP:127.0.0.1:{port}", input=DATA, stdin=None) == DATA
        use("socat", "-u", "OPEN:/dev/null", f"TCP:127.0.0.1:{port}")
        check_echo(port)


def ncat_to_echo_server():
    with server("echo_server", 0) as port:
        for _ in range(5):
            assert use("ncat", "127.0.0.1", port, input=DATA, stdin=None) == DATA
        use("ncat", "--send-only", "127.0.0.1", port, input=DATA, stdin=None)
        use("ncat", "-z", "127.0.0.1", port)
        check_echo(port)


def python_to_echo_server():
    """asyncio, whose own half-closes these are."""
    async def client(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        data = DATA[number * 1000:number * 3000 + 1]
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == data
        writer.close()
        await writer.wait_closed()

    async def clients(port):
        await asyncio.wait_for(asyncio.gather(*(client(port, number) for number in range(200))), PATIENCE)

    with server("echo_server", 0) as port:
        asyncio.run(clients(port))


def pipelining_to_http_server():
    with server("http_server", 0) as port, connect(port) as connection:
        connection.sendall(b"".join(GET % b"/%d" % number for number in range(1000)))
        connection.shutdown(socket.SHUT_WR)
        bodies = re.findall(rb"\r\n\r\n/(\d+)", read_to_end(connection))
        assert [int(body) for body in bodies] == list(range(1000))


# ---- tools as servers ----

def fetch_from_nginx():
    with tempfile.TemporaryDirectory() as files:
        for size in (0, 1, 4096, 1000000):
            pathlib.Path(files, f"f{size}").write_bytes(DATA[:size])
        with nginx(files) as port:
            output = run("fetch", "127.0.0.1", port, "/f0", "/f1", "/f4096", "/f1000000", "/none", "/")
            bodies = {path: int(size) for path, size in re.findall(r"^(/\w+): (\d+) bytes, HTTP/1.1 200 OK", output, re.M)}
            for size in (0, 1, 4096, 1000000):
                assert size < bodies[f"/f{size}"] < size + 500, output  # and the header
            assert "HTTP/1.1 404 Not Found" in output and "HTTP/1.1 403 Forbidden" in output, output
            many = run("fetch", "127.0.0.1", port, *["/f4096"] * 100)
            assert many.count("HTTP/1.1 200 OK") == 100, many


def nginx_before_http_server():
    """nginx as a client, that keeps its connections to us."""
    with server("http_server", 0) as upstream, tempfile.TemporaryDirectory() as files:
        more = (f"upstream ours {{ server 127.0.0.1:{upstream}; keepalive 8; }} |"
                'location / { proxy_pass http://ours; proxy_http_version 1.1; proxy_set_header Connection ""; }')
        with nginx(files, more) as port:
            check_http(port, 100)
            codes = use("curl", "-sS", "-Z", "--parallel-max", 20, "-o", os.devnull, "-w", "%{http_code} ",
                        f"http://127.0.0.1:{port}/[1-200]")
            assert codes.split() == [b"200"] * 200, codes
            post = use("curl", "-sS", "--data-binary", "@-", "-o", os.devnull, "-w", "%{http_code}",
                       f"http://127.0.0.1:{port}/", input=DATA[:100000], stdin=None)
            assert post == b"405", post


def tcp_proxy_before_nginx():
    with tempfile.TemporaryDirectory() as files:
        pathlib.Path(files, "data").write_bytes(DATA)
        with nginx(files) as port, server("tcp_proxy", 0, "127.0.0.1", port) as proxy:
            for _ in range(5):
                assert use("curl", "-sS", f"http://127.0.0.1:{proxy}/data") == DATA
            assert "HTTP/1.1 200 OK" in run("fetch", "127.0.0.1", proxy, "/data")


def tcp_proxy_before_redis():
    with redis() as (port, _), server("tcp_proxy", 0, "127.0.0.1", port) as proxy:
        cli = ("redis-cli", "-h", "127.0.0.1", "-p", proxy)
        assert use(*cli, "-x", "set", "data", input=DATA, stdin=None) == b"OK\n"
        assert use(*cli, "--raw", "get", "data") == DATA + b"\n"
        commands = "".join("INCR n\n" for _ in range(1000)).encode()
        assert b"errors: 0, replies: 1000" in use(*cli, "--pipe", input=commands, stdin=None)
        assert use(*cli, "get", "n") == b"1000\n"
        for pipeline in (1, 50):
            output = use("redis-benchmark", "-h", "127.0.0.1", "-p", proxy, "-c", 50, "-n", 10000, "-P", pipeline,
                         "-q", "-t", "set,get,lrange_100")
            assert output.count(b"requests per second") >= 3 and b"rror" not in output, output


def echo_client_to_socat():
    port = free_port()
    with daemon(port, "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", "EXEC:cat"):
        check_load(port)


def echo_client_to_ncat():
    port = free_port()
    with daemon(port, "ncat", "-l", "-k", "--exec", "/bin/cat", "127.0.0.1", port):
        check_load(port)
        with server("tcp_proxy", 0, "127.0.0.1", port) as proxy:
            check_load(proxy)


def check_load(port):
    output = run("echo_client", "127.0.0.1", port, 10, 0.3)
    assert re.match(r"10 connections, 1024 bytes: [1-9]\d* messages compared", output), output


def echo_client_to_nginx():
    """Which says no, and hangs up: an error, and an end."""
    with tempfile.TemporaryDirectory() as files, nginx(files) as port:
        process = start("echo_client", "127.0.0.1", port, 10, PATIENCE)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and output.startswith("echo_client: "), (process.returncode, output)


# ---- slow ones ----

@contextlib.contextmanager
def trickling(connections, data):
    """Sends data over all the connections, a byte of each at a time and for ever, while the block runs."""
    stopped = threading.Event()
    rounds = [0]
    failures = []

    def trickle():
        try:
            while not stopped.is_set():
                for connection in connections:
                    connection.send(data[rounds[0] % len(data):][:1])
                rounds[0] += 1
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield rounds
    finally:
        stopped.set()
        thread.join()
    assert not failures, failures


def connect_many(stack, port, count):
    return [stack.enter_context(connect(port)) for _ in range(count)]


def slowloris_to_http_server():
    """Heads that never end, on 300 connections; others are served meanwhile, and they too when they end at last."""
    with server("http_server", 0) as port, contextlib.ExitStack() as stack:
        slow = connect_many(stack, port, 300)
        for connection in slow:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n")
        for number in range(5):
            for connection in slow:
                connection.sendall(b"A: %d\r\n" % number)
            check_http(port, 50)
        for connection in slow:
            connection.sendall(b"\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection).endswith(b"\r\n\r\n/slow")


def single_bytes_to_http_server():
    with server("http_server", 0) as port, contextlib.ExitStack() as stack:
        slow = connect_many(stack, port, 50)
        request = GET % b"/slow"
        with trickling(slow, request) as rounds:
            check_http(port, 200)
            while rounds[0] < 2 * len(request):
                check_http(port)
        for connection in slow:
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection).count(b"\r\n\r\n/slow") == rounds[0] // len(request)


def single_bytes_to_echo_server():
    check_single_bytes("echo_server")


def single_bytes_through_tcp_proxy():
    with server("echo_server", 0) as port:
        check_single_bytes("tcp_proxy", "127.0.0.1", port)


def check_single_bytes(name, *arguments):
    with server(name, 0, *arguments) as port, contextlib.ExitStack() as stack:
        slow = connect_many(stack, port, 50)
        with trickling(slow, DATA) as rounds:
            for _ in range(5):
                check_echo(port)
        for connection in slow:
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection) == DATA[:rounds[0]]


def clients_that_do_not_read():
    """They ask until nothing more goes through. The server waits for them, and serves others; then they get it all."""
    with server("http_server", 0) as port, contextlib.ExitStack() as stack:
        request = GET % (b"/" + b"a" * 7000)
        asked = {}
        for connection in connect_many(stack, port, 10):
            connection.settimeout(0.05)
            sent = 0
            with contextlib.suppress(socket.timeout):
                while True:
                    sent += connection.send((request * 100)[sent % len(request):])
            connection.settimeout(PATIENCE)
            asked[connection] = sent
        check_http(port, 50)
        for connection, sent in asked.items():
            whole, rest = divmod(sent, len(request))
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection).count(b"\r\n\r\n/aaa") == whole, (whole, rest)


# ---- wrong ones ----

def check_answer(port, name, status, parts):
    """Sends the parts, and the end; what comes back must be that one answer, or nothing, and then the end."""
    with connect(port) as connection:
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        answer = read_to_end(connection)
    expected = rb"HTTP/1\.1 %d " % status if status else rb"\Z"
    assert re.match(expected, answer) and answer.count(b"HTTP/1.1 ") <= 1, (name, status, answer[:300])
    assert b"/smuggled" not in answer, name


def malformed_to_http_server():
    with server("http_server", 0) as port:
        for name, data, status in malformed_http.CASES:
            check_answer(port, name, status, [data])
            check_http(port)


def malformed_to_http_server_in_single_bytes():
    with server("http_server", 0) as port:
        for name, data, status in malformed_http.CASES:
            if len(data) < 1000:
                check_answer(port, name, status, [data[i:i + 1] for i in range(len(data))])
        check_http(port)


def malformed_after_a_good_one():
    with server("http_server", 0) as port:
        for name, data, status in malformed_http.CASES:
            with connect(port) as connection:
                connection.sendall(GET % b"/good" + data)
                connection.shutdown(socket.SHUT_WR)
                answers = read_to_end(connection)
            statuses = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]
            assert statuses == [200] + ([status] if status else []), (name, statuses)


def malformed_and_reset():
    """The same from clients that are gone, with a reset, before the answer comes."""
    with server("http_server", 0) as port:
        for _, data, _ in malformed_http.CASES:
            with connect(port) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.send(data)
        check_http(port)


sys.exit(run_all([
    curl_to_http_server, wrk_to_http_server, socat_to_echo_server, ncat_to_echo_server, python_to_echo_server,
    pipelining_to_http_server, fetch_from_nginx, nginx_before_http_server, tcp_proxy_before_nginx, tcp_proxy_before_redis,
    echo_client_to_socat, echo_client_to_ncat, echo_client_to_nginx, slowloris_to_http_server,
    single_bytes_to_http_server, single_bytes_to_echo_server, single_bytes_through_tcp_proxy, clients_that_do_not_read,
    malformed_to_http_server, malformed_to_http_server_in_single_bytes, malformed_after_a_good_one, malformed_and_reset]))
