#!/usr/bin/python3
"""test_libraries.py DIR REFUSAL: the examples that have a library of others on the loop: hiredis, c-ares and libcurl.

Each against servers that this script starts. An example that is not built, since its library was not found, skips its
cases; where CI is set, it fails them. REFUSAL is refuse_watching.c, built.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading

import dns_server
from programs import DIRECTORY, PATIENCE, Skip, run_all, server, start
from tools import free_port, nginx, redis

DATA = os.urandom(3000000)
REFUSAL = sys.argv[2]


def begin(name, *arguments, preloaded=""):
    if not (DIRECTORY / name).exists():
        if os.environ.get("CI"):
            raise FileNotFoundError(name)
        raise Skip(f"there is no {name}")
    return start(name, *arguments, more={"LD_PRELOAD": preloaded} if preloaded else {})


def end(process):
    """The exit status and the output of an example."""
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output


def run(name, *arguments, preloaded=""):
    return end(begin(name, *arguments, preloaded=preloaded))


@contextlib.contextmanager
def listener(handle=None):
    """A port whose connections are handed to a function, one by one, and then closed; without one they are left
    alone."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        handle(connection)

        thread = threading.Thread(target=accept) if handle else None
        if thread:
            thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        if thread:
            thread.join()


# ---- hiredis ----

def hiredis_to_redis():
    with redis() as ways:
        for where in ways:
            status, output = run("hiredis_client", where, 50, 100)
            assert (status, output) == (0, "50 tasks, 100 times each: 5000\nBLPOP: no reply in time\n"), output


def hiredis_to_resp_server():
    with tempfile.TemporaryDirectory() as home, server("resp_server", 0, f"{home}/socket") as port:
        for where in (port, f"{home}/socket"):
            status, output = run("hiredis_client", where, 50, 100)
            lines = r"50 tasks, 100 times each: 5000\nBLPOP: (ERR unknown command 'BLPOP'|no reply in time)\n"
            assert status == 0 and re.fullmatch(lines, output), output


def hiredis_to_nobody():
    for where in (free_port(), "/none/socket"):
        status, output = run("hiredis_client", where, 1, 1)
        assert status == 1 and re.search("Connection refused|No such file", output), output


def hiredis_loses_its_server():
    """At once, amid a reply, and by what is no reply."""
    for last in (b"", b"$100\r\nabc", b"nonsense\r\n"):
        def handle(connection, last=last):
            connection.recv(1000)
            connection.sendall(b"+OK\r\n")
            connection.recv(1000)
            connection.sendall(b":1\r\n" + last)

        with listener(handle) as port:
            status, output = run("hiredis_client", port, 20, 20)
        assert status == 1 and output.startswith("hiredis_client: "), output


def hiredis_cannot_watch():
    with listener() as port:
        status, output = run("hiredis_client", port, 3, 3, preloaded=REFUSAL)
    assert (status, output.count("cannot allocate memory")) == (1, 1), output


def hiredis_gets_sigpipe():
    """As from its own write to a connection that the server has closed."""
    process = concurrent.futures.Future()

    def handle(connection):
        connection.recv(1000)
        process.result().send_signal(signal.SIGPIPE)
        connection.sendall(b"+OK\r\n")
        connection.recv(1000)

    with listener(handle) as port:
        process.set_result(begin("hiredis_client", port, 1, 1))
        status, output = end(process.result())
    assert status == 1 and "Server closed the connection" in output, output


# ---- c-ares ----

NAMES = {
    "one.test": ["192.0.2.1"], "six.test": ["2001:db8::1"], "both.test": ["192.0.2.2", "2001:db8::2"],
    "late.test": ["192.0.2.3"], "wrong.test": ["192.0.2.4"], "long.test": [f"198.51.100.{n}" for n in range(100)],
    "empty.test": [],
    **{f"n{n}.test": [f"203.0.113.{n}"] for n in range(200)},
}


def look_up(way, names, patience=60000):
    """What cares_lookup says of each name, and the server."""
    with dns_server.serving(NAMES) as serving:
        status, output = run("cares_lookup", way, f"127.0.0.1:{serving.port}", patience, *names)
    assert status == 0, output
    said = dict(re.findall(r"^(\S+): (.*)$", output, re.M))
    assert sorted(said) == sorted(names), output
    return said, serving


def check_addresses(said, names):
    for name in names:
        assert sorted(said[name].split()) == sorted(NAMES[name]), (name, said[name])


def cares_by_udp():
    names = ["one.test", "six.test", "both.test", *(f"n{n}.test" for n in range(200))]
    said, serving = look_up("udp", names)
    check_addresses(said, names)
    assert {way for way, _, _ in serving.asked} == {"udp"}, serving.asked


def cares_by_tcp():
    names = ["one.test", "six.test", "both.test", "long.test", *(f"n{n}.test" for n in range(200))]
    said, serving = look_up("tcp", names)
    check_addresses(said, names)
    assert {way for way, _, _ in serving.asked} == {"tcp"}, serving.asked


def cares_goes_over_to_tcp():
    said, serving = look_up("udp", ["long.test", "one.test"])
    check_addresses(said, ["long.test", "one.test"])
    assert serving.asked["udp", "long.test", 1] > 0 and serving.asked["tcp", "long.test", 1] == 1, serving.asked


def cares_asks_again():
    said, serving = look_up("udp", ["late.test"])
    check_addresses(said, ["late.test"])
    assert serving.asked["udp", "late.test", 1] > 1, serving.asked


def cares_of_wrong_answers():
    said, _ = look_up("udp", ["none.test", "empty.test", "wrong.test", "silent.test", "one.test"])
    check_addresses(said, ["wrong.test", "one.test"])
    assert said["none.test"] == "Domain name not found", said
    assert said["silent.test"] == "Timeout while contacting DNS servers", said
    assert said["empty.test"] == "DNS server returned answer with no data", said


def cares_has_no_time():
    """Its own three attempts would take longer."""
    said, _ = look_up("udp", ["silent.test", "silent2.test"], 300)
    assert set(said.values()) == {"no answer in time"}, said


def cares_to_nobody():
    status, output = run("cares_lookup", "tcp", f"127.0.0.1:{free_port()}", 60000, "one.test")
    assert (status, output) == (0, "one.test: Could not contact DNS servers\n"), output


def cares_cannot_watch():
    """Its lookups end by their time-outs, and it says why."""
    status, output = run("cares_lookup", "udp", f"127.0.0.1:{free_port()}", 60000, "one.test", preloaded=REFUSAL)
    assert status == 1 and "one.test: Timeout" in output and "cannot allocate memory" in output, output


def cares_gets_sigpipe():
    """As from its own write to a connection that the server has closed."""
    process = concurrent.futures.Future()

    def handle(connection):
        if connection.recv(1000):
            process.result().send_signal(signal.SIGPIPE)

    with listener(handle) as port:
        process.set_result(begin("cares_lookup", "tcp", f"127.0.0.1:{port}", 60000, "one.test"))
        status, output = end(process.result())
    assert (status, output) == (0, "one.test: Could not contact DNS servers\n"), output


# ---- libcurl ----

def download(patience, *urls):
    """The exit status, what curl_multi says of each, and the files."""
    with tempfile.TemporaryDirectory() as home:
        status, output = run("curl_multi", patience, home, *urls)
        files = [pathlib.Path(home, str(number)).read_bytes() for number in range(len(urls))]
    return status, output, files


def curl_multi_from_http_server():
    with server("http_server", 0) as port:
        status, output, files = download(60000, *(f"http://127.0.0.1:{port}/{n}" for n in range(300)))
    assert status == 0 and output.count(": 200, ") == 300, output
    assert files == [b"/%d" % n for n in range(300)]


def curl_multi_from_nginx():
    with tempfile.TemporaryDirectory() as home:
        sizes = [0, 1, 1000, 65536, 1000000, 3000000] * 5
        for size in set(sizes):
            pathlib.Path(home, f"f{size}").write_bytes(DATA[:size])
        with nginx(home) as port:
            urls = [f"http://127.0.0.1:{port}/f{size}" for size in sizes]
            status, output, files = download(60000, *urls)
            assert status == 0 and files == [DATA[:size] for size in sizes], output
            status, output, files = download(60000, urls[2], f"http://127.0.0.1:{port}/none")
            assert status == 1 and files[0] == DATA[:1000] and "/none: 404, " in output, output


def curl_multi_has_no_time():
    """One server says nothing, another stops amid its answer; the rest comes."""
    def stop(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        connection.recv(1000)

    with server("http_server", 0) as port, listener() as silent, listener(stop) as stopping:
        urls = [f"http://127.0.0.1:{p}/x" for p in (port, silent, stopping, silent, port)]
        for patience in (500, 3000, 20000):  # what is not busy needs the first alone
            status, output, files = download(patience, *urls)
            if output.count(": 200, 2 bytes") == 2:
                break
    assert status == 1 and output.count(": no end in time") == 3 and output.count(": 200, 2 bytes") == 2, output
    assert files == [b"/x", b"", b"abc", b"", b"/x"], files


def curl_multi_of_failures():
    def reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.recv(10)

    with server("http_server", 0) as port, listener(reset) as resetting:
        urls = [f"http://127.0.0.1:{p}/x" for p in (port, free_port(), resetting, resetting, port)]
        status, output, files = download(60000, *urls, "nonsense://x")
    assert status == 1 and output.count(": 200, 2 bytes") == 2 and output.count("\n") == 6, output
    assert re.search("connect to server", output) and re.search("peer|no data", output), output


sys.exit(run_all([
    hiredis_to_redis, hiredis_to_resp_server, hiredis_to_nobody, hiredis_loses_its_server, hiredis_cannot_watch,
    hiredis_gets_sigpipe, cares_by_udp, cares_by_tcp, cares_goes_over_to_tcp, cares_asks_again, cares_of_wrong_answers,
    cares_has_no_time, cares_to_nobody, cares_cannot_watch, cares_gets_sigpipe,
    curl_multi_from_http_server, curl_multi_from_nginx, curl_multi_has_no_time, curl_multi_of_failures]))
