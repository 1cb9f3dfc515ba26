#!/usr/bin/python3 -B
"""python_instructions.py [ROW...]: what an operation costs Python's loops in user space: instructions, counted.

Unlike a time, such a figure is the same on any day. Under callgrind, a program does something so often, and then three
times as often. What is not the operation's (starting, warming up, being asked) is in both, and cancels out. Callgrind
begins a new count at each call of getppid(), which the program makes between the two. An echo server's load comes in
rounds, all connections at once, so that a server that runs 50 times as slowly as usual finds what it usually finds.

Prints a table, and writes build/bench-python-instructions.json. The profiles stay in build/bench-python/profiles, for
callgrind_annotate: ROW-LOOP.3 is the one with the most of the operation.
"""

import contextlib
import json
import pathlib
import re
import shutil
import socket
import sys

import bench
import python_peers
from bench_python import label
from measure import SERVERS, Failed, Ours, Program, Server, certificate, scratch
from python_workloads import MICRO

OUTPUT = pathlib.Path("build/bench-python-instructions.json")
PROFILES = pathlib.Path("build/bench-python/profiles").resolve()
SIZE, CONNECTIONS, COUNT = 1024, 100, 2000
SERVED = ("protocol", "buffered", "streams", "streams-drain", "sock")
TLS_SERVED = ("protocol", "buffered", "streams")
ROWS = [f"echo-{kind}" for kind in SERVED] + [f"tls-{kind}" for kind in TLS_SERVED]
ROWS += [what for what in MICRO if what != "executor"]
PEERS = ("asyncio", "uvloop", "aiofastnet")  # Valgrind does not know what Rust's ask of the kernel, and they hang
LIMITS = {"echo-protocol": 2000, "echo-buffered": 3100, "echo-streams": 13900, "chain": 1650, "burst": 1850,
          "sleep-0": 4900, "call-later-cancel": 1800, "create-task": 12000, "threadsafe": 2300}
LEAD = {"echo-streams": {"asyncio": 1.45, "uvloop": 1.15}}


def callgrind(contestant, profile):
    """What a program runs under. Addresses and hashes are the same in each run."""
    return ["setarch", "-R", "valgrind", "-q", "--tool=callgrind", "--dump-before=getppid",
            f"--callgrind-out-file={profile}", contestant.python]


def total(profile, number):
    """The instructions in one of the parts of a profile."""
    text = pathlib.Path(f"{profile}.{number}").read_text(encoding="utf-8", errors="replace")
    return int(re.search(r"^totals: (\d+)", text, re.MULTILINE)[1])


def of_one(profile):
    """The instructions of one operation: part 1 is the warming up, 2 so many, and 3 three times as many."""
    return (total(profile, 3) - total(profile, 2)) / (2 * COUNT)


def mark(port):
    """Has a server call getppid(), and waits until it has."""
    with socket.create_connection(("127.0.0.1", int(port)), 60) as connection:
        connection.recv(1)


def of_request(name, contestant, kind, tls, profile):
    """The instructions of an echo, under TLS those of OpenSSL among them."""
    under = callgrind(contestant, profile)
    with contextlib.ExitStack() as stack:
        key = certificate(stack.enter_context(scratch())) if tls else ""
        program = f"{contestant.program('serve.py')} {kind} {contestant.name} {key}"
        errors = stack.enter_context(contestant.log())
        server = stack.enter_context(Server(program, name, extra={"PYTHONHASHSEED": "0"}, under=under, errors=errors))
        stack.callback(server.process.kill)
        load = stack.enter_context(Program("echo_load_tls" if tls else "echo_load", "-i", "-r", "-n", str(COUNT),
                                           "-c", str(CONNECTIONS), "-s", str(SIZE), *server.address))
        for times in (1, 1, 3):
            for _ in range(times):
                load.ask(60)
            mark(server.greeting[4])
        return of_one(profile)


def of_operation(name, contestant, what, profile):
    """The instructions of one of the things that micro.py does."""
    with contestant.log() as errors, \
            Program(contestant.program("micro.py"), contestant.name, what, "listener", by=name, place=SERVERS,
                    extra={"PYTHONHASHSEED": "0"}, under=callgrind(contestant, profile), errors=errors) as program:
        program.read()
        for times in (1, 1, 3):
            program.ask(f"count {times * COUNT}")
        return of_one(profile)


def measure(row, name, contestant):
    """A figure of the table. None: that loop cannot do it, or not under Valgrind."""
    profile = PROFILES / f"{row}-{label(name)}"
    for old in PROFILES.glob(f"{profile.name}*"):
        old.unlink()
    try:
        if row.startswith(("echo-", "tls-")):
            form, kind = row.split("-", 1)
            return of_request(name, contestant, kind, form == "tls", profile)
        return of_operation(name, contestant, row, profile)
    except (Failed, OSError) as error:
        print(f"{row}: without {label(name)}: {error}")
        return None


def shortfalls(row, figures):
    """What ringport's figures fall short of, as texts."""
    for name, figure in figures.items():
        if not isinstance(name, Ours) or not figure:
            continue
        if figure > LIMITS.get(row, figure):
            yield f"{name.backend} above {LIMITS[row]}"
        for peer, theirs in figures.items():
            if not isinstance(peer, Ours) and theirs and theirs / figure < LEAD.get(row, {}).get(peer.name, 0):
                yield f"{name.backend} less than {LEAD[row][peer.name]} ahead of {peer.name}"


def main(names):
    """The whole run."""
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed, and no instructions are counted")
    chosen = [row for row in ROWS if row.startswith(tuple(names) or "")]
    if not chosen:
        sys.exit(f"no such row; there are {' '.join(ROWS)}")
    contestants = python_peers.contestants(bench.setting().backends, PEERS)
    for name, contestant in contestants.items():
        print(f"{label(name)}: {contestant.name} {contestant.version}")
    PROFILES.mkdir(parents=True, exist_ok=True)

    columns = [label(name) for name in contestants] + ["at most"]
    print(f"{'instructions':<20}" + "".join(f"{column:>11}" for column in columns), flush=True)
    found, failed = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}, False
    for row in chosen:
        figures = {name: measure(row, name, contestant) for name, contestant in contestants.items()}
        failed |= any(figure is None for name, figure in figures.items() if isinstance(name, Ours))
        cells = "".join(f"{figure:>11.0f}" if figure else f"{'-':>11}" for figure in figures.values())
        print(f"{row:<20}{cells}{LIMITS.get(row, '-'):>11}  {', '.join(shortfalls(row, figures))}".rstrip(), flush=True)
        found[row] = {label(name): figure for name, figure in figures.items()}
        OUTPUT.write_text(json.dumps(found, indent=1) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
