"""What is measured of Python's loops, and the advantages that ringport is to have.

A workload is a function of a Setting and the contestants, which returns samples; WORKLOADS names them all.
"""

import contextlib
import functools
import itertools
import socket
import ssl
import typing

from measure import BOTH, PROGRAMS, SERVERS, Failed, Ours, Peer, Program, Server, certificate, in_turns, run, scratch
from python_peers import AIOFASTNET, ASYNCIO, UVLOOP

FLOOR = Peer("floor", "epoll")  # what a server costs that has no loop of Python's: echo_epoll, edge-triggered; or echo_epoll_tls
SIZES = {"64B": 64, "1KiB": 1024, "10KiB": 10 * 1024, "100KiB": 100 * 1024}
CONNECTIONS = (1, 10, 100, 1000)
TLS_KINDS = ("protocol", "buffered", "streams")
TLS_SIZES = {"1KiB": 1024, "16KiB": 16 * 1024, "128KiB": 128 * 1024}
TLS_CONNECTIONS = (10, 100)
TLS_AHEAD = {ASYNCIO: 2.5, UVLOOP: 1.5, AIOFASTNET: 1.05}
KINDS = ("protocol", "buffered", "streams", "sock")
MICRO = ("chain", "burst", "sleep-0", "call-later-cancel", "call-later", "threadsafe", "create-task", "gather",
         "executor", "pipe")
REQUEST, OPERATION = "cpu_us_per_request", "cpu_ns_per_operation"


class Workload(typing.NamedTuple):
    """Something to measure."""

    measure: typing.Callable  # (setting, contestants) -> samples
    cost: str                 # the metric that counts
    goals: dict               # (our backend, peer): what the ratio of the costs must be at least


def is_ours(name):
    """Whether a contestant is ringport."""
    return isinstance(name, Ours)


@contextlib.contextmanager
def left_out_if_it_fails(name):
    """Not each loop can do everything."""
    try:
        yield
    except (Failed, OSError) as error:
        print(f"without {name.backend if is_ours(name) else name.name} (see its log): {error}", flush=True)


# ---- servers ----


def visit(server, tls):
    """
    Connects, has something echoed, and closes. The first connection that is closed teaches glibc not to map memory
    for each large buffer of a loop's, which would make its receives many times as dear as they are in a server's life.
    """
    host, port = server.address
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.create_connection((host, int(port)), 60))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = stack.enter_context(context.wrap_socket(client))
        client.sendall(b"x")
        client.recv(1)
        with contextlib.suppress(OSError):  # not each loop ends TLS in order
            client = client.unwrap() if tls else client
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            client.recv(1)


def start(stack, name, contestant, kind, key=None):
    """A server of one of the kinds, or the floor."""
    if name == FLOOR:
        server = Server(f"echo_epoll_tls {key} read-ahead" if key else "echo_epoll edge", name)
    else:
        command = [contestant.program("serve.py"), kind, contestant.name] + ([key] if key else [])
        server = Server(" ".join(command), name, under=[contestant.python], errors=stack.enter_context(contestant.log()))
    return stack.enter_context(server)


def traffic(setting, contestants, kind, load, tls=False):
    """Samples of servers that all run at once, each with a load of its own; only one of those is at work at a time."""
    floor = {} if kind == "datagrams" else {FLOOR: None}
    with scratch() as directory, contextlib.ExitStack() as stack:
        key = certificate(directory) if tls else None
        turns = {}
        for name, contestant in (contestants | floor).items():
            with left_out_if_it_fails(name):
                server = start(stack, name, contestant, kind, key)
                if kind != "datagrams":
                    visit(server, tls)
                client = stack.enter_context(Program(*load(server)))
                stack.callback(client.finish)
                client.ask(0.01)
                turns[name] = functools.partial(client.ask, setting.seconds)
        return in_turns(turns, setting.rounds)


def goals(io_uring, epoll, others=None):
    """The better of asyncio and uvloop is what counts: both must be outdone."""
    both = {(backend, peer): value for backend, value in (("io_uring", io_uring), ("epoll", epoll))
            for peer in (ASYNCIO, UVLOOP) if value}
    return both | (others or {})


def echo_goals(kind, size, connections, tls):
    """What is asked of an echo server's processor time."""
    if tls:
        return {(backend, peer): value for backend in ("io_uring", "epoll") for peer, value in TLS_AHEAD.items()
                if size < TLS_SIZES["128KiB"]}
    if size == SIZES["100KiB"] or connections == 1000:
        return goals(1.0, 1.0)
    if (size, connections) != (SIZES["1KiB"], 100):
        return {}
    if kind == "protocol":
        return goals(1.0, 1.0, {("io_uring", FLOOR): 1 / 1.04})
    if kind.startswith("streams"):
        return {("io_uring", ASYNCIO): 1.45, ("io_uring", UVLOOP): 1.15}
    return goals(1.0, 1.0)


def echo(kind, label, connections, tls=False):
    """Messages of one size, sent back."""
    size = (TLS_SIZES if tls else SIZES)[label]

    def load(server):
        program = "echo_load_tls" if tls else "echo_load"
        return [program, "-i", "-c", str(connections), "-s", str(size), "-p", server.pid, *server.address]

    def measure(setting, contestants):
        return traffic(setting, contestants, kind, load, tls)
    return Workload(measure, REQUEST, echo_goals(kind, size, connections, tls))


def connect(count):
    """Connections of one request each, so many at once."""
    def load(server):
        return ["connect_load", str(count), server.pid, server.address[1]]

    def measure(setting, contestants):
        return traffic(setting, contestants, "protocol", load)
    return Workload(measure, REQUEST, goals(1.3, 1.1))


def datagrams(peers, depth):
    """Datagrams of 64 bytes, sent back: so many of each peer are on their way at a time."""
    def load(server):
        return ["datagram_load", str(peers), str(depth), "64", server.pid, *server.address]

    def measure(setting, contestants):
        return traffic(setting, contestants, "datagrams", load)
    least = 1.0 if peers * depth == 1 else 1.5  # of one datagram most is the kernel's
    return Workload(measure, REQUEST, {(backend, UVLOOP): least for backend in ("io_uring", "epoll")})


# ---- the loop alone ----


def micro(what, *listener):
    """One thing again and again."""
    def measure(setting, contestants):
        with contextlib.ExitStack() as stack:
            turns = {}
            for name, contestant in contestants.items():
                with left_out_if_it_fails(name):
                    command = [contestant.program("micro.py"), contestant.name, what, *listener]
                    program = stack.enter_context(Program(*command, by=name, place=SERVERS, under=[contestant.python],
                                                          errors=stack.enter_context(contestant.log())))
                    program.read()
                    turns[name] = functools.partial(program.ask, f"for {setting.seconds}")
            return in_turns(turns, setting.rounds)
    least = 1.15 if what == "gather" else None
    return Workload(measure, OPERATION, goals(least or 1.3, least or 1.1) if listener else {})


def processes(mib):
    """Child processes one after the other, of a parent with so much memory."""
    def measure(setting, contestants):
        turns = {}
        for name, contestant in contestants.items():
            command = [contestant.python, contestant.program("processes.py"), contestant.name, "100", str(mib)]
            turns[name] = functools.partial(run, *command, by=name, place=BOTH)
        return in_turns(turns, setting.rounds)
    ahead = {(backend, peer): value for backend in ("io_uring", "epoll") for peer, value in ((ASYNCIO, 1.0), (UVLOOP, 4.0))}
    return Workload(measure, "us_per_process", ahead)


def sendfile():
    """A cached file over loopback, by a transport; uvloop has no sendfile()."""
    def measure(setting, contestants):
        turns = {}
        for name, contestant in contestants.items():
            if contestant.name in ("uvloop", "aiofastnet"):
                continue
            command = [contestant.python, contestant.program("sendfile.py"), contestant.name, str(setting.seconds)]
            turns[name] = functools.partial(run, *command, by=name, place=BOTH)
        return in_turns(turns, setting.rounds)
    return Workload(measure, "us_per_mb", {(backend, ASYNCIO): 1.0 for backend in ("io_uring", "epoll")})


def every_echo():
    """The names of the echo workloads, and they themselves."""
    for kind, label, connections in itertools.product(KINDS, SIZES, CONNECTIONS):
        yield f"echo-{kind}-{label}-{connections}", echo(kind, label, connections)
    for kind, label, connections in itertools.product(TLS_KINDS, TLS_SIZES, TLS_CONNECTIONS):
        yield f"tls-{kind}-{label}-{connections}", echo(kind, label, connections, tls=True)
    yield "echo-streams-drain-1KiB-100", echo("streams-drain", "1KiB", 100)


def built(program):
    """Whether a program of ours is there: that for TLS needs OpenSSL."""
    return (PROGRAMS / program).exists()


WORKLOADS = dict(every_echo())
WORKLOADS |= {f"datagrams-{peers}x{depth}": datagrams(peers, depth) for peers, depth in ((1, 1), (8, 4), (1, 32))}
WORKLOADS |= {f"connect-{count}": connect(count) for count in (1, 64)}
WORKLOADS |= {"sendfile": sendfile()}
WORKLOADS |= {f"processes-{label}": processes(mib) for label, mib in (("20MiB", 20), ("1GiB", 1024))}
WORKLOADS |= {f"{what}{'-' * bool(listener)}{listener}": micro(what, *([listener] if listener else []))
              for what in MICRO for listener in ("listener", "")}


def usual(quick):
    """What is measured when nothing else is asked for: everything, or in a hurry what the goals are about."""
    return [name for name, workload in WORKLOADS.items()
            if not quick or workload.goals and not name.startswith("tls") and "-1000" not in name]
