#!/usr/bin/python3 -B
"""pictures.py DIR: draws docs/benchmarks.md's pictures into DIR, of build/bench.json (make bench) and of
build/bench-python-instructions.json (make bench-python-instructions)."""

import json
import pathlib
import sys

import plot
from markdown import REST
from measure import Row

# Of the rows of python_instructions.py, what each is for a reader.
PYTHON = {"echo-protocol": "Protocol: echo of 1 KiB", "echo-buffered": "BufferedProtocol: the same",
          "echo-streams": "streams: the same", "echo-sock": "sock_recv(), sock_sendall(): the same",
          "chain": "call_soon(), one after the other", "sleep-0": "sleep(0)", "call-later-cancel": "call_later(), cancelled",
          "threadsafe": "call_soon_threadsafe()", "create-task": "create_task(), awaited", "gather": "gather()"}
PEERS = "libuv", "go", "boost.context", "posix_spawn"


def new_figure(width, height):
    return plot.plt.figure(figsize=(width, height), layout="constrained")


def save(figure, path):
    figure.savefig(path, dpi=80, metadata={"Software": None})


def draw_echo(rows, path):
    """Echo servers, on TCP and on Unix sockets, against libuv and against a plain loop."""
    figure = new_figure(12, 8)
    axes = figure.subplots(2, 2)
    for line, transport in enumerate(("tcp", "unix")):
        for column, peer in enumerate(("libuv", "plain")):
            plot.draw_echo(axes[line][column], rows, transport, peer)
    save(figure, path)


def draw_rest(rows, path):
    """What else there is: a place for each workload and peer, with a bar for each backend."""
    rows = [row for row in rows if row.workload in REST and row.metric == REST[row.workload].metric and row.peer in PEERS]
    names = list(dict.fromkeys(f"{row.workload}, against {row.peer}" for row in rows))[::-1]
    figure = new_figure(10, 1 + 0.33 * len(names))
    axes = figure.subplots()
    for backend, shift in (("io_uring", 0.2), ("epoll", -0.2), (None, 0)):
        mine = [row for row in rows if row.backend == backend]
        places = [names.index(f"{row.workload}, against {row.peer}") + shift for row in mine]
        axes.barh(places, [row.advantage - 1 for row in mine], 0.38, left=1, color=plot.COLOURS[backend],
                  label=backend or "any")
        aims = [(row.goal, place) for place, row in zip(places, mine) if row.goal is not None]
        axes.plot([goal for goal, _ in aims], [place for _, place in aims], "|", color="black", markersize=7)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100, 200], ["0.5", "1", "2", "5", "10", "20", "50", "100", "200"])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.legend()
    plot.frame(axes, "all the rest (logarithmic)")
    save(figure, path)


def draw_python(found, path):
    """Python's loops: how many times the instructions of ringport's."""
    names = [name for name in PYTHON if all(found.get(name, {}).get(loop) for loop in ("io_uring", "uvloop", "asyncio"))]
    figure = new_figure(10, 1 + 0.45 * len(names))
    axes = figure.subplots()
    places = range(len(names) - 1, -1, -1)
    for loop, shift, colour in (("asyncio", 0.2, "tab:gray"), ("uvloop", -0.2, "tab:orange")):
        ratios = [found[name][loop] / found[name]["io_uring"] for name in names]
        bars = axes.barh([place + shift for place in places], ratios, 0.38, color=colour, label=loop)
        axes.bar_label(bars, [f"{ratio:.1f}" for ratio in ratios], padding=3, fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(places, [PYTHON[name] for name in names], fontsize=9)
    axes.legend()
    plot.frame(axes, "user instructions of an operation: how many times as many as ringport's (io_uring)")
    save(figure, path)


def main(directory):
    rows = [Row(**row) for row in json.loads(pathlib.Path("build/bench.json").read_text())]
    directory.mkdir(parents=True, exist_ok=True)
    draw_echo(rows, directory / "bench-echo.png")
    draw_rest(rows, directory / "bench-rest.png")
    draw_python(json.loads(pathlib.Path("build/bench-python-instructions.json").read_text()), directory / "bench-python.png")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
