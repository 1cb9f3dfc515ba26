#!/usr/bin/python3
"""test_examples.py DIR: runs each example, in the directory of the built ones, as its reader would (see programs.py)."""

import contextlib
import http.client
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from programs import DIRECTORY, PATIENCE, SUFFIX, run, run_all, server, start
from site_of_pages import SITE, site


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


def copy_file():
    with tempfile.TemporaryDirectory(dir=".") as directory:
        source, target = f"{directory}/from", f"{directory}/to"
        data = os.urandom(9 << 20)
        pathlib.Path(source).write_bytes(data)
        output = run("copy_file", source, target)
        assert output.endswith(f"100 % of {len(data)} bytes\ncopied {len(data)} bytes\n"), output
        assert output.count(" % of ") >= 3, output
        assert pathlib.Path(target).read_bytes() == data


def udp_echo():
    with server("udp_echo", 0) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(("127.0.0.1", port))
        for size in (0, 1, 1400):
            data = os.urandom(size)
            peer.send(data)
            assert peer.recv(65536) == data
        for i in range(20):
            peer.send(b"%d" % i)
        assert [peer.recv(65536) for i in range(20)] == [b"%d" % i for i in range(20)]


def chat_server():
    with server("chat_server", 0) as port, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) for i in range(3)]
        files = [stack.enter_context(peer.makefile("rw", newline="\n")) for peer in peers]
        # A line that comes back from another one shows that both are there.
        for speaker, listener in ((0, 1), (1, 2), (2, 0)):
            heard = None
            while heard is None:
                print("here", file=files[speaker], flush=True)
                ready, _, _ = select.select([peers[listener]], [], [], 0.05)
                heard = files[listener].readline() if ready else None
        for i in range(50):
            print(f"line {i}", file=files[0], flush=True)
        for listener in (1, 2):
            for i in range(50):
                while (line := files[listener].readline()) == "here\n":
                    pass
                assert line == f"line {i}\n", line
        peers[0].shutdown(socket.SHUT_WR)
        assert set(files[0]) <= {"here\n"}  # none of its own, and then the end


def numbered():
    process = start("numbered", stdin=subprocess.PIPE)
    try:
        for number in range(1, 4):
            process.stdin.write(f"line {number}\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{number:6}  line {number}\n"
        process.stdin.write("the last one")
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and output == "     4  the last one", output
    finally:
        process.kill()
        process.wait()


def crawler():
    with site() as (port, asked):
        output = run("crawler", "localhost", port, "/", 1000)
    assert sorted(asked) == sorted(SITE), asked
    assert sorted(output.splitlines()) == sorted(f"{path}: read" for path in SITE), output


def pipeline():
    if SUFFIX:
        assert run("pipeline", "echo one", 'find "one"').split() == ["one"]
        return
    lines = run("pipeline", "echo b; echo a; echo b", "sort", "uniq -c").splitlines()
    ends = ["echo b; echo a; echo b: 0", "sort: 0", "uniq -c: 0"]
    assert [line for line in lines if line in ends] == ends, lines
    assert [line.split() for line in lines if line not in ends] == [["1", "a"], ["2", "b"]], lines
    assert "y\ny\ny\n" in run("pipeline", "yes", "head -n 3")  # the first one ends by the second one's end
    assert run("pipeline", "exit 3") == "exit 3: 3\n"


def tail():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "log")
        process = start("tail", path)

        def add(line, name=path):
            with name.open("a", newline="\n") as file:
                file.write(f"{line}\n")

        def says(line):
            assert process.stdout.readline() == f"{line}\n"

        try:
            path.with_name("other").write_text("nothing\n")
            add("one")  # which makes the file, before or after it is looked for
            says("one")
            add("two")
            says("two")
            if not SUFFIX:
                path.write_text("")
                add("three")
                says("three")
                add("four", path.with_name("new"))
                path.with_name("new").rename(path)
                says("four")
                add("five")
                says("five")
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


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


def certificate(directory):
    """A certificate for localhost that signs itself, and its key; made by `openssl`."""
    paths = f"{directory}/certificate", f"{directory}/key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", paths[0], "-keyout",
                    paths[1]], check=True, stderr=subprocess.DEVNULL)
    return paths


def tls_echo():
    with tempfile.TemporaryDirectory() as directory:
        roots, key = certificate(directory)
        with server("tls_echo_server", 0, roots, key) as port:
            process = start("tls_echo_client", "localhost", port, roots, stdin=subprocess.PIPE)
            output, _ = process.communicate("".join(f"line {i}\n" for i in range(1000)), PATIENCE)
            assert process.returncode == 0, output
            assert output.splitlines() == ["TLSv1.3"] + [f"line {i}" for i in range(1000)], output
            process = start("https_fetch", "127.0.0.1", port, "/", roots)
            output, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 1 and "another name" in output, output


def mail():
    with tempfile.TemporaryDirectory() as directory:
        roots, key = certificate(directory)
        process = start("mail_server", 0, roots, key)
        try:
            port = process.stdout.readline().rpartition(":")[2].strip()
            assert run("mail_client", "localhost", port, roots, "one", "two") == ""
            assert [process.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
            with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as client, client.makefile("rb") as answers:
                client.sendall(b"too early\r\nSTARTTLS\r\nand this, too\r\n")
                codes = [line[:3] for line in answers if line[:1].isdigit()]
                assert codes == [b"220", b"530", b"220"], codes
            assert run("mail_client", "localhost", port, roots, "three") == ""
            assert process.stdout.readline() == "three\n"
        finally:
            process.kill()
            process.wait()


def resp_server():
    with server("resp_server", 0) as port, socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$5\r\nvalue\r\nGET name\r\nRPUSH list a 'b c'\r\nLRANGE list 0 -1\r\n")
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as replies:
            assert replies.read() == b"+OK\r\n$5\r\nvalue\r\n:2\r\n*2\r\n$1\r\na\r\n$3\r\nb c\r\n"


EXAMPLES = [hello, echo_server, echo_client, tcp_proxy, http_server, fetch, executor, udp_echo, chat_server, crawler,
            pipeline, copy_file, tail]

if (DIRECTORY / "tls_echo_server").exists() and shutil.which("openssl"):
    EXAMPLES += [tls_echo, mail]  # built where there is OpenSSL
if (DIRECTORY / "resp_server").exists():
    EXAMPLES.append(resp_server)  # the same, but for Windows

sys.exit(run_all(EXAMPLES if SUFFIX else EXAMPLES + [numbered, signals]))
