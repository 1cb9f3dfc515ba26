"""The examples in Python, each as its reader would run it."""

import contextlib
import hashlib
import itertools
import pathlib
import select
import signal
import smtplib
import socket
import subprocess
import sys
import threading

import pytest

from certificates import certificate, client_context, make_certificate, server_context  # noqa: F401, fixtures

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


@pytest.mark.parametrize("name", ["digest_threads", "digest_tasks"])
def test_program_that_was_moved(start, name):
    _, line = start(f"../migration/{name}.py", "0")
    port = int(line.rpartition(":")[2])
    expected = [hashlib.scrypt(text, salt=b"salt", n=1024, r=8, p=1, dklen=16).hex() for text in (b"one", b"two")]
    assert echoed(port, b"one\ntwo\n").decode().split() == expected


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


def test_copy_file(tmp_path):
    source, target = tmp_path / "from", tmp_path / "to"
    source.write_bytes(data := bytes(range(256)) * (9 << 12))
    command = [sys.executable, EXAMPLES / "copy_file.py"]
    done = subprocess.run([*command, source, target], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"100 % of {len(data)} bytes\ncopied {len(data)} bytes\n")
    assert target.read_bytes() == data
    done = subprocess.run([*command, tmp_path / "missing", tmp_path / "other"], capture_output=True, text=True)
    assert done.returncode == 1 and "missing" in done.stderr


def test_chat_server(start):
    _, line = start("chat_server.py", "0")
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])))) for _ in range(3)]
        files = [stack.enter_context(peer.makefile("rw", newline="\n")) for peer in peers]
        for speaker, listener in ((0, 1), (1, 2), (2, 0)):  # until all are there
            while not select.select([peers[listener]], [], [], 0.05)[0]:
                print("here", file=files[speaker], flush=True)
        for i in range(50):
            print(i, file=files[0], flush=True)
        for listener in (1, 2):
            heard = (line for line in files[listener] if line != "here\n")
            assert list(itertools.islice(heard, 50)) == [f"{i}\n" for i in range(50)]
        peers[0].shutdown(socket.SHUT_WR)
        assert set(files[0]) <= {"here\n"}  # none of its own, and then the end


@pytest.mark.parametrize("commands, output, ends", [
    ([r"printf 'b\na\nb\n'", "sort", "uniq -c"], "1 a 2 b", [0, 0, 0]),
    (["yes", "head -n 3"], "y y y", [None, 0]),
    (["exit 3"], "", [3]),
])
def test_pipeline(commands, output, ends):
    done = subprocess.run([sys.executable, EXAMPLES / "pipeline.py", *commands], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout.split()) == (0, output.split())
    told = dict(line.rsplit(": ", 1) for line in done.stderr.splitlines())
    assert list(told) == commands
    assert all(end is None or told[command] == str(end) for command, end in zip(commands, ends))


def test_tail(tmp_path):
    path = tmp_path / "log"
    path.write_text("one\n")
    program = subprocess.Popen([sys.executable, EXAMPLES / "tail.py", path], stdout=subprocess.PIPE, text=True)

    def check(line, name=path, mode="a"):
        with name.open(mode) as file:
            file.write(f"{line}\n")
        if name != path:
            name.rename(path)
        assert program.stdout.readline() == f"{line}\n"

    try:
        assert program.stdout.readline() == "one\n"
        check("two")
        check("cut", mode="w")
        check("another", tmp_path / "new")
        check("more of it")
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=60) == ("", None)
        assert program.returncode == 0
    finally:
        program.kill()
        program.wait()


def test_numbered():
    program = subprocess.Popen(
        [sys.executable, EXAMPLES / "numbered.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for number in range(1, 4):
        program.stdin.write(b"line %d\n" % number)
        program.stdin.flush()
        assert program.stdout.readline() == b"%6d  line %d\n" % (number, number)
    assert program.communicate(b"the last one", timeout=60) == (b"     4  the last one", b"")
    assert program.returncode == 0


def test_crawler():
    sys.path.append(str(ROOT / "tests/strangers"))
    from site_of_pages import SITE, site

    with site() as (port, asked):
        command = [sys.executable, EXAMPLES / "crawler.py", "localhost", str(port), "/", "1000"]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    assert sorted(asked) == sorted(SITE)
    assert sorted(done.stdout.splitlines()) == sorted(f"{path}: read" for path in SITE)


def test_udp_echo(start):
    server, line = start("udp_echo.py", "0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", int(line.rpartition(":")[2])))
        for data in (b"hello", b"", b"x" * 1400):
            peer.send(data)
            assert peer.recv(65536) == data
        for i in range(20):
            peer.send(b"%d" % i)
        assert [peer.recv(65536) for _ in range(20)] == [b"%d" % i for i in range(20)]
    server.send_signal(signal.SIGINT)
    assert server.communicate()[1].endswith("KeyboardInterrupt\n")


def test_tls_echo(start, certificate, tmp_path):
    server, line = start("tls_echo_server.py", *certificate, "0")
    port = line.rpartition(":")[2].strip()
    client = [sys.executable, EXAMPLES / "tls_echo_client.py"]
    done = subprocess.run([*client, certificate[0], port], input="one\ntwo\n", capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("one\ntwo\n", "")
    assert "speaks TLSv1.3, TLS_AES_256_GCM_SHA384" in server.stdout.readline()
    done = subprocess.run([*client, make_certificate(tmp_path)[0], port], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "the server's certificate is refused: self-signed certificate\n")


def answer_once(listener, context):
    with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
        while b"\r\n\r\n" not in peer.recv(65536):
            pass
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
        peer.unwrap()


def test_https_fetch(certificate, server_context):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_once, args=(listener, server_context))
        thread.start()
        command = [sys.executable, EXAMPLES / "https_fetch.py", "localhost", "/", str(listener.getsockname()[1]), certificate[0]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        thread.join()
    assert done.stderr == ""
    first, *head, last = done.stdout.splitlines()
    assert first.startswith("certificate for localhost, 127.0.0.1 until ")
    assert head == ["HTTP/1.1 200 OK", "Content-Length: 100000"] and last == "and 100000 bytes"


def test_mail_client(start, certificate, tmp_path):
    server, line = start("mail_server.py", *certificate, "0")
    port = line.rpartition(":")[2].strip()
    client = [sys.executable, EXAMPLES / "mail_client.py"]
    done = subprocess.run([*client, certificate[0], port, "one", "two"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [server.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
    done = subprocess.run([*client, make_certificate(tmp_path)[0], port, "three"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "certificate verify failed" in done.stderr


def test_mail_server(start, certificate, client_context):
    server, line = start("mail_server.py", *certificate, "0")
    with smtplib.SMTP("localhost", int(line.rpartition(":")[2]), timeout=60) as client:
        assert client.docmd("MAIL") == (530, b"STARTTLS comes first")
        client.starttls(context=client_context)
        assert client.docmd("SUBJECT", "hello") == (250, b"taken")
        assert not client.has_extn("starttls") or client.ehlo()[0] == 250
    assert server.stdout.readline() == "SUBJECT hello\n"
    with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), 60) as client:
        client.sendall(b"STARTTLS\r\nwhat is said too early\r\n")
        assert b"250" not in b"".join(iter(lambda: client.recv(1000), b""))
