"""How things are measured: programs on a core of their own, contestants in turns, ratios of what ran side by side.

A contestant is ringport (Ours) or a Peer, each on a backend; a sample is what each contestant's figures were in
one round. In each round every contestant has its turn, and another one begins than in the last.
"""

import json
import os
import pathlib
import select
import statistics
import subprocess
import tempfile
import typing

PROGRAMS = pathlib.Path("build-release/bench")
SERVERS, LOADS, BOTH = 0, 1, None  # the core of the servers and of what runs alone, that of the load generators


class Failed(Exception):
    """A program did not do what it was to do."""


class Ours(typing.NamedTuple):
    """ringport, as a contestant: on this backend, None where it does not matter."""

    backend: str | None


class Peer(typing.NamedTuple):
    """Another library, as a contestant: on this backend, None where it does not matter."""

    name: str
    backend: str | None


class Row(typing.NamedTuple):
    """A comparison: an object of bench.json."""

    workload: str
    backend: str | None
    peer: str | None  # None: theirs is a limit, or there is none
    peer_backend: str | None
    metric: str
    ours: float
    theirs: float | None
    advantage: float | None  # the median of the ratios of what ran side by side; above 1: ringport is ahead
    goal: float | None  # what the advantage must be; None: it is only reported
    pairs: int

    @property
    def missed(self):
        """Whether there is a goal that it falls short of."""
        return self.goal is not None and self.advantage < self.goal


# ---- programs ----


def pin(place):
    """Binds the calling process to a core, if there are two."""
    usable = sorted(os.sched_getaffinity(0))
    if place is not BOTH and len(usable) > 1:
        os.sched_setaffinity(0, {usable[0] if place == SERVERS else usable[-1]})


def start(command, contestant, place, **options):
    """Starts one of the programs."""
    backend = contestant.backend if isinstance(contestant, Ours) else None
    chosen = {"RINGPORT_PROACTOR": backend} if backend else {}
    environment = os.environ | chosen | options.pop("extra", {})
    under = options.pop("under", [])
    return subprocess.Popen([*under, PROGRAMS / command[0], *command[1:]], text=True, stdout=subprocess.PIPE,
                            env=environment, preexec_fn=lambda: pin(place), **options)


def run(*command, by=None, place=SERVERS, limit=120):
    """Runs a program to its end; returns the object that it prints."""
    with start(command, by, place, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"{' '.join(command)} takes longer than {limit} s") from None
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)} failed: {errors.strip()}")
    return json.loads(output)


class Program:
    """A program that is talked to in lines, while `with` lasts."""

    def __init__(self, *command, by=None, place=LOADS, extra=None, under=(), errors=None):
        self.name = " ".join(command)
        self.process = start(command, by, place, stdin=subprocess.PIPE, extra=extra or {}, under=under, stderr=errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def finish(self):
        """Lets it end by itself."""
        self.process.stdin.close()
        self.process.stdin = None
        self.process.wait(60)

    def read(self):
        """Its next line."""
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise Failed(f"{self.name} does not answer")
        return line

    def ask(self, question):
        """The object that it answers with."""
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return json.loads(self.read())


class Server(Program):
    """A server, by its program and what follows the address: it says first where it serves."""

    def __init__(self, command, by, path=None, extra=None, under=(), errors=None):
        program, *options = command.split()
        super().__init__(program, path or "0", *options, by=by, place=SERVERS, extra=extra, under=under, errors=errors)
        try:
            self.greeting = self.read().split()
        except Failed:
            self.process.kill()
            self.process.communicate()
            raise
        self.address = [path] if path else self.greeting[2].rsplit(":", 1)
        self.pid = str(self.process.pid)


def scratch():
    """A directory for sockets and files, while `with` lasts."""
    return tempfile.TemporaryDirectory(prefix="bench-", dir=pathlib.Path("build").resolve())


def certificate(directory):
    """A key and a certificate that nobody has signed, in one file."""
    path = pathlib.Path(directory, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=localhost", "-days", "30", "-keyout", path, "-out", path],
                   check=True, capture_output=True)
    return str(path)


# ---- comparisons ----


def in_turns(turns, rounds):
    """Lets each contestant's function run once a round, and once before to warm up; returns the samples."""
    names = list(turns)
    samples = []
    for number in range(-1, rounds):
        first = number % len(names)
        sample = {name: turns[name]() for name in names[first:] + names[:first]}
        if number >= 0:
            samples.append(sample)
    return samples


def row(workload, samples, our, peer, metric, goal):
    """A comparison of two contestants by one figure."""
    mine = [sample[our][metric] for sample in samples]
    theirs = [sample[peer][metric] for sample in samples]
    more_is_better = metric.endswith("_per_s")
    ratios = [a / b if more_is_better else b / a for a, b in zip(mine, theirs)]
    name, backend = peer or (None, None)
    return Row(workload, our.backend, name, backend, metric, statistics.median(mine), statistics.median(theirs),
               statistics.median(ratios), goal, len(samples))


def compare(workload, samples, metrics, goal):
    """A row for each of ringport's contestants, each peer and each metric; goal(backend, peer's name, metric)."""
    ours = [name for name in samples[0] if isinstance(name, Ours)]
    peers = [name for name in samples[0] if not isinstance(name, Ours)]
    return [row(workload, samples, our, peer, metric, goal(our.backend, peer.name, metric))
            for our in ours for peer in peers for metric in metrics]


def against_limit(workload, samples, metric, limit, goal):
    """A row for each of ringport's contestants: the limit is what the figure may be at most; goal(backend)."""
    limited = [sample | {None: {metric: limit}} for sample in samples]
    return [row(workload, limited, our, None, metric, goal(our.backend)) for our in samples[0] if isinstance(our, Ours)]
