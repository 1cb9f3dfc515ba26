"""HTTP/1.1 and HTTP/2, over TCP and TLS: wrk's and h2load's load, 100 MB each way by curl, WebSockets, shutdown.

With --workers 0 it serves in its own process, otherwise in some that it spawns.
"""

import json
import pathlib
import re
import subprocess

import payload
import pytest
import visitors
from loops import python, size
from servers import free_port, started, tool
from tls import Certificate
from visitors import Site

PACKAGES = ["hypercorn", "h2", "wsproto", "starlette"]
SERVERS = ["wrk", "nghttp2-client", "curl"]
HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


def serving(port, *options, app="plain", workers=0):
    """hypercorn as a process of its own."""
    told = ["--workers", str(workers), "--bind", f"127.0.0.1:{port}", *options]
    return started(python("-m", "hypercorn", *told, f"apps.{app}:app"), ("127.0.0.1", port), cwd=HERE)


@pytest.fixture(scope="module", params=[("plain", "tcp"), ("plain", "tls"), ("starlette_site", "tcp")], ids="-".join)
def site(request, certificate):
    app, security = request.param
    port = free_port()
    options = ["--certfile", certificate.certificate, "--keyfile", certificate.key] if security == "tls" else []
    with serving(port, *options, app=app):
        yield Site(port, certificate.client() if options else None)


@visitors.visits(visitors.slow_senders)
def test_visit(site, visit):
    visit(site)


def http2(site, certificate, path, *options):
    """What curl gets by HTTP/2."""
    how = ["--http2", "--cacert", certificate.certificate] if site.context else ["--http2-prior-knowledge"]
    command = [tool("curl"), "-sS", "--fail", "--max-time", visitors.PATIENCE, *how, *options, site.url + path]
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True).stdout


def test_http2(site, certificate, tmp_path):
    assert http2(site, certificate, "/version") == b"2"
    http2(site, certificate, "/download", "-o", tmp_path / "large")
    with (tmp_path / "large").open("rb") as file:
        assert payload.digest(iter(lambda: file.read(1 << 20), b"")) == payload.DIGEST
    found = http2(site, certificate, "/upload", "--data-binary", f"@{tmp_path / 'large'}")
    assert json.loads(found) == [payload.SIZE, payload.DIGEST]


def test_http2_under_load(site):
    """Several streams on each connection, of which hypercorn serves a thousand."""
    count = size(8000, 1000)
    command = [tool("h2load"), "-n", str(count), "-c", "16", "-m", "10", site.url + "/"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=visitors.PATIENCE).stdout
    assert re.search(rf"{count} succeeded, 0 failed, 0 errored, 0 timeout", printed), printed


def test_graceful_shutdown_under_load():
    """On asyncio's loop, too, hypercorn drops requests that come while it closes their connections."""
    port = free_port()
    with serving(port) as server:
        visitors.graceful_shutdown(Site(port), server, lossless=False)
        assert server.returncode == 0


def test_two_workers():
    """They are spawned, and share a socket. Once one has ended, hypercorn kills the other."""
    port = free_port()
    with serving(port, workers=2) as server:
        visitors.is_on_loop(Site(port))
        visitors.all_serve(Site(port), 2)
        visitors.crowd(Site(port), "/")
        server.terminate()
        server.wait(visitors.PATIENCE)
