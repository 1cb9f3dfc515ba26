"""The examples in Python, each as its reader would run it."""

import pathlib
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.own("they are about ringport")

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/python"


@pytest.fixture
def start():
    """start(program, argument...): a program, and the first line that it prints; it is ended after the test."""
    programs = []

    def start(name, *arguments):
        command = [sys.executable, EXAMPLES / name, *arguments]
        programs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return programs[-1], programs[-1].stdout.readline()

    yield start
    for program in programs:
        program.kill()
        program.communicate()


def echoed(port, message):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(message)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_hello_is_the_readme_s():
    program = (EXAMPLES / "hello.py").read_text()
    assert f"```python\n{program}```" in (ROOT / "README.md").read_text()
    done = subprocess.run([sys.executable, EXAMPLES / "hello.py"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("".join(f"[test_run] {i}\n" for i in range(3)), "")


@pytest.mark.parametrize("name", ["ringport", "asyncio"])
def test_echo_server(start, name):
    _, line = start("echo_server.py", "0", name)
    message = bytes(range(256)) * 100
    assert echoed(int(line.rpartition(":")[2]), message) == message


def test_mixed_server(start):
    server, line = start("mixed_server.py", "0", "0")
    echo_port, status_port = (int(part.rpartition(":")[2]) for part in line.split(","))
    message = bytes(range(256)) * 4000
    assert echoed(echo_port, message) == message
    with socket.create_connection(("127.0.0.1", echo_port)) as client:
        client.sendall(b"1")
        assert client.recv(1) == b"1"
        assert echoed(status_port, b"") == b"the echo server in C has 1 connections\n"
    server.send_signal(signal.SIGTERM)
    _, errors = server.communicate(timeout=60)
    assert (server.returncode, errors) == (0, "")
