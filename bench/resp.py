"""redis-benchmark against examples/resp_server and against Debian's redis-server, one request or fifty at a time."""

import contextlib
import csv
import os
import pathlib
import shutil
import socket
import subprocess
import time

from measure import LOADS, SERVERS, Failed, Ours, pin, scratch

PROGRAM = pathlib.Path("build-release/examples/resp_server")
CONNECTIONS = 50
RATES = {1: 50_000, 50: 700_000}  # requests a second, to choose how many make a turn


def available():
    """Whether all programs are there."""
    return PROGRAM.exists() and shutil.which("redis-server") and shutil.which("redis-benchmark")


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Store:
    """A server of Redis' protocol, while `with` lasts."""

    def __init__(self, name, directory):
        self.port = str(free_port())
        redis = ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--dir", directory, "--save", "", "--appendonly",
                 "no"]
        ours = isinstance(name, Ours)
        self.process = subprocess.Popen([PROGRAM, self.port] if ours else redis, stdout=subprocess.DEVNULL,
                                        env=os.environ | ({"RINGPORT_PROACTOR": name.backend} if ours else {}),
                                        preexec_fn=lambda: pin(SERVERS))

    def __enter__(self):
        for _ in range(600):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.05)
        raise Failed(f"nobody serves on port {self.port}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu(self):
        """The processor time that it has used, in seconds."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # its clock, as clock_getcpuclockid() gives it

    def load(self, command, pipeline, seconds):
        """What redis-benchmark says of a command, and the processor time of a request."""
        count = int(RATES[pipeline] * seconds)
        before = self.cpu()
        done = subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", self.port, "--csv", "-c", str(CONNECTIONS), "-P",
                               str(pipeline), "-n", str(count), "-r", "10000", "-t", command], capture_output=True, text=True,
                              timeout=120, preexec_fn=lambda: pin(LOADS), check=False)
        lines = list(csv.DictReader(done.stdout.splitlines()))
        if done.returncode != 0 or len(lines) != 1 or "rror" in done.stderr:
            raise Failed(f"redis-benchmark: {done.stdout}{done.stderr}")
        return {"cpu_us_per_request": (self.cpu() - before) / count * 1e6, "requests_per_s": float(lines[0]["rps"]),
                "p50_us": float(lines[0]["p50_latency_ms"]) * 1000, "p99_us": float(lines[0]["p99_latency_ms"]) * 1000}


@contextlib.contextmanager
def stores(names):
    """A server for each contestant, all at once."""
    with scratch() as directory, contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Store(name, directory)) for name in names}
