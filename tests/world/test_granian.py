"""A server in Rust that runs the site's coroutines on asyncio's loop: load, 100 MB each way, WebSockets, shutdown."""

import pathlib

import pytest
import visitors
from loops import python
from servers import free_port, started
from visitors import Site

PACKAGES = ["granian", "starlette"]
SERVERS = ["wrk"]
HERE = pathlib.Path(__file__).parent


def serving(port, app, *options):
    told = ["--interface", "asgi", "--loop", "asyncio", "--port", str(port), "--log-level", "warning"]
    return started(python("-m", "granian", *told, *options, f"apps.{app}:app"), ("127.0.0.1", port), cwd=HERE)


@pytest.fixture(
    scope="module",
    params=[("plain", "asyncio"), ("starlette_site", "asyncio"), ("plain", "rust")],
    ids="-".join,
)
def site(request):
    app, tasks = request.param
    port = free_port()
    with serving(port, app, "--task-impl", tasks):
        yield Site(port)


@visitors.visits()
def test_visit(site, visit):
    visit(site)


def test_graceful_shutdown_under_load():
    port = free_port()
    with serving(port, "plain", "--workers", "2") as server:
        visitors.all_serve(Site(port), 2)
        visitors.graceful_shutdown(Site(port), server)
        assert server.returncode == 0
