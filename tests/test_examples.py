#!/usr/bin/python3
"""test_examples.py DIR: runs each example, in the directory of the built ones, as its reader would.

RINGPORT_PROACTOR picks the backend; WRAPPER is what runs programs of another architecture.
"""

import contextlib
import http.client
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import traceback

DIRECTORY = pathlib.Path(sys.argv[1])
WRAPPER = shlex.split(os.environ.get("WRAPPER", ""))
SUFFIX = ".exe" if (DIRECTORY / "hello.exe").exists() else ""
PATIENCE = 60


def start(name, *arguments):
    """What Wine says on stderr is not looked at, and it has to be told where the library is."""
    return subprocess.Popen([*WRAPPER, str(DIRECTORY / (name + SUFFIX)), *map(str, arguments)], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL if SUFFIX else subprocess.STDOUT,
                            env={**os.environ, "WINEPATH": "Z:" + str(DIRECTORY.resolve().parent)},
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def run(name, *arguments):
    """The output of an example that ends by itself, and well."""
    process = start(name, *arguments)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (process.returncode, output)
    return output


@contextlib.contextmanager
def server(name, *arguments):
    """Gives the port of an example that serves; it must end in order on SIGINT, and say nothing more."""
    process = start(name, *arguments)
    try:
        line = process.stdout.readline()
        match = re.match(r"serving on .*?127\.0\.0\.1:(\d+)", line)
        assert match, line + process.stdout.read()
        yield int(match[1])
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and output == "", (process.returncode, output)
    finally:
        process.kill()
        process.wait()


def check_echo(port, size):
    """Sends that much, with a half-close at its end, and expects the same."""
    data = os.urandom(size)
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for begin in range(0, size, 50000):
            connection.sendall(data[begin:begin + 50000])
            while len(received) < min(size, begin + 50000):
                received += connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert received == data


def hello():
    assert run("hello") == "[test_run] 0\n[test_run] 1\n[test_run] 2\n"


def echo_server():
    with server("echo_server", 0) as port:
        check_echo(port, 1000000)


def echo_client():
    with server("echo_server", 0) as port:
        output = run("echo_client", "127.0.0.1", port, 10, 0.5)
    assert re.match(r"10 connections, 1024 bytes: [1-9]\d* messages compared", output), output


def tcp_proxy():
    with server("echo_server", 0) as port, server("tcp_proxy", 0, "127.0.0.1", port) as proxy:
        check_echo(proxy, 1000000)


def http_server():
    with server("http_server", 0) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.connect()
        first = connection.sock
        for path in ("/", "/a/b?c=d"):
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200 and path in response.read().decode()
        assert connection.sock is first, "the connection was not kept alive"
        connection.request("DELETE", "/")
        assert connection.getresponse().status == 405
        connection.close()


def fetch():
    with server("http_server", 0) as port:
        output = run("fetch", "127.0.0.1", port, "/one", "/two", "/three")
    assert sorted(re.findall(r"^/(\w+): \d+ bytes, HTTP/1.1 200 OK", output, re.M)) == ["one", "three", "two"], output


def executor():
    assert "the loop ticked on" in run("executor")


def signals():
    process = start("signals")
    try:
        assert "waiting" in process.stdout.readline()
        for count in (1, 2):
            process.send_signal(signal.SIGUSR1)
            assert process.stdout.readline() == f"SIGUSR1: {count}\n"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and output == "terminated after 2 times SIGUSR1\n", output
    finally:
        process.kill()
        process.wait()


def main():
    examples = [hello, echo_server, echo_client, tcp_proxy, http_server, fetch, executor]
    if not SUFFIX:
        examples.append(signals)
    failed = 0
    for example in examples:
        try:
            example()
            print("ok", example.__name__)
        except Exception:  # whatever it was, the others are still to run
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print("FAILED", example.__name__)
    print(f"# {len(examples) - failed} passed, {failed} failed, 0 skipped")
    return failed > 0


sys.exit(main())
