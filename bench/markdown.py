"""README's tables of the rows of bench.json, which bench.py writes to build/bench.md: by hand, bench/markdown.py."""

import json
import pathlib
import typing

ECHO = "cpu_us_per_request"
COLUMNS = (("io_uring", "libuv"), ("io_uring", "plain"), ("io_uring", "asio"), ("epoll", "libuv"), ("epoll", "plain"),
           ("epoll", "asio"), ("io_uring", "libuv-128KiB"), ("epoll", "libuv-128KiB"))


class Line(typing.NamedTuple):
    """What README says of a workload besides echoes."""

    text: str
    metric: str
    unit: str


REST = {
    "connect-1": Line("connect, one request, close: processor time", ECHO, " us"),
    "connect-64": Line("the same, 64 at once", ECHO, " us"),
    "redis-set-1": Line("SET by redis-benchmark, 50 connections: processor time", ECHO, " us"),
    "redis-get-1": Line("the same, GET", ECHO, " us"),
    "redis-set-50": Line("SET, pipelines of 50", ECHO, " us"),
    "redis-get-50": Line("the same, GET", ECHO, " us"),
    "switch": Line("switch of coroutines", "ns_per_switch", " ns"),
    "sleep-0": Line("`sleep(0)`, 1,000 tasks in turn", "ns_per_turn", " ns"),
    "spawn-join": Line("create and join a task", "ns_per_life", " ns"),
    "timers": Line("insert and cancel each of 1,000,000 timers", "ns_per_timer", " ns"),
    "sleepers": Line("memory of each of 1,000,000 tasks asleep", "bytes_per_task", " bytes"),
    "wakeup": Line("wake a sleeping loop from a thread, and back", "us_per_round_trip", " us"),
    "file-read-1": Line("4 KiB random reads of a cached file, one at a time", "files_per_s", " /s"),
    "file-read-32": Line("the same, 32 at a time", "files_per_s", " /s"),
    "file-write-1": Line("4 KiB random writes of a cached file, one at a time", "files_per_s", " /s"),
    "file-write-32": Line("the same, 32 at a time", "files_per_s", " /s"),
    "file-stat-1": Line("statuses of a file, one at a time", "files_per_s", " /s"),
    "file-stat-32": Line("the same, 32 at a time", "files_per_s", " /s"),
    "file-open-1": Line("opening and closing a file, one at a time", "files_per_s", " /s"),
    "file-open-32": Line("the same, 32 at a time", "files_per_s", " /s"),
    "file-rename-1": Line("renaming a file, one at a time", "files_per_s", " /s"),
    "file-rename-32": Line("the same, 32 at a time", "files_per_s", " /s"),
    "processes-20MiB": Line("start a process, and wait for it", "us_per_process", " us"),
    "processes-4GiB": Line("the same, of a parent with 4 GiB", "us_per_process", " us"),
    "pipes-echo": Line("1 KiB there and back through two pipes: processor time", ECHO, " us"),
    "pipes-read": Line("a MB read from a pipe: processor time", "cpu_us_per_mb", " us"),
    "pipes-write": Line("a MB written to a pipe: processor time", "cpu_us_per_mb", " us"),
    "tls-1KiB-10": Line("1 KiB echoed under TLS 1.3, by transports: processor time", ECHO, " us"),
    "tls-1KiB-10-rate": Line("the same, 60,000 a second", ECHO, " us"),
    "tls-16KiB-10": Line("16 KiB echoed under TLS 1.3, by transports: processor time", ECHO, " us"),
    "tls-16KiB-10-rate": Line("the same, 30,000 a second", ECHO, " us"),
    "tls-128KiB-10": Line("128 KiB echoed under TLS 1.3, by transports: processor time", ECHO, " us"),
    "tls-128KiB-10-rate": Line("the same, 5,000 a second", ECHO, " us"),
    "tls-idle": Line("memory of an idle connection under TLS, above a plain one", "kib_above_plain", " KiB"),
    "tls-handshake": Line("connect, TLS handshake, one request, close: processor time", ECHO, " us"),
    "busy-poll": Line("one connection, `busy_poll` 20 us: processor time", ECHO, " us"),
}


def name_of(row):
    """Whom a row is against, with the backend."""
    if row.peer is None:
        return "the limit"
    return f"{row.peer} ({row.peer_backend})" if row.peer_backend else row.peer


def number(value):
    """A figure in three digits or so."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(head, lines):
    """A table, if it has lines."""
    rows = (head, ["---"] * len(head), *lines) if lines else ()
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def echo_table(rows, transport):
    """A line for each size and number of connections; the advantage of each of ringport's backends over each peer."""
    prefix = f"echo-{transport}-"
    found = {}
    for row in rows:
        if row.workload.startswith(prefix) and row.metric == ECHO:
            found.setdefault(row.workload, {})[row.backend, row.peer] = row
    columns = [column for column in COLUMNS if any(column in line for line in found.values())]
    head = [f"{'TCP' if transport == 'tcp' else 'Unix'}, message x connections", "io_uring us", "epoll us"]
    head += [f"{ours} : {peer}" for ours, peer in columns]
    lines = []
    for workload, line in found.items():
        times = {row.backend: number(row.ours) for row in line.values()}
        lines.append([workload.removeprefix(prefix).replace("-", " x "), times.get("io_uring", "-"),
                      times.get("epoll", "-")]
                     + [f"{line[column].advantage:.2f}" if column in line else "-" for column in columns])
    return table(head, lines)


def rest_table(rows):
    """A line for each other comparison."""
    chosen = [(REST[row.workload], row) for row in rows
              if row.workload in REST and row.metric == REST[row.workload].metric and row.peer]
    return table(["workload", "backend", "against", "ringport", "peer", "advantage"],
                 [[line.text, row.backend or "-", name_of(row), number(row.ours) + line.unit,
                   number(row.theirs) + line.unit, f"{row.advantage:.2f}"] for line, row in chosen])


def tables(rows):
    """All of them."""
    return "\n".join(filter(None, (echo_table(rows, "tcp"), echo_table(rows, "unix"), rest_table(rows))))


if __name__ == "__main__":
    from measure import Row
    print(tables([Row(**row) for row in json.loads(pathlib.Path("build/bench.json").read_text())]), end="")
