"""Its own ASGI worker, and uvicorn's: workers that are forked and share a socket, reloaded and shut down under load."""

import os
import pathlib
import signal

import pytest
import visitors
from loops import python
from servers import free_port, started
from tls import Certificate
from visitors import Site

PACKAGES = ["gunicorn", "uvicorn-worker", "uvicorn", "starlette"]
SERVERS = ["wrk"]
HERE = pathlib.Path(__file__).parent

WORKERS = {
    "asgi": ["--worker-class", "asgi", "--asgi-loop", "asyncio"],
    "uvicorn": ["--worker-class", "apps.uvicorn_worker.Worker"],
}


def serving(port, worker, *options, app="plain", count=2):
    """gunicorn with its workers, in a session of its own."""
    told = ["--bind", f"127.0.0.1:{port}", "--workers", str(count), "--log-level", "warning", "--keep-alive", "60"]
    command = python("-m", "gunicorn", *WORKERS[worker], *told, *options, f"apps.{app}:app")
    return started(command, ("127.0.0.1", port), cwd=HERE)


@pytest.fixture(scope="module", params=list(WORKERS))
def site(request):
    port = free_port()
    with serving(port, request.param):
        yield Site(port)


@visitors.visits()
def test_visit(site, visit):
    visit(site)


@pytest.mark.parametrize("worker", WORKERS)
def test_graceful_shutdown_under_load(worker):
    port = free_port()
    with serving(port, worker, "--graceful-timeout", "60") as server:
        visitors.all_serve(Site(port), 2)
        visitors.graceful_shutdown(Site(port), server)
        assert server.returncode == 0


@pytest.mark.parametrize("worker", WORKERS)
def test_workers_are_replaced(worker):
    """One that is killed, and all by SIGHUP."""
    port = free_port()
    with serving(port, worker, count=1) as server:
        site = Site(port)
        pid = visitors.get(site, "/pid")
        os.kill(int(pid), signal.SIGKILL)
        visitors.until(lambda: visitors.pid(site) not in (pid, None))
        pid = visitors.pid(site)
        server.send_signal(signal.SIGHUP)
        visitors.until(lambda: visitors.pid(site) not in (pid, None))
        visitors.is_on_loop(site)


@pytest.mark.parametrize("worker", WORKERS)
def test_tls(worker, tmp_path):
    port, certificate = free_port(), Certificate(tmp_path)
    files = "--certfile", certificate.certificate, "--keyfile", certificate.key
    with serving(port, worker, *map(str, files), app="starlette_site"):
        site = Site(port, certificate.client())
        visitors.is_on_loop(site)
        visitors.upload(site)
        visitors.download(site)
        visitors.echo(site)
