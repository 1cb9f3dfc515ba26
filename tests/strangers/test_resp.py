#!/usr/bin/python3
"""test_resp.py DIR: examples/resp_server among Redis' own programs: its benchmark and its client, by TCP, by a Unix
socket and by TLS, beside its server; and among clients that are slow, wrong, or gone.
"""

import contextlib
import itertools
import os
import pathlib
import random
import re
import resource
import select
import socket
import sys
import tempfile

import malformed_resp
import tls_certificates
from malformed_resp import CONVERSATION, request, words
from programs import PATIENCE, resident, run_all, virtual, serving
from tools import connect, free_port, read_to_end, redis, use

DATA = os.urandom(1000000)
TESTS = "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,lrange_100,mset"
HOME = tempfile.TemporaryDirectory()
CERTIFICATES = pathlib.Path(HOME.name)


class Served:
    """The example, and how each of Redis' programs gets at it."""

    def __init__(self, process, port, path, tls_port):
        self.process, self.port = process, port
        self.ways = {
            "TCP": ("-h", "127.0.0.1", "-p", port),
            "Unix": ("-s", path),
            "TLS": ("-h", "127.0.0.1", "-p", tls_port, "--tls", "--cacert", CERTIFICATES / "ca.pem"),
        }

    def info(self, field):
        """A number of INFO."""
        text = use("redis-cli", *self.ways["TCP"], "info").decode()
        return int(re.search(rf"^{field}:(\d+)\r?$", text, re.M)[1])

    def said(self):
        """What it has said since this was last asked for."""
        output, text = self.process.stdout.fileno(), b""
        while select.select([output], [], [], 0)[0] and (part := os.read(output, 65536)):
            text += part
        return text.decode()


@contextlib.contextmanager
def resp_server():
    with tempfile.TemporaryDirectory() as home:
        path, tls_port = f"{home}/socket", free_port()
        certificate, key = CERTIFICATES / "ecdsa.pem", CERTIFICATES / "ecdsa.key"
        with serving("resp_server", 0, path, tls_port, certificate, key) as (process, port):
            yield Served(process, port, path, tls_port)
        assert not os.path.exists(path), "the socket is still there"


def talk(port, data):
    """All that comes back, up to the end."""
    with connect(port) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_to_end(connection)


def check_alive(served):
    assert talk(served.port, request("PING")) == b"+PONG\r\n"


# ---- Redis' programs ----

def benchmark(served, way, *options):
    output = use("redis-benchmark", *served.ways[way], "-q", *options).decode().replace("\r", "\n")
    rates = re.findall(r"^(\S.*): [\d.]+ requests per second", output, re.M)
    assert "rror" not in output and "WARNING" not in output, output
    return rates


def redis_benchmark():
    with resp_server() as served:
        for way, count in (("TCP", 5000), ("Unix", 5000), ("TLS", 1500)):
            for pipeline in (1, 50):
                rates = benchmark(served, way, "-n", count, "-P", pipeline, "-c", 50, "-t", TESTS)
                assert len(rates) == len(TESTS.split(",")) + 1, rates  # and a list for LRANGE
        check_alive(served)


def redis_benchmark_of_many_connections():
    with resp_server() as served:
        for way, count in (("TCP", 1000), ("Unix", 400), ("TLS", 200)):
            for pipeline in (1, 50):
                options = ("-n", 10 * count, "-P", pipeline, "-c", count, "-r", 100000, "-d", 100, "-t", "set,get")
                assert len(benchmark(served, way, *options)) == 2
        while served.info("connected_clients") > 1:
            pass


def redis_cli():
    with resp_server() as served:
        for arguments in served.ways.values():
            cli = ("redis-cli", *arguments)
            assert use(*cli, "-x", "set", "data", input=DATA, stdin=None) == b"OK\n"
            assert use(*cli, "--raw", "get", "data") == DATA + b"\n"
            assert use(*cli, "set", "n", 0) == b"OK\n"
            commands = b"INCR n\r\n" * 1000
            assert b"errors: 0, replies: 1000" in use(*cli, "--pipe", input=commands, stdin=None)
            assert use(*cli, "get", "n") == b"1000\n"
            lines = b'rpush list a "b c" "\\x64\\n"\nlrange list 0 -1\nselect 3\nexists list\n'
            assert use(*cli, input=lines, stdin=None) == b"3\na\nb c\nd\n\nOK\n0\n"
            assert use(*cli, "flushall") == b"OK\n"
        assert b"redis_version:7.0.0" in use(*cli, "info")
        assert use(*cli, "config", "get", "save") == b"save\n\n"
        assert int(use(*cli, "command", "count")) > 30


def replies_are_those_of_redis():
    """The same conversation, as arrays, as lines, and a byte at a time."""
    arrays = b"".join(request(*words(line)) for line in CONVERSATION)
    lines = "".join(f"{line}\r\n" for line in CONVERSATION).encode()
    with resp_server() as served, redis() as (port, _):
        for data in (arrays, lines):
            expected = talk(port, data)
            assert expected.count(b"WRONGTYPE") > 4 and expected.endswith(b":0\r\n+OK\r\n"), expected
            assert talk(served.port, data) == expected
            with connect(served.port) as connection:
                for i in range(len(data)):
                    connection.sendall(data[i:i + 1])
                assert read_to_end(connection) == expected


def random_pieces():
    """Large values, and pipelines, in pieces of any size."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    choose = random.Random(seed)
    with resp_server() as served:
        for _ in range(20):
            sizes = [choose.choice((0, 1, 100, 70000, 300000)) for _ in range(10)]
            sent = b"".join(request("SET", f"k{i}", DATA[:size]) + request("GET", f"k{i}")
                            for i, size in enumerate(sizes))
            expected = b"".join(b"+OK\r\n$%d\r\n%s\r\n" % (size, DATA[:size]) for size in sizes)
            with connect(served.port) as connection:
                while sent:
                    size = choose.choice((1, 10, 1000, 65536, 1000000))
                    connection.sendall(sent[:size])
                    sent = sent[size:]
                connection.shutdown(socket.SHUT_WR)
                assert read_to_end(connection) == expected


# ---- wrong ones ----

def malformed():
    """An error, behind the replies to what came before, and then the end."""
    with resp_server() as served:
        for data, error in malformed_resp.MALFORMED.items():
            expected = rb"\+PONG\r\n-ERR Protocol error: .*%s.*\r\n\Z" % re.escape(error)
            answer = talk(served.port, request("PING") + data + request("SET", "smuggled", 1))
            assert re.match(expected, answer), (data, answer)
            if len(data) < 1000:
                with connect(served.port) as connection:
                    for byte in request("PING") + data:
                        connection.send(bytes([byte]))
                    connection.shutdown(socket.SHUT_WR)
                    answer = read_to_end(connection)
                assert re.match(expected, answer), (data, answer)
        for data, answer in malformed_resp.HARMLESS.items():
            assert talk(served.port, data) == answer, data
        assert talk(served.port, request("EXISTS", "smuggled")) == b":0\r\n"


def rubbish():
    with resp_server() as served:
        for way in ("TCP", "TLS"):
            for _ in range(100):
                with connect(served.ways[way][3]) as connection, contextlib.suppress(ConnectionError):
                    connection.sendall(os.urandom(random.randrange(1, 2000)))
                    connection.shutdown(socket.SHUT_WR)
                    read_to_end(connection)
        check_alive(served)


def announced_lengths():
    """Lengths that are announced, and never sent, cost nothing."""
    with resp_server() as served, contextlib.ExitStack() as stack:
        check_alive(served)
        before = resident(served.process)
        connections = [stack.enter_context(connect(served.port)) for _ in range(200)]
        for i, connection in enumerate(connections):
            long, many = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$60000000\r\nabc", b"*1048576\r\n$1\r\na\r\n"
            connection.sendall(long if i % 2 else many)
        for connection in connections:  # each is answered what it asks next, and so has been read
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        assert resident(served.process) < before + 200 * 300000
        check_alive(served)


def store_that_is_full():
    with resp_server() as served:
        part = DATA * 8
        answer = talk(served.port, b"".join(request("SET", f"k{i}", part) for i in range(40)))
        stored, refused = answer.count(b"+OK\r\n"), answer.count(b"-OOM ")
        assert stored + refused == 40 and 28 < stored < 34, answer
        assert talk(served.port, request("GET", "k0")) == b"$%d\r\n%s\r\n" % (len(part), part)
        assert talk(served.port, request("LPUSH", "list", part, part, part)).startswith(b"-OOM ")
        reply = talk(served.port, request("MGET", *["k0"] * 1000) + request("FLUSHALL") + request("SET", "a", part))
        assert reply == b"-ERR the reply is too long\r\n+OK\r\n+OK\r\n", reply[:200]
        assert served.info("used_memory") < len(part) + 100000


def replies_that_are_too_long():
    """Whatever stands before them."""
    few = DATA[:60000]
    with resp_server() as served:
        assert talk(served.port, request("MSET", "few", few, "many", DATA * 8)) == b"+OK\r\n"
        answer = talk(served.port, request("GET", "few") + request("MGET", *["many"] * 9) + request("PING"))
        assert answer == b"$60000\r\n%s\r\n-ERR the reply is too long\r\n+PONG\r\n" % few, answer[-100:]


def store_that_was_full():
    """Keys, lists and sets give back the room that they needed once."""
    count = 50000
    keys = [f"k{i}" for i in range(count)]
    with resp_server() as served:
        answer = talk(served.port, request("MSET", *(word for key in keys for word in (key, "1"))) +
                      request("RPUSH", "list", *keys) + request("SADD", "set", *keys))
        assert answer == b"+OK\r\n:%d\r\n:%d\r\n" % (count, count)
        assert served.info("used_memory") > 100 * count
        pops = request("LPOP", "list") + request("RPOP", "list") + request("SPOP", "set") * 2
        answer = talk(served.port, request("DEL", *keys) + pops * (count // 2 - 1) + request("LRANGE", "list", 0, -1))
        middle = keys[count // 2 - 1:count // 2 + 1]
        assert answer.endswith("".join(["*2\r\n", *(f"${len(key)}\r\n{key}\r\n" for key in middle)]).encode())
        assert served.info("used_memory") < 2000
        answer = talk(served.port, request("DBSIZE") + request("SCARD", "set") + request("GET", "k1"))
        assert answer == b":2\r\n:2\r\n$-1\r\n"


# ---- slow ones ----

def clients_that_hold_much():
    """By requests that they have not ended, and by replies that they do not read. All together may have 256 MiB."""
    size = 60000000
    begun = request("SET", "data", b"x" * size)[:size // 10 * 9]
    with resp_server() as served:
        assert talk(served.port, request("SET", "data", b"x" * size)) == b"+OK\r\n"
        for data in begun, request("GET", "data"):
            reports = ""
            with contextlib.ExitStack() as stack:
                for _ in range(6):
                    with contextlib.suppress(ConnectionError):
                        stack.enter_context(connect(served.port)).sendall(data)
                while "ENOBUFS" not in reports:
                    check_alive(served)
                    reports += served.said()
                assert 2 * size < served.info("mem_clients_normal") < 256 * 1024 * 1024 + 100000
                assert talk(served.port, request("SET", "small", DATA[:10000])) == b"+OK\r\n"
            while served.info("mem_clients_normal") > 100000:
                pass
            check_alive(served)  # in a later turn than the last report
            reports += served.said()
            assert reports.count("ENOBUFS") == reports.count("\n"), reports


def clients_that_are_idle_again():
    """A request of many arguments leaves nothing behind."""
    with resp_server() as served, connect(served.port) as connection:
        connection.sendall(request("PING", *["a"] * 200000))
        assert connection.recv(1000) == b"-ERR wrong number of arguments for 'ping' command\r\n"
        assert served.info("mem_clients_normal") < 10000


def clients_without_memory():
    """What a client was to get when there was no memory for it is never sent to another one."""
    with resp_server() as served, contextlib.ExitStack() as stack:
        first, second, third = connections = [stack.enter_context(connect(served.port)) for _ in range(3)]
        secret = b"secret" * 5000
        for connection in connections:
            connection.sendall(request("SET", "secret", secret))
            assert connection.recv(1000) == b"+OK\r\n"
        size = virtual(served.process)
        limits = resource.prlimit(served.process.pid, resource.RLIMIT_AS)
        resource.prlimit(served.process.pid, resource.RLIMIT_AS, (size, limits[1]))
        for number in itertools.count():
            first.sendall(request("SET", f"k{number}", "x" * 500))
            answer = first.recv(1000)
            if answer.startswith(b"-OOM "):
                break
            assert answer == b"+OK\r\n", answer
        second.sendall(request("GET", "secret") + request("SET", "more", "x" * 100000)[:30000])
        with contextlib.suppress(ConnectionError):
            assert not read_to_end(second)
        third.sendall(request("PING"))
        assert third.recv(1000) == b"+PONG\r\n"
        resource.prlimit(served.process.pid, resource.RLIMIT_AS, limits)
        check_alive(served)
        assert re.fullmatch(r".*ENOMEM.*\n", said := served.said()), said


def clients_that_do_not_read():
    """They ask for much, until nothing more goes through. Others are served meanwhile; then they get all of it."""
    with resp_server() as served, contextlib.ExitStack() as stack:
        assert talk(served.port, request("SET", "data", DATA[:100000])) == b"+OK\r\n"
        check_alive(served)
        before = resident(served.process)
        ask, expected = request("GET", "data"), b"$100000\r\n%s\r\n" % DATA[:100000]
        asked = {}
        for _ in range(10):
            connection = stack.enter_context(connect(served.port))
            connection.setblocking(False)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while sent < 100 * len(ask):
                    sent += connection.send((ask * 100)[sent:])
            connection.settimeout(PATIENCE)
            asked[connection] = sent
        for _ in range(20):
            check_alive(served)
        assert resident(served.process) < before + 10 * 10 * len(expected)  # of 100 replies each
        for connection, sent in asked.items():
            connection.sendall((ask * 100)[sent:])
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection) == expected * 100


def clients_that_send_single_bytes():
    data = b"".join(request("INCR", "n") for _ in range(20))
    with resp_server() as served, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(served.port)) for _ in range(100)]
        for i in range(len(data)):
            for connection in connections:
                connection.send(data[i:i + 1])
            if i % 100 == 0:
                check_alive(served)
        for connection in connections:
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection).count(b":") == 20
        assert talk(served.port, request("GET", "n")) == b"$4\r\n2000\r\n"


def clients_that_are_gone():
    """With a reset: amid a request, amid a large reply, and at once."""
    with resp_server() as served:
        talk(served.port, request("SET", "data", DATA))
        for i in range(300):
            with connect(served.port) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                if i % 3 == 0:
                    connection.send(request("SET", "data2", DATA)[:random.randrange(1, 200000)])
                elif i % 3 == 1:
                    connection.sendall(request("GET", "data") * 20)
                    connection.recv(random.randrange(1, 100000))
        while served.info("connected_clients") > 1:
            pass
        assert talk(served.port, request("EXISTS", "data", "data2")) == b":1\r\n"


tls_certificates.make(HOME.name)
sys.exit(run_all([
    redis_benchmark, redis_benchmark_of_many_connections, redis_cli, replies_are_those_of_redis, random_pieces,
    malformed, rubbish, announced_lengths, store_that_is_full, replies_that_are_too_long, store_that_was_full,
    clients_that_hold_much, clients_that_are_idle_again, clients_without_memory, clients_that_do_not_read,
    clients_that_send_single_bytes, clients_that_are_gone]))
