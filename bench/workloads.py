"""The workloads: what runs, against whom, and the advantage that ringport is to have.

A workload is a function of a Setting that yields rows; WORKLOADS names them all. A peer whose program was not built is
left out. Unless a goal names another backend, it is for io_uring; what the others do is reported.
"""

import contextlib
import pathlib
import time
import typing

import instructions
import resp
from measure import (BOTH, PROGRAMS, SERVERS, Ours, Peer, Program, Server, against_limit, certificate, compare, in_turns,
                     run, scratch)

LEVEL = 1 / 1.03
SIZES = {"64B": 64, "1KiB": 1024, "10KiB": 10 * 1024, "100KiB": 100 * 1024}
CONNECTIONS = (1, 10, 100, 1000)
TRAFFIC = ("cpu_us_per_request", "requests_per_s", "p50_us", "p99_us")
LIBUV, LIBUV_128K, PLAIN = Peer("libuv", "epoll"), Peer("libuv-128KiB", "epoll"), Peer("plain", "epoll")
LIBUV_THREADS, ASYNCIO_THREADS = Peer("libuv", "threads"), Peer("asyncio", "threads")
POSIX_SPAWN, SMALL_PARENT = Peer("posix_spawn", None), Peer("20 MiB", None)
SENDFILE = Peer("sendfile(2)", None)
MEMORY_BIOS, SSL_SET_FD, READ_AHEAD = Peer("memory BIOs", None), Peer("SSL_set_fd", "epoll"), Peer("read-ahead", "epoll")
OURS_PLAIN, OPENSSL = Peer("plain", None), Peer("OpenSSL alone", None)
TLS_SIZES = {"1KiB": 1024, "16KiB": 16 * 1024, "128KiB": 128 * 1024}
TLS_RATES = {"1KiB": 60000, "16KiB": 30000, "128KiB": 5000}  # messages a second: some of a core is left
TLS_IDLE = 16.0  # KiB a connection
REDIS = Peer("redis-server", "epoll")
ASIO, GO, BOOST_CONTEXT = Peer("asio", "epoll"), Peer("go", "epoll"), Peer("boost.context", None)
MESSAGE_LIMITS = {"instructions_per_request": 520, "lines_per_connection": 11}  # of streams, on epoll
BUSY_POLL = {"RINGPORT_BUSY_POLL": "20000"}  # ns


class Setting(typing.NamedTuple):
    """How long, and on which of ringport's backends."""

    rounds: int
    seconds: float  # of a turn
    backends: tuple
    quick: bool  # the user is in a hurry


def built(program):
    """Whether a peer's program is there."""
    return (PROGRAMS / program.split()[0]).exists()


def contestants(setting, ours, peers):
    """Who takes part, and with which program: ringport on each backend, and those of the peers that are there."""
    chosen = {Ours(backend): ours for backend in setting.backends}
    return chosen | {peer: program for peer, program in peers.items() if built(program)}


def on_io_uring(value, metric=None):
    """A goal for one metric (all of them, if there is one alone) against libuv, with io_uring."""
    def goal(backend, peer, name):
        return value if backend == "io_uring" and peer == "libuv" and metric in (None, name) else None
    return goal


def on_both(value):
    """A goal against libuv, with io_uring and with epoll."""
    return lambda backend, peer, name: value if peer == "libuv" else None


# ---- servers ----


def traffic(setting, servers, load, transport="tcp", extra=None):
    """Samples of servers that all run at once, each with a load of its own; only one of those is at work at a time."""
    with scratch() as directory, contextlib.ExitStack() as stack:
        turns = {}
        for number, (name, program) in enumerate(servers.items()):
            path = f"{directory}/{number}" if transport == "unix" else None
            server = stack.enter_context(Server(program, name, path, extra))
            client = stack.enter_context(Program(*load(server)))
            stack.callback(client.finish)
            turns[name] = lambda client=client: client.ask(setting.seconds)
        return in_turns(turns, setting.rounds)


def echo_load(size, connections):
    """The load of an echo workload, as a function of the server."""
    options = ["-i", "-c", str(connections), "-s", str(size), "-p"]
    return lambda server: ["echo_load", *options, server.pid, *server.address]


def echo_goal(size, connections):
    """What is asked of the processor time of a request."""
    def goal(backend, peer, metric):
        if metric != "cpu_us_per_request":
            return None
        if backend == "epoll":
            return LEVEL if peer == "libuv" else None
        if connections < 100:
            return LEVEL if peer in ("libuv", "plain") else None
        if peer == "plain":
            return 1.0
        if peer != "libuv":
            return None
        if size == SIZES["100KiB"]:
            return 1.2
        return 1.02 if connections == 100 else 1.06
    return goal


def echo(transport, label):
    """Messages of one size, sent back, on several numbers of connections."""
    def workload(setting):
        peers = {LIBUV: "echo_uv", PLAIN: "echo_epoll", ASIO: "echo_asio"}
        if SIZES[label] > 64 * 1024:  # ringport's buffer holds a message, the one that libuv suggests does not
            peers[LIBUV_128K] = "echo_uv 128"
        for connections in CONNECTIONS:
            servers = contestants(setting, "echo_ringport", peers)
            samples = traffic(setting, servers, echo_load(SIZES[label], connections), transport)
            yield from compare(f"echo-{transport}-{label}-{connections}", samples, TRAFFIC,
                               echo_goal(SIZES[label], connections))
    return workload


def connect(setting):
    """Connections of one request each, one at a time and 64 at once."""
    for count, goal in ((1, 1.1), (64, LEVEL)):
        servers = contestants(setting, "echo_ringport", {LIBUV: "echo_uv", PLAIN: "echo_epoll", ASIO: "echo_asio"})
        samples = traffic(setting, servers,
                          lambda server, count=count: ["connect_load", str(count), server.pid, server.address[1]])
        yield from compare(f"connect-{count}", samples, TRAFFIC, on_io_uring(goal, "cpu_us_per_request"))


def idle_percent(name, seconds):
    """How much of a core a server with busy_poll uses while it has nothing to do, in percent."""
    with Server("echo_ringport", name, extra=BUSY_POLL) as server, Program(*echo_load(64, 1)(server)) as load:
        load.ask(0.1)
        clock = ~int(server.pid) << 3 | 2  # the process's own, as clock_getcpuclockid() gives it
        before = time.clock_gettime(clock)
        time.sleep(seconds)
        return {"idle_percent": max((time.clock_gettime(clock) - before) / seconds * 100, 1e-6)}


def busy_poll(setting):
    """One connection to a loop that polls for 20 us before it sleeps; what that costs when nothing comes."""
    servers = contestants(setting, "echo_ringport", {LIBUV: "echo_uv"})
    samples = traffic(setting, servers, echo_load(64, 1), extra=BUSY_POLL)

    def goal(backend, peer, metric):
        return {"requests_per_s": 2.0, "cpu_us_per_request": 1.0}.get(metric) if backend == "io_uring" else None
    yield from compare("busy-poll", samples, TRAFFIC, goal)
    idle = in_turns({name: lambda name=name: idle_percent(name, 1) for name in servers if isinstance(name, Ours)}, 1)
    yield from against_limit("busy-poll-idle", idle, "idle_percent", 2.0,
                             lambda backend: 1.0 if backend == "io_uring" else None)


def datagrams(setting):
    """Datagrams of 64 bytes, sent back: one on its way, four of each of eight peers, 32 of one."""
    for peers, depth in ((1, 1), (8, 4), (1, 32)):
        servers = contestants(setting, "datagrams", {LIBUV: "datagrams_uv"})
        samples = traffic(setting, servers,
                          lambda server, peers=peers, depth=depth:
                          ["datagram_load", str(peers), str(depth), "64", server.pid, *server.address])

        def goal(backend, peer, metric, least=LEVEL if peers * depth == 1 else 2.0):
            return least if peer == "libuv" and metric == "cpu_us_per_request" else None
        yield from compare(f"datagrams-{peers}x{depth}", samples, TRAFFIC, goal)


def redis(setting):
    """Redis' own benchmark against our server of its protocol, and against Redis."""
    if not resp.available():
        print("redis-server, redis-tools or libssl-dev is not installed, and nothing is compared with Redis")
        return
    with resp.stores([*map(Ours, setting.backends), REDIS]) as stores:
        for pipeline, command in ((1, "set"), (1, "get"), (50, "set"), (50, "get")):
            samples = in_turns({name: lambda store=store, pipeline=pipeline, command=command:
                                store.load(command, pipeline, setting.seconds) for name, store in stores.items()}, setting.rounds)
            yield from compare(f"redis-{command}-{pipeline}", samples, TRAFFIC, lambda *_: None)


# ---- TLS ----


def tls_servers(setting, face, key):
    """For each backend, who takes part: memory BIOs and plain ringport are on the same one."""
    for backend in setting.backends:
        peers = {OURS_PLAIN: face, MEMORY_BIOS: f"echo_memory_tls {key}", SSL_SET_FD: f"echo_epoll_tls {key}",
                 READ_AHEAD: f"echo_epoll_tls {key} read-ahead", LIBUV: f"echo_uv_tls {key}"}
        yield {"RINGPORT_PROACTOR": backend}, contestants(setting._replace(backends=(backend,)), f"{face}_tls {key}", peers)


def tls_load(size, connections, rate=None):
    """The load of an echo workload, with TLS for whoever speaks it."""
    def load(server):
        program, *options = echo_load(size, connections)(server)
        held = ["-R", str(rate)] if rate else []
        return [f"{program}_tls" if "_tls" in server.name else program, *held, *options]
    return load


def tls_echo(setting, key, face, name):
    """
    Echoes on 10 connections: against others that speak TLS as fast as it goes, and against plain text at a rate that is
    the same for both. As fast as it goes the load is slower under TLS, and so more of its messages find a server asleep.
    """
    for label, size in TLS_SIZES.items():
        for extra, servers in tls_servers(setting, face, key):
            both = {name: servers[name] for name in servers if isinstance(name, Ours) or name == OURS_PLAIN}
            del servers[OURS_PLAIN]
            samples = traffic(setting, servers, tls_load(size, 10), extra=extra)
            yield from compare(f"{name}-{label}-10", samples, TRAFFIC, tls_goal(label))
            samples = traffic(setting, both, tls_load(size, 10, TLS_RATES[label]), extra=extra)
            yield from compare(f"{name}-{label}-10-rate", samples, TRAFFIC, tls_goal(label))


def tls_goal(label):
    """What is asked of the processor time of a message: so much at most of what it costs another."""
    most = {("1KiB", "plain"): 1.2, ("16KiB", "plain"): 2.2, ("16KiB", "memory BIOs"): 0.92, ("1KiB", "SSL_set_fd"): 0.85,
            ("16KiB", "SSL_set_fd"): 0.85}

    def goal(_, peer, metric):
        return 1 / most[label, peer] if metric == "cpu_us_per_request" and (label, peer) in most else None
    return goal


def resident_kib(server):
    """How much memory of a server is resident."""
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def idle_kib(name, program, extra, count=1000):
    """What a connection that has echoed something and is idle keeps resident of the server."""
    with Server(program, name, extra=extra) as server, Program(*tls_load(1024, 100)(server)) as first:
        first.ask(0.05)
        before = resident_kib(server)
        with Program(*tls_load(1024, count)(server)) as more:
            more.ask(0.05)
            after = resident_kib(server)
            more.finish()
        first.finish()
        return (after - before) / count


def tls_idle(setting, key):
    """What an idle connection takes above a plain one."""
    for extra, servers in tls_servers(setting, "echo_transport", key):
        memory = {name: idle_kib(name, program, extra) for name, program in servers.items()}
        plain = memory.pop(OURS_PLAIN)
        samples = [{name: {"kib_above_plain": kib - plain} for name, kib in memory.items()}]
        yield from compare("tls-idle", samples, ["kib_above_plain"], lambda *_: None)
        ours = [{name: sample[name] for name in sample if isinstance(name, Ours)} for sample in samples]
        yield from against_limit("tls-idle", ours, "kib_above_plain", TLS_IDLE, lambda _: 1.0)


def tls_handshakes(setting, key):
    """Handshakes over sockets, one after the other; and what the server's side of one costs OpenSSL in memory."""
    for extra, servers in tls_servers(setting, "echo_transport", key):
        del servers[OURS_PLAIN]
        samples = traffic(setting, servers, lambda server: ["handshake_load", server.pid, server.address[1]], extra=extra)
        alone_ = in_turns({OPENSSL: lambda: run("handshakes", key, str(setting.seconds))}, setting.rounds)
        samples = [theirs | own for theirs, own in zip(samples, alone_)]
        yield from compare("tls-handshake", samples, ["cpu_us_per_request"],
                           lambda _, peer, __: 0.95 if peer == SSL_SET_FD.name else None)


def tls(setting):
    """Echoes under TLS on 10 connections, by transports and by streams; idle connections; handshakes."""
    if not built("echo_transport_tls"):
        print("libssl-dev is not installed, and nothing is measured under TLS")
        return
    with scratch() as directory:
        key = certificate(directory)
        yield from tls_echo(setting, key, "echo_transport", "tls")
        yield from tls_echo(setting, key, "echo_ringport", "tls-streams")
        yield from tls_idle(setting, key)
        yield from tls_handshakes(setting, key)


# ---- programs that measure themselves ----


def alone(setting, programs, *arguments, place=SERVERS):
    """Samples of programs that run one after the other."""
    return in_turns({name: lambda name=name, program=program: run(*program.split(), *arguments, by=name, place=place)
                     for name, program in programs.items()}, setting.rounds)


def switch(setting):
    """From one stack to another."""
    if built("switch_boost"):
        samples = alone(setting, {Ours(None): "switch", BOOST_CONTEXT: "switch_boost"})
        yield from compare("switch", samples, ["ns_per_switch"], lambda *_: 1 / 1.2)


def tasks(setting):
    """A task's turn, and its life."""
    samples = alone(setting, contestants(setting, "tasks", {GO: "tasks_go", ASIO: "tasks_asio"}))
    yield from compare("sleep-0", samples, ["ns_per_turn"], lambda *_: None)
    yield from compare("spawn-join", samples, ["ns_per_life"], lambda *_: None)


def timers(setting):
    """A million of them, inserted and cancelled."""
    samples = alone(setting, contestants(setting, "timers", {LIBUV: "timers_uv"}))
    yield from compare("timers", samples, ["ns_per_timer", "ns_per_insert", "ns_per_cancel"],
                       on_io_uring(3.0, "ns_per_timer"))


def sleepers(setting):
    """A million tasks asleep."""
    count = "1000000"
    few = setting._replace(rounds=min(setting.rounds, 2))
    samples = alone(few, contestants(setting, "sleepers", {GO: "tasks_go", ASIO: "tasks_asio"}), count)
    yield from against_limit("sleepers", samples, "bytes_per_task", 4.7 * 1024,
                             lambda backend: 1.0 if backend == "io_uring" else None)
    yield from compare("sleepers", samples, ["bytes_per_task", "ns_per_task"], lambda *_: None)


def wakeup(setting):
    """From one thread to another and back."""
    often = setting._replace(rounds=2 * setting.rounds)  # how long a processor takes to wake up varies most of all
    samples = alone(often, contestants(setting, "wakeup", {LIBUV: "wakeup_uv"}), place=BOTH)
    yield from compare("wakeup", samples, ["us_per_round_trip"], on_io_uring(1.3))


def processes(setting):
    """Child processes one after the other, of a small parent and of one with 4 GiB, which shall not matter."""
    small = contestants(setting, "processes 200 20", {POSIX_SPAWN: "processes_posix 200 20", LIBUV: "processes_uv 200 20"})
    samples = alone(setting, small, place=BOTH)
    yield from compare("processes-20MiB", samples, ["us_per_process"],
                       lambda _, peer, __: {"posix_spawn": 1 / 1.05, "libuv": 2.0}[peer])
    large = contestants(setting, "processes 200 4096",
                        {SMALL_PARENT: "processes 200 20", POSIX_SPAWN: "processes_posix 200 4096",
                         LIBUV: "processes_uv 10 4096"})
    samples = alone(setting._replace(rounds=min(setting.rounds, 5)), large, place=BOTH)
    yield from compare("processes-4GiB", samples, ["us_per_process"],
                       lambda _, peer, __: {"20 MiB": 1 / 1.1, "posix_spawn": 1 / 1.05, "libuv": 2.0}[peer])


def files(setting):
    """What is done with a file that the kernel has in memory: one at a time at most 0.3 of libuv's time, as far as asked."""
    programs = contestants(setting, "files", {LIBUV_THREADS: "files_uv"})
    with scratch() as directory:
        path = pathlib.Path(directory, "file")
        with path.open("wb") as file:
            for number in range(1024):
                file.write(bytes([number % 256]) * (1 << 20))

        def act(name, program, what, depth):
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass  # the page cache may have shrunk
            return run(program, what, str(path), str(depth), str(setting.seconds), by=name, place=BOTH)

        goals = {("read", 1): on_io_uring(10.0), ("read", 32): on_io_uring(2.0),
                 ("write", 1): on_both(1 / 0.3), ("stat", 1): on_both(1 / 0.3)}
        for what, depth in ((what, depth) for what in ("read", "write", "stat", "open", "rename") for depth in (1, 32)):
            turns = {name: lambda name=name, program=program: act(name, program, what, depth)
                     for name, program in programs.items()}
            yield from compare(f"file-{what}-{depth}", in_turns(turns, setting.rounds), ["files_per_s"],
                               goals.get((what, depth), lambda *_: None))


def names(setting):
    """Names that take two seconds each, and a function on the executor meanwhile."""
    once = setting._replace(rounds=1)
    several = alone(once, contestants(once, "names", {LIBUV_THREADS: "names_uv", ASYNCIO_THREADS: "names_asyncio"}),
                    "20", "2", place=BOTH)
    yield from compare("names-20", several, ["wall_s", "job_ms"],
                       lambda _, peer, metric: 4.0 if (peer, metric) == ("libuv", "wall_s") else None)
    many = alone(once, contestants(once, "names", {}), "50", "2", place=BOTH)
    for metric, limit in (("wall_s", 2.5), ("job_ms", 5.0)):
        yield from against_limit("names-50", many, metric, limit, lambda _: 1.0)


def pipes(setting):
    """Messages there and back through pipes, and as many bytes as go, into the loop and out of it."""
    for what, metrics in (("echo", ["cpu_us_per_request", "requests_per_s"]), ("read", ["cpu_us_per_mb", "mb_per_s"]),
                          ("write", ["cpu_us_per_mb", "mb_per_s"])):
        samples = in_turns({name: lambda name=name, program=program, what=what:
                            run(program, what, str(setting.seconds), by=name, place=BOTH)
                            for name, program in contestants(setting, "pipes", {LIBUV: "pipes_uv"}).items()},
                           setting.rounds)
        yield from compare(f"pipes-{what}", samples, metrics, lambda *_: None)


def sendfile(setting):
    """A file that is sent over loopback: from the page cache; and one of 1 GiB from the disk, in turns below a millisecond."""
    programs = contestants(setting, "sendfile", {SENDFILE: "sendfile_posix", LIBUV_THREADS: "sendfile_uv"})
    samples = alone(setting, programs, "64", str(setting.seconds), place=BOTH)
    yield from compare("sendfile", samples, ["mb_per_s", "cpu_us_per_mb"],
                       lambda _, peer, metric: 1.3 if metric == "mb_per_s" and peer == SENDFILE.name else None)
    cold = alone(setting._replace(rounds=min(setting.rounds, 3)), contestants(setting, "sendfile", {}), "1024", "0.01",
                 "cold", place=BOTH)
    yield from against_limit("sendfile-cold", cold, "longest_turn_us", 1000.0, lambda _: 1.0)


def count(setting):
    """What a message of 1 KiB costs in user space on one of 100 connections, by streams and by transports alone."""
    if not instructions.available():
        print("valgrind is not installed, and no instructions are counted")
        return
    for face, ours in (("streams", "echo_ringport"), ("transports", "echo_transport")):
        servers = contestants(setting, ours, {LIBUV: "echo_uv", PLAIN: "echo_epoll"})
        samples = [{name: instructions.of_message(program, name) for name, program in servers.items()}]
        yield from compare(f"instructions-{face}", samples, list(MESSAGE_LIMITS), lambda *_: None)
        if face == "streams":
            mine = [{name: sample[name] for name in sample if isinstance(name, Ours)} for sample in samples]
            for metric, limit in MESSAGE_LIMITS.items():
                yield from against_limit("instructions-streams", mine, metric, limit,
                                         lambda backend: 1.0 if backend == "epoll" else None)


WORKLOADS = {f"echo-{transport}-{label}": echo(transport, label) for transport in ("tcp", "unix") for label in SIZES}
WORKLOADS |= {
    "connect": connect,
    "datagrams": datagrams,
    "redis": redis,
    "switch": switch,
    "tasks": tasks,
    "timers": timers,
    "sleepers": sleepers,
    "wakeup": wakeup,
    "files": files,
    "names": names,
    "pipes": pipes,
    "sendfile": sendfile,
    "processes": processes,
    "busy-poll": busy_poll,
    "tls": tls,
    "instructions": count,
}
PROGRAMS_OF_PEERS = {"libuv": "echo_uv", "boost.context": "switch_boost", "go": "tasks_go", "asio": "echo_asio"}
