"""Plain ASGI, Starlette and FastAPI under wrk: keep-alive, pipelining, 100 MB each way, slow clients, TLS, shutdown.

With both of its parsers of HTTP and all of its WebSockets; on the loop by python -m ringport with --loop none, and by
the factory --loop ringport:new_event_loop.
"""

import json
import pathlib
import signal
import sys

import pytest
import visitors
from loops import LOOP, REDUCED, python, size
from servers import free_port, started
from tls import Certificate
from visitors import Site

PACKAGES = ["uvicorn", "httptools", "starlette", "fastapi", "websockets"]
SERVERS = ["wrk"]
HERE = pathlib.Path(__file__).parent

SITES = [
    ("plain", "httptools", "websockets-sansio", "factory"),
    ("starlette_site", "h11", "wsproto", "none"),
    ("fastapi_site", "httptools", "websockets", "none"),
    *size(
        [
            ("plain", "h11", "wsproto", "none"),
            ("starlette_site", "httptools", "websockets", "factory"),
            ("fastapi_site", "h11", "websockets-sansio", "factory"),
        ],
        [],
    ),
]


def command(app, port, *options, loop="none"):
    """uvicorn's, as it is started on the loop."""
    start = {"none": python("-m"), "factory": [sys.executable, "-m"]}[loop]
    chosen = {"none": "none", "factory": f"{LOOP}:new_event_loop"}[loop]
    shown = "--no-access-log", "--log-level", "warning"
    return [*start, "uvicorn", f"apps.{app}:app", "--port", port, "--loop", chosen, *shown, *options]


@pytest.fixture(scope="module", params=SITES, ids="-".join)
def site(request):
    app, http, websocket, loop = request.param
    port = free_port()
    options = "--http", http, "--ws", websocket
    with started(command(app, port, *options, loop=loop), ("127.0.0.1", port), cwd=HERE) as server:
        found = Site(port)
        found.app = app
        yield found
        server.terminate()
        server.wait(visitors.PATIENCE)
        assert "Traceback" not in server.printed(), server.printed()


@visitors.visits(visitors.slow_senders, visitors.resets)
def test_visit(site, visit):
    visit(site)


def test_files_and_threads(site):
    if site.app == "plain":
        pytest.skip("the frameworks have them")
    assert visitors.get(site, "/file") == (HERE / "apps/plain.py").read_bytes()
    visitors.crowd(site, "/thread")


def test_models_and_dependencies(site):
    if site.app != "fastapi_site":
        pytest.skip("FastAPI has them")
    with site.connection() as connection:
        names = [f"item {number}" for number in range(20)]
        for name in names:
            item = json.dumps({"name": name, "price": 1})
            found = visitors.ask(connection, "/items", "POST", item, **{"Content-Type": "application/json"})
            assert found == name.encode()
        visitors.until(lambda: visitors.ask(connection, "/items").decode().count(",") == len(names) - 1)
        assert sorted(visitors.ask(connection, "/items").decode().split(",")) == sorted(names)
        assert visitors.ask(connection, "/doubled/21") == b"42"
        connection.request("POST", "/items", '{"name": "no price"}', {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 422
        answer.read()


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_graceful_shutdown_under_load(http):
    port = free_port()
    with started(command("plain", port, "--http", http), ("127.0.0.1", port), cwd=HERE) as server:
        visitors.graceful_shutdown(Site(port), server)
        assert server.returncode == -signal.SIGTERM


@pytest.mark.parametrize("http", size(["h11", "httptools"], ["httptools"]))
def test_tls(http, tmp_path):
    port, certificate = free_port(), Certificate(tmp_path)
    options = "--http", http, "--ssl-certfile", certificate.certificate, "--ssl-keyfile", certificate.key
    with started(command("plain", port, *options), ("127.0.0.1", port), cwd=HERE) as server:
        site = Site(port, certificate.client())
        visitors.is_on_loop(site)
        visitors.keep_alive(site)
        visitors.upload(site)
        visitors.download(site)
        visitors.echo(site)
        if not REDUCED:
            visitors.load(site)
        visitors.graceful_shutdown(site, server)


@pytest.mark.parametrize("loop", ["none", "factory"])
def test_two_workers(loop):
    """Each is a process of its own, which is spawned, and they share a socket."""
    port = free_port()
    with started(command("plain", port, "--workers", 2, loop=loop), ("127.0.0.1", port), cwd=HERE) as server:
        site = Site(port)
        visitors.is_on_loop(site)
        visitors.all_serve(site, 2)
        if not REDUCED:
            visitors.load(site)
        visitors.graceful_shutdown(site, server)


def test_idle_connections_are_closed():
    port = free_port()
    with started(command("plain", port, "--timeout-keep-alive", 1), ("127.0.0.1", port), cwd=HERE):
        with Site(port).socket() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert list(visitors.read_answers(connection)) == [b"hello"]
