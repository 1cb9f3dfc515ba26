#!/usr/bin/python3 -B
"""bench_python.py [WORKLOAD...]: measures Python's event loops against each other (in all workloads, or those whose
names begin like this), prints a table, and writes build/bench-python.json. Those that were not run keep what they have
in there.

A figure is processor time: of an echo server as a ratio to that of a plain epoll loop in C, else in ns an operation.
What ringport is ahead by is the median of the ratios of what ran side by side. The environment is that of bench.py, and
RINGPORT_BENCH_PEERS="uvloop ..." names those that take part beside asyncio. In a hurry (RINGPORT_BENCH_QUICK=1) only
what there are goals for is measured, without TLS and the largest numbers of connections.
"""

import json
import pathlib
import statistics
import sys

import bench
import python_peers
from measure import Failed
from python_workloads import FLOOR, WORKLOADS, built, is_ours, usual

OUTPUT = pathlib.Path("build/bench-python.json")
PAIRS = ("asyncio", "uvloop")  # whom the table compares with


def label(name):
    """A contestant in a word."""
    return name.backend if is_ours(name) else name.name


def ratio(samples, one, other, cost):
    """What one costs in terms of another: the median of what ran side by side."""
    return statistics.median(sample[one][cost] / sample[other][cost] for sample in samples)


def results(name, workload, samples):
    """An object of the JSON file for each contestant."""
    for contestant in samples[0]:
        figures = {metric: statistics.median(sample[contestant][metric] for sample in samples)
                   for metric in samples[0][contestant]}
        result = {"workload": name, "loop": "ringport" if is_ours(contestant) else contestant.name,
                  "backend": contestant.backend, "rounds": len(samples), **figures}
        if FLOOR in samples[0]:
            result["to_floor"] = ratio(samples, contestant, FLOOR, workload.cost)
        if is_ours(contestant):
            result["ahead"] = {peer.name: ratio(samples, peer, contestant, workload.cost)
                               for peer in samples[0] if not is_ours(peer)}
            result["goals"] = {peer.name: goal for (backend, peer), goal in workload.goals.items()
                               if backend == contestant.backend and peer in samples[0]}
        yield result


def missed(result):
    """The peers of whom it is less ahead than it is to be."""
    return [peer for peer, goal in result.get("goals", {}).items() if result["ahead"][peer] < goal]


def head(contestants):
    """The line above."""
    columns = "".join(f"{label(name):>11}" for name in contestants)
    return f"{'workload':<30}{'floor':>8}{columns}   ahead of {', '.join(PAIRS)}"


def line(found, workload, contestants):
    """A workload's results as a line of the table."""
    results_of = {(result["loop"], result["backend"]): result for result in found}
    floor = results_of.get((FLOOR.name, FLOOR.backend))
    cells = [f"{found[0]['workload']:<30}", f"{floor[workload.cost]:>8.2f}" if floor else f"{'-':>8}"]
    verdicts = []
    for name in contestants:
        result = results_of.get(("ringport" if is_ours(name) else name.name, name.backend))
        if not result:
            cells.append(f"{'-':>11}")
            continue
        cells.append(f"{result['to_floor']:>11.3f}" if floor else f"{result[workload.cost]:>11.1f}")
        if is_ours(name):
            ahead = " ".join(f"{result['ahead'][peer]:.2f}" for peer in PAIRS if peer in result["ahead"])
            short = f" MISSED {' '.join(missed(result))}" if missed(result) else ""
            verdicts.append(f"   {name.backend} {ahead}{short}")
    return "".join(cells + verdicts)


def write(found):
    """The JSON file; what was not measured now stays in it."""
    earlier = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    measured = {result["workload"] for result in found}
    every = [result for result in earlier if result["workload"] not in measured] + found
    OUTPUT.write_text("[\n" + ",\n".join(map(json.dumps, every)) + "\n]\n")


def main(names):
    """The whole run."""
    how, found, failed = bench.setting(), [], False
    chosen = [name for name in WORKLOADS if name.startswith(tuple(names))] if names else usual(how.quick)
    if not chosen:
        sys.exit(f"no such workload; there are {' '.join(WORKLOADS)}")
    if not built("echo_load_tls"):
        print("libssl-dev is not installed, and nothing is measured under TLS")
        chosen = [name for name in chosen if not name.startswith("tls")]

    contestants = python_peers.contestants(how.backends)
    for name, contestant in contestants.items():
        print(f"{label(name)}: {contestant.name} {contestant.version}, {name.backend}")
    print(f"floor: {FLOOR.backend}, edge-triggered, in C, us a request; the others: processor time as a ratio to it, "
          "or ns an operation", head(contestants), sep="\n", flush=True)
    for name in chosen:
        try:
            results_of_this = list(results(name, WORKLOADS[name], WORKLOADS[name].measure(how, contestants)))
        except Failed as error:
            print(f"{name}: {error}", flush=True)
            failed = True
            continue
        taking_part = {result["backend"] for result in results_of_this if result["loop"] == "ringport"}
        failed |= any(name.backend not in taking_part for name in contestants if is_ours(name))
        print(line(results_of_this, WORKLOADS[name], contestants), flush=True)
        found += results_of_this
        write(found)
    goals = sum(len(result.get("goals", {})) for result in found)
    print(f"{goals} goals, {sum(len(missed(result)) for result in found)} missed")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
