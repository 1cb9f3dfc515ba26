#!/usr/bin/python3 -B
"""bench.py [WORKLOAD...]: runs the workloads (all of them, or those whose names begin like this), prints a table, and
writes build/bench.json, build/bench.svg, and README's tables as build/bench.md. Those that were not run keep the rows
that they have in there.

RINGPORT_BENCH_ROUNDS (17) is how often each contestant has its turn, RINGPORT_BENCH_SECONDS (0.2) how long one lasts:
many short ones, since a shared machine's speed drifts. RINGPORT_BENCH_QUICK=1 makes them 5 and 0.12.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys

import markdown
from measure import Failed, Row
from workloads import PROGRAMS_OF_PEERS, WORKLOADS, Setting, built

OUTPUT = pathlib.Path("build")
HEAD = ("workload", "backend", "against", "figure", "ours", "theirs", "advantage", "goal", "", "others")
LAYOUT = "{:<23} {:<8} {:<20} {:<24} {:>10} {:>10} {:>9} {:>6} {:<6}  {}"


def setting():
    """How long, as the environment says, and the backends that this machine permits."""
    quick = os.environ.get("RINGPORT_BENCH_QUICK") == "1"
    permitted = subprocess.run(["scripts/io-uring-permitted"], stdout=subprocess.DEVNULL, check=False).returncode == 0
    return Setting(int(os.environ.get("RINGPORT_BENCH_ROUNDS", 5 if quick else 17)),
                   float(os.environ.get("RINGPORT_BENCH_SECONDS", 0.12 if quick else 0.2)),
                   ("io_uring", "epoll") if permitted else ("epoll",), quick)


def number(value):
    """A figure in four digits or so."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def line(group):
    """The rows of one comparison as a line: the figure with the goal, or the first; of the others, the advantage."""
    main = next((row for row in group if row.goal is not None), group[0])
    verdict = "" if main.goal is None else "MISSED" if main.missed else "met"
    others = ", ".join(f"{row.metric} {row.advantage:.2f}" + (" MISSED" if row.missed else "")
                       for row in group if row is not main)
    return LAYOUT.format(main.workload, main.backend or "-", markdown.name_of(main), main.metric, number(main.ours),
                         number(main.theirs), f"{main.advantage:.2f}", "-" if main.goal is None else f"{main.goal:.2f}",
                         verdict, others).rstrip()


def earlier_rows():
    """What the last run wrote."""
    path = OUTPUT / "bench.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    return [Row(**row) for row in rows if row.keys() == set(Row._fields)]  # not an older version's


def write(rows):
    """bench.json, and the plot of it where that can be drawn."""
    text = ",\n".join(json.dumps(row._asdict()) for row in rows)
    (OUTPUT / "bench.json").write_text(f"[\n{text}\n]\n")
    (OUTPUT / "bench.md").write_text(markdown.tables(rows))
    try:
        import plot
        plot.draw(rows, OUTPUT / "bench.svg")
    except ImportError as error:
        print(f"no plot: {error}")


def measure(name, how):
    """Runs a workload, prints its lines as they come; returns the rows."""
    rows = []
    for _, group in itertools.groupby(WORKLOADS[name](how), key=lambda row: row[:4]):
        rows += (group := list(group))
        print(line(group), flush=True)
    return rows


def main(names):
    """The whole run."""
    chosen = [name for name in WORKLOADS if name.startswith(tuple(names) or "")]
    if not chosen:
        sys.exit(f"no such workload; there are {' '.join(WORKLOADS)}")
    for peer, program in PROGRAMS_OF_PEERS.items():
        if not built(program):
            print(f"{peer} is not installed, and left out")

    rows, how, failed = [], setting(), False
    print(LAYOUT.format(*HEAD).rstrip(), flush=True)
    for name in chosen:
        try:
            rows += measure(name, how)
        except Failed as error:
            print(f"{name}: {error}")
            failed = True
    missed = sum(row.missed for row in rows)
    print(f"{sum(row.goal is not None for row in rows)} goals, {missed} missed")

    run_now = {row.workload for row in rows}
    write([row for row in (earlier_rows() if names else []) if row.workload not in run_now] + rows)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
