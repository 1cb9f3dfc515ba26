#!/usr/bin/python3 -B
"""bench_world.py [WORKLOAD...]: what libraries of others get out of Python's event loops, in one run, each in its turn.

Servers are loaded by wrk, or by a client that blocks; clients ask a PostgreSQL or a Redis of Debian's. A figure is
operations a second, and the processor time that one takes: of the process that is on the loop. Prints a table, and
writes build/bench-world.json and README's table as build/bench-world.md. The environment is that of bench.py, but a
turn takes RINGPORT_BENCH_SECONDS (1: wrk's least), and there are RINGPORT_BENCH_ROUNDS (11).
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import bench
import markdown
import python_peers
from measure import BOTH, LOADS, SERVERS, Failed, Ours, Server, in_turns, pin
from python_peers import ASYNCIO, UVLOOP, Contestant

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "bench/world"
PINS = ROOT / "tests/world/requirements.txt"
OUTPUT = pathlib.Path("build/bench-world")
PACKAGES = "aiohttp", "asyncpg", "distributed", "httptools", "redis", "uvicorn", "websockets"
RATE, COST = "operations_per_s", "cpu_us_per_operation"

sys.path.append(str(ROOT / "tests/world"))
from postgres import Postgres  # noqa: E402
from servers import started, tool  # noqa: E402


def output_of(command, place, limit=120, **options):
    """What a program prints, on this core."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=limit, check=False,
                          preexec_fn=lambda: pin(place), **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def environment(name):
    """The variables that choose a contestant's backend."""
    return os.environ | ({"RINGPORT_PROACTOR": name.backend} if isinstance(name, Ours) else {})


# ---- servers, and what loads them ----


def cpu_seconds(pid):
    """The processor time of a process so far."""
    return time.clock_gettime((~int(pid) << 3) | 2)  # the clock's number, as Linux makes it of a process's


def wrk(port, seconds):
    """Requests of 50 connections; returns how many there were."""
    duration = f"{max(1, round(seconds))}s"
    said = output_of(["wrk", "-t", "1", "-c", "50", "-d", duration, f"http://127.0.0.1:{port}/"], LOADS)
    if "Non-2xx" in said or "Socket errors" in said:
        raise Failed(said)
    return int(re.search(r"(\d+) requests in", said)[1])


def answer_alone(port):
    """One request before there are many: how the first fifty meet is luck, and CPython 3.11 remembers it. A class whose
    first instances all wait for attributes that come later keeps a dict for each from then on, as aiohttp's
    StreamWriter."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        answer.read()


def frames(port, seconds):
    """Messages to a WebSocket, and back."""
    return int(output_of([sys.executable, PROGRAMS / "frames.py", port, seconds], LOADS))


def loaded(server, load, seconds):
    """A turn of a server."""
    used, begun = cpu_seconds(server.pid), time.perf_counter()
    count = load(server.address[1], seconds)
    took, used = time.perf_counter() - begun, cpu_seconds(server.pid) - used
    return {RATE: count / took, COST: used / count * 1e6}


def serving(kind, load, begin=lambda port: None):
    """A workload of a server, which is visited once by begin()."""
    def measure(setting, contestants):
        with contextlib.ExitStack() as stack:
            turns = {}
            for name, contestant in contestants.items():
                command = f"{PROGRAMS / 'serve.py'} {kind} {contestant.name}"
                server = stack.enter_context(Server(command, name, under=[contestant.python],
                                                    errors=stack.enter_context(contestant.log())))
                begin(server.address[1])
                turns[name] = functools.partial(loaded, server, load, setting.seconds)
            return in_turns(turns, setting.rounds)
    return measure


# ---- clients ----


def asked(name, contestant, seconds, kind, address):
    """A turn of a client."""
    command = [contestant.python, PROGRAMS / "ask.py", kind, contestant.name, seconds, json.dumps(address)]
    return json.loads(output_of(command, SERVERS, env=environment(name)))


@contextlib.contextmanager
def serve_redis():
    """A Redis, on the other core; gives where it is, by its client's names."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/redis"
        command = [tool("redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory]
        with started(command, path, preexec_fn=lambda: pin(LOADS)):
            yield {"unix_socket_path": path}


@contextlib.contextmanager
def serve_postgres():
    """The same of a PostgreSQL, but that it runs where it likes."""
    with Postgres() as server:
        yield server.login("unix")


def asking(kind, serve):
    """A workload of a client, of what serve() starts on the other core."""
    def measure(setting, contestants):
        with serve() as address:
            return in_turns({name: functools.partial(asked, name, contestant, setting.seconds, kind, address)
                             for name, contestant in contestants.items()}, setting.rounds)
    return measure


# ---- a cluster ----


def clustered(setting, contestants):
    """Dask's scheduler, which has four workers: a turn is so many tasks of nothing."""
    def turn(name, contestant):
        command = [contestant.python, PROGRAMS / "dask_tasks.py", setting.seconds]
        return json.loads(output_of(command, BOTH, env=environment(name) | {"WORLD_LOOP": contestant.name}))
    return in_turns({name: functools.partial(turn, name, contestant) for name, contestant in contestants.items()},
                    setting.rounds)


WORKLOADS = {
    "uvicorn": ("uvicorn, ASGI hello", serving("uvicorn", wrk, answer_alone)),
    "aiohttp": ("aiohttp, hello", serving("aiohttp", wrk, answer_alone)),
    "websockets": ("websockets, echo of 64 bytes", serving("websockets", frames)),
    "asyncpg": ("asyncpg, `select 1`", asking("asyncpg", serve_postgres)),
    "redis-1": ("redis-py, GET", asking("redis-1", serve_redis)),
    "redis-50": ("redis-py, 50 GETs in a pipeline", asking("redis-50", serve_redis)),
    "dask": ("Dask's scheduler, four workers, tasks", clustered),
}


# ---- the whole ----


def contestants(backends):
    """ringport on these backends, asyncio and uvloop: all in one environment, with the same libraries."""
    pins = dict(line.split("==") for line in PINS.read_text().splitlines() if "==" in line)
    wanted = [f"{name}=={pins[name]}" for name in PACKAGES] + list(python_peers.PINS["uvloop"])
    directory = python_peers.environment_of("world", ("-c", str(PINS), *python_peers.BUILD, *wanted))
    if not directory:
        sys.exit(f"the libraries could not be installed: {python_peers.home() / 'world/error'} says why")
    python_peers.install_ringport(directory)
    python = str(directory / "bin/python")
    versions = {name: python_peers.output_of([python, python_peers.PROGRAMS / "loops.py", name])
                for name in ("ringport", "asyncio", "uvloop")}
    ours = {Ours(backend): Contestant("ringport", python, versions["ringport"]) for backend in backends}
    return ours | {peer: Contestant(peer.name, python, versions[peer.name]) for peer in (ASYNCIO, UVLOOP)}, wanted


def results(name, samples):
    """An object of the JSON file for each contestant."""
    for contestant in samples[0]:
        loop = "ringport" if isinstance(contestant, Ours) else contestant.name
        result = {"workload": name, "loop": loop, "backend": contestant.backend, "rounds": len(samples)}
        result |= {metric: statistics.median(sample[contestant][metric] for sample in samples)
                   for metric in (RATE, COST)}
        if loop == "ringport":
            result["ahead"] = {
                peer.name: {
                    RATE: statistics.median(sample[contestant][RATE] / sample[peer][RATE] for sample in samples),
                    COST: statistics.median(sample[peer][COST] / sample[contestant][COST] for sample in samples)}
                for peer in (ASYNCIO, UVLOOP)}
        yield result


def label(result):
    """A contestant in a word."""
    return result["backend"] if result["loop"] == "ringport" else result["loop"]


def line(result):
    """A contestant's figures as they are printed."""
    ahead = [f"{peer} {value[RATE]:.2f}, CPU {value[COST]:.2f}" for peer, value in result.get("ahead", {}).items()]
    return (f"{result['workload']:<12}{label(result):<10}{result[RATE]:>12,.0f} /s{result[COST]:>10.2f} us"
            + (f"   ahead of {'; '.join(ahead)}" if ahead else ""))


def table(found):
    """README's table: a line a workload."""
    lines = []
    for name, (text, _) in WORKLOADS.items():
        these = {label(result): result for result in found if result["workload"] == name}
        if not these:
            continue
        cells = [text]
        for loop in ("asyncio", "uvloop", "io_uring", "epoll"):
            cells.append(f"{these[loop][RATE]:,.0f} /s, {these[loop][COST]:.3g} us" if loop in these else "-")
        for backend in ("io_uring", "epoll"):
            ahead = these[backend]["ahead"] if backend in these else {}
            cells.append(", ".join(f"{ahead[peer][COST]:.2f}" for peer in ahead) or "-")
        lines.append(cells)
    return markdown.table(["operations a second, processor time of each", "asyncio", "uvloop", "ringport, io_uring",
                           "ringport, epoll", "io_uring ahead", "epoll ahead"], lines)


def write(found):
    """Both files; what was not measured now stays in them."""
    path = OUTPUT.with_suffix(".json")
    earlier = json.loads(path.read_text()) if path.exists() else []
    measured = {result["workload"] for result in found}
    every = [result for result in earlier if result["workload"] not in measured] + found
    path.write_text("[\n" + ",\n".join(map(json.dumps, every)) + "\n]\n")
    OUTPUT.with_suffix(".md").write_text(table(every))


def main(names):
    """The whole run."""
    permitted = bench.setting()
    how = permitted._replace(rounds=int(os.environ.get("RINGPORT_BENCH_ROUNDS", 2 if permitted.quick else 11)),
                             seconds=float(os.environ.get("RINGPORT_BENCH_SECONDS", 1)))
    chosen = [name for name in WORKLOADS if name.startswith(tuple(names or [""]))]
    if not chosen:
        sys.exit(f"no such workload; there are {' '.join(WORKLOADS)}")
    who, versions = contestants(how.backends)
    print(*(f"{contestant.name} {contestant.version}, {name.backend}" for name, contestant in who.items()), *versions,
          sep="\n")
    found, behind, failed = [], 0, False
    for name in chosen:
        try:
            found += results(name, WORKLOADS[name][1](how, who))
        except (Failed, OSError, AssertionError, subprocess.TimeoutExpired) as error:
            print(f"{name}: {error}", flush=True)
            failed = True
            continue
        for result in found:
            if result["workload"] == name:
                print(line(result), flush=True)
                behind += sum(value[RATE] < 1 or value[COST] < 1 for value in result.get("ahead", {}).values())
        write(found)
    print(f"behind in {behind}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
