"""Draws the rows of bench.json: ringport's advantage on each workload, and what it must be, as build/bench.svg."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # after the choice of its output

from markdown import name_of

COLOURS = {"io_uring": "tab:blue", "epoll": "tab:orange", None: "tab:green"}
MARKS = {"io_uring": "o", "epoll": "s", None: "D"}


def frame(axes, title):
    """What all parts have."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(alpha=0.3)


def draw_echo(axes, rows, transport, peer):
    """The processor time of a request for each size and number of connections."""
    rows = [row for row in rows if row.workload.startswith(f"echo-{transport}-") and row.peer == peer
            and row.metric == "cpu_us_per_request"]
    places = list(dict.fromkeys(row.workload for row in rows))
    for backend, shift in (("io_uring", -0.12), ("epoll", 0.12)):
        mine = [row for row in rows if row.backend == backend]
        x = [places.index(row.workload) + shift for row in mine]
        axes.plot(x, [row.advantage for row in mine], MARKS[backend], color=COLOURS[backend], label=backend)
        aims = [(place, row.goal) for place, row in zip(x, mine) if row.goal is not None]
        if aims:
            axes.plot(*zip(*aims), "_", color=COLOURS[backend], markersize=11, markeredgewidth=2)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(places)), [place.split("-", 2)[2].replace("-", " x ") for place in places], rotation=60,
                    ha="right", fontsize=7)
    frame(axes, f"echo, {transport}: CPU per request, against {peer} (epoll)")
    if rows:
        axes.legend(fontsize=8)


def draw_rest(axes, rows):
    """All other comparisons, a bar each, from the top down."""
    rows = rows[::-1]
    y = range(len(rows))
    axes.barh(y, [row.advantage - 1 for row in rows], left=1, color=[COLOURS[row.backend] for row in rows])
    aims = [(row.goal, place) for place, row in zip(y, rows) if row.goal is not None]
    if aims:
        axes.plot(*zip(*aims), "|", color="black", markersize=9, markeredgewidth=2)
    labels = [f"{row.workload} ({row.backend or 'any'}), {row.metric}, against {name_of(row)}" for row in rows]
    axes.set_yticks(y, labels, fontsize=7)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    frame(axes, "everything else (logarithmic)")


def draw(rows, path):
    """Writes the whole picture."""
    others = [row for row in rows if not row.workload.startswith("echo-") and row.metric not in ("p50_us", "p99_us")]
    figure = plt.figure(figsize=(18, 9 + 0.17 * len(others)), layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 0.2 + 0.042 * len(others)))
    for line, transport in enumerate(("tcp", "unix")):
        for column, peer in enumerate(("libuv", "plain", "asio")):
            draw_echo(figure.add_subplot(grid[line, column]), rows, transport, peer)
    draw_rest(figure.add_subplot(grid[2, :]), others)
    figure.suptitle("ringport's advantage: above 1 it is ahead; a bar across is the goal")
    figure.savefig(path)
