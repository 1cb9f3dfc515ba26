"""tools.py: programs of others, for the scripts that let them at the examples.

A tool that is missing skips its case; where CI is set, it fails it. What serves does so on the loopback interface only.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from programs import PATIENCE, Skip


def tool(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None and os.environ.get("CI"):
        raise FileNotFoundError(name)
    if path is None:
        raise Skip(f"there is no {name}")
    return path


def use(name, *arguments, **options):
    """The output of a tool that must end well."""
    done = subprocess.run([tool(name), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE, **({"stdin": subprocess.DEVNULL} | options))
    assert done.returncode == 0, (name, done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_to_end(connection):
    received = bytearray()
    while part := connection.recv(65536):
        received += part
    return bytes(received)


@contextlib.contextmanager
def daemon(port, name, *arguments):
    """A tool that serves on that port, while the block runs."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([tool(name), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output)
        try:
            for _ in range(PATIENCE * 20):
                with contextlib.suppress(ConnectionRefusedError), connect(port):
                    break
                if process.poll() is not None:
                    break
                time.sleep(0.05)
            output.seek(0)
            assert process.poll() is None, (name, output.read())
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextlib.contextmanager
def redis():
    """A Redis that keeps nothing; gives the port and the path of its Unix socket."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        with daemon(port, "redis-server", "--bind", "127.0.0.1", "--port", port, "--unixsocket", f"{home}/socket", "--dir",
                    home, "--save", "", "--appendonly", "no"):
            yield port, f"{home}/socket"


@contextlib.contextmanager
def nginx(directory, more=""):
    """nginx on a directory's files; `more` is what else it is to serve."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        paths = "".join(f"{kind}_temp_path {home}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        pathlib.Path(home, "nginx.conf").write_text(f"""
            daemon off; master_process off; pid {home}/pid; error_log stderr;
            events {{ worker_connections 512; }}
            http {{ access_log off; {paths} {more.partition("|")[0]}
                server {{ listen 127.0.0.1:{port}; root {directory}; {more.partition("|")[2]} }} }}""")
        with daemon(port, "nginx", "-p", home, "-e", "stderr", "-c", f"{home}/nginx.conf"):
            yield port
