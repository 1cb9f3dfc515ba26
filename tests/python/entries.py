"""The entry points of the extension, one at a time: what each does when an allocation fails.

An entry is a generator of a loop, not running. It yields the calls that are to be made once all is prepared for them, and then
cleans up. The calls are of C, and so are the callbacks in them where that can be.
"""

import asyncio
import contextlib
import contextvars
import functools
import operator
import os
import socket

from ringport import _core

ENTRIES = {}

# What runs functions in Python. The interpreter loses references where it has no memory for them, so no leaks are looked for.
OF_PYTHON = {"new_loop", "call_soon_debug", "run_failing", "run_debug", "server", "accepted"}

partial = functools.partial
nothing = repr  # a callback that is not Python's


def entry(function):
    ENTRIES[function.__name__] = function
    return function


def turn(loop):
    """One turn of the loop, as a call."""
    loop.call_soon(loop.stop)
    return loop._run


def settle(loop):
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()


def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


# ---- the loop ----


@entry
def new_loop(loop):
    made = []
    yield lambda: made.append(type(loop)())
    for each in made:
        each.close()


@entry
def close(loop):
    loop.call_soon(nothing, 1)
    loop.call_later(1000, nothing, 1)
    yield loop.close


def scheduling(name, *calls, debug=False):
    def run(loop):
        loop.set_debug(debug)
        yield [partial(getattr(loop, method), *arguments, **options) for method, arguments, options in calls]

    ENTRIES[name] = run


scheduling("call_soon", ("call_soon", (nothing,), {}), ("call_soon", (nothing, 1, 2, 3), {}))
scheduling("call_soon_often", *[("call_soon", (nothing, 1), {})] * 300)
scheduling("call_soon_context", ("call_soon", (nothing, 1), {"context": contextvars.copy_context()}))
scheduling("call_soon_threadsafe", ("call_soon_threadsafe", (nothing, 1), {}))
scheduling("call_later", ("call_later", (1000, nothing, 1, 2, 3), {}), ("call_at", (1000.5, nothing), {}))
scheduling("call_soon_debug", ("call_soon", (nothing, 1), {}), ("call_later", (1000, nothing), {}), debug=True)


@entry
def handle(loop):
    handle = loop.call_later(1000, nothing, 1)
    other = loop.call_soon(nothing, 1, 2, 3)
    yield [handle.when, partial(hash, handle), partial(handle.__eq__, other), handle.cancel, handle.cancelled, other.cancel]


@entry
def handle_repr(loop):
    yield partial(repr, loop.call_later(1000, nothing, 1))


@entry
def run_callbacks(loop):
    loop.call_soon(list)
    loop.call_soon(nothing, 1)
    loop.call_soon(max, 1, 2, 3)
    loop.call_later(0, nothing, 1)
    yield turn(loop)
    settle(loop)


@entry
def run_failing(loop):
    loop.call_soon(int, "x")
    loop.call_later(0, int, "x")
    yield turn(loop)
    settle(loop)


@entry
def run_debug(loop):
    loop.set_debug(True)
    loop.slow_callback_duration = 1000
    loop.call_soon(list)
    yield turn(loop)


@entry
def create_future(loop):
    yield loop.create_future


@entry
def create_task(loop):
    coroutine = asyncio.sleep(0)
    yield partial(loop.create_task, coroutine)
    settle(loop)
    coroutine.close()


@entry
def create_named_task(loop):
    coroutine = asyncio.sleep(0)
    yield partial(loop.create_task, coroutine, name="name", context=contextvars.copy_context())
    settle(loop)
    coroutine.close()


@entry
def run_task(loop):
    task = loop.create_task(asyncio.sleep(0))
    task.add_done_callback(nothing)
    yield turn(loop)
    settle(loop)


@entry
def stats(loop):
    yield [loop.stats, loop.time, loop.get_debug, loop.is_closed, partial(getattr, loop, "backend"), loop.get_task_factory]


# ---- descriptors ----


@entry
def add_reader(loop):
    ours, theirs = pair()
    with ours, theirs:
        yield [partial(loop.add_reader, ours, nothing, 1), partial(loop.add_writer, ours.fileno(), nothing, 1)]
        loop.remove_reader(ours), loop.remove_writer(ours)
        settle(loop)


@entry
def watched(loop):
    ours, theirs = pair()
    with ours, theirs:
        loop.add_reader(ours, nothing, 1)
        loop.add_writer(ours, nothing, 1)
        settle(loop)
        theirs.send(b"x")
        yield turn(loop)
        loop.remove_reader(ours), loop.remove_writer(ours)
        settle(loop)


@entry
def remove_reader(loop):
    ours, theirs = pair()
    with ours, theirs:
        loop.add_reader(ours, nothing, 1)
        settle(loop)
        yield partial(loop.remove_reader, ours)
        loop.remove_reader(ours)
        settle(loop)


def operation(name, begin, complete):
    """Entries for an operation: it begins, it completes in a turn, it is cancelled."""

    def prepared(loop, do):
        ours, theirs = pair()
        with ours, theirs:
            tasks = [loop.create_task(begin(loop, ours))]
            yield from do(loop, tasks[0], theirs)
            tasks[0].cancel()
            settle(loop)

    def starts(loop, task, theirs):
        yield turn(loop)

    def completes(loop, task, theirs):
        settle(loop)
        complete(theirs)
        yield turn(loop)

    def is_cancelled(loop, task, theirs):
        settle(loop)
        task.cancel()
        yield turn(loop)

    for do in starts, completes, is_cancelled:
        ENTRIES[f"{name}_{do.__name__}"] = functools.partial(prepared, do=do)


operation("sock_recv", lambda loop, sock: loop.sock_recv(sock, 100), lambda peer: peer.send(b"hello"))
operation("sock_recv_into", lambda loop, sock: loop.sock_recv_into(sock, bytearray(9)), lambda peer: peer.send(b"hello"))
operation("sock_recvfrom", lambda loop, sock: loop.sock_recvfrom(sock, 100), lambda peer: peer.send(b"hello"))
operation("sock_sendall", lambda loop, sock: loop.sock_sendall(sock, bytes(1_000_000)), lambda peer: peer.recv(1 << 20))


@entry
def sock_accept(loop):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        task = loop.create_task(loop.sock_accept(listener))
        settle(loop)
        client.connect(listener.getsockname())
        yield turn(loop)
        settle(loop)
        task.cancel()
        settle(loop)
        if not task.cancelled() and not task.exception():
            task.result()[0].close()


@entry
def sock_connect(loop):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setblocking(False)
        task = loop.create_task(loop.sock_connect(client, listener.getsockname()))
        yield turn(loop)
        settle(loop)
        task.cancel()
        settle(loop)


# ---- transports ----


class Protocol(asyncio.Protocol):
    connection_made = connection_lost = data_received = staticmethod(id)
    eof_received = pause_writing = resume_writing = staticmethod(list)


class Buffered(asyncio.BufferedProtocol):
    connection_made = connection_lost = buffer_updated = staticmethod(id)
    eof_received = pause_writing = resume_writing = staticmethod(list)
    get_buffer = staticmethod([bytearray(100)].__getitem__)  # with the hint -1


def connected(loop, factory=Protocol):
    ours, theirs = pair()
    transport, protocol = loop.run_until_complete(loop.create_connection(factory, sock=ours))
    settle(loop)
    return transport, theirs


@entry
def make_transport(loop):
    ours, theirs = pair()
    with theirs:
        yield [partial(loop._make_socket_transport, ours, Protocol(), None), turn(loop)]
        settle(loop)
        theirs.close()
        settle(loop)
        ours.close()


def on_transport(name, calls=None, *, factory=Protocol, before=id, peer=id):
    """An entry: calls of a transport, or else a turn after something that the peer does."""

    def run(loop):
        transport, theirs = connected(loop, factory)
        with theirs:
            before(transport)
            settle(loop)
            peer(theirs)
            yield calls(transport) if calls else turn(loop)
        transport.abort()
        settle(loop)

    ENTRIES[name] = run


def write_much(transport):
    transport.write(bytes(1_000_000))


on_transport("write", lambda transport: partial(transport.write, b"hello"))
on_transport("write_much", lambda transport: [partial(transport.write, bytes(1_000_000)), partial(transport.write, b"more")])
on_transport("writelines", lambda transport: partial(transport.writelines, [b"a", bytearray(b"b"), bytes(1_000_000)]))
on_transport("write_eof", lambda transport: transport.write_eof)
on_transport("close_transport", lambda transport: transport.close)
on_transport("abort", lambda transport: transport.abort)
on_transport("abort_much", lambda transport: transport.abort, before=write_much)
on_transport("pause", lambda transport: [transport.pause_reading, transport.is_reading, transport.resume_reading])
on_transport("limits", lambda transport: [partial(transport.set_write_buffer_limits, 10), transport.get_write_buffer_limits])
on_transport(
    "about",
    lambda transport: [partial(transport.get_extra_info, name) for name in ("socket", "peername", "sockname", "nothing")]
    + [transport.get_write_buffer_size, transport.get_protocol, transport.is_closing],
)
on_transport("transport_repr", lambda transport: partial(repr, transport))
on_transport("set_protocol", lambda transport: partial(transport.set_protocol, Buffered()))
on_transport("received", peer=lambda peer: peer.send(b"hello"))
on_transport("received_buffered", peer=lambda peer: peer.send(b"hello"), factory=Buffered)
on_transport("received_end", peer=lambda peer: peer.shutdown(socket.SHUT_WR))
on_transport("lost", before=write_much, peer=lambda peer: peer.close())
on_transport("sent", before=lambda transport: transport.write(bytes(300_000)), peer=lambda peer: peer.recv(1 << 20))


# ---- datagrams ----


class DatagramProtocol:
    connection_made = error_received = connection_lost = staticmethod(id)
    datagram_received = staticmethod(operator.is_)
    pause_writing = resume_writing = staticmethod(list)


def datagram_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


@entry
def make_datagram_transport(loop):
    ours = datagram_socket()
    yield [partial(loop._make_datagram_transport, ours, DatagramProtocol(), None, None), turn(loop)]
    settle(loop)
    ours.close()


def on_datagrams(name, calls=None, *, peer=operator.is_):
    """An entry: calls of a transport and a peer's address, or else a turn after something that the peer does."""

    def run(loop):
        ours, theirs = datagram_socket(), datagram_socket()
        with theirs:
            transport = loop._make_datagram_transport(ours, DatagramProtocol())
            settle(loop)
            peer(theirs, transport.get_extra_info("sockname"))
            yield calls(transport, theirs.getsockname()) if calls else turn(loop)
        transport.abort()
        settle(loop)

    ENTRIES[name] = run


on_datagrams("sendto", lambda transport, name: partial(transport.sendto, b"x", name))
on_datagrams("sendto_name", lambda transport, name: partial(transport.sendto, b"x", ("localhost", name[1])))
on_datagrams("sendto_too_long", lambda transport, name: partial(transport.sendto, b"x" * 70_000, name))
on_datagrams("datagram_received", peer=lambda theirs, name: [theirs.sendto(b"%d" % i, name) for i in range(3)])
on_datagrams("datagram_close", lambda transport, name: transport.close)
on_datagrams("datagram_abort", lambda transport, name: transport.abort)


# ---- pipes ----


def pipe_ends():
    """A pipe as Python's objects, unbuffered."""
    reader, writer = os.pipe()
    return open(reader, "rb", 0), open(writer, "wb", 0)


@entry
def make_pipe_transports(loop):
    reader, writer = pipe_ends()
    with reader, writer:
        yield [
            partial(loop._make_read_pipe_transport, reader, Protocol(), None),
            partial(loop._make_write_pipe_transport, writer, Protocol(), None),
            turn(loop),
        ]
        for _ in range(2):
            settle(loop)
            writer.close()


def on_pipe(name, calls=None, *, writes=False, before=id, peer=id):
    """The same as on_transport(), of one end of a pipe."""

    def run(loop):
        ends = pipe_ends()
        connect = loop.connect_write_pipe if writes else loop.connect_read_pipe
        with ends[0], ends[1]:
            transport, _ = loop.run_until_complete(connect(Protocol, ends[writes]))
            before(transport)
            settle(loop)
            peer(ends[not writes])
            yield calls(transport) if calls else turn(loop)
            transport._close(None)
            settle(loop)

    ENTRIES[name] = run


on_pipe("pipe_write", lambda transport: partial(transport.write, b"hello"), writes=True)
on_pipe("pipe_write_much", lambda transport: [partial(transport.write, bytes(1_000_000))] * 2, writes=True)
on_pipe("pipe_write_eof", lambda transport: transport.write_eof, writes=True, before=write_much)
on_pipe("pipe_repr", lambda transport: [partial(repr, transport), partial(transport.get_extra_info, "pipe")])
on_pipe("pipe_received", peer=lambda peer: peer.write(b"hello"))
on_pipe("pipe_end", peer=lambda peer: peer.close())
on_pipe("pipe_lost", writes=True, peer=lambda peer: peer.close())
on_pipe("pipe_lost_much", writes=True, before=write_much, peer=lambda peer: peer.close())
on_pipe("pipe_closed", lambda transport: transport.close)


def reading(name, read, send):
    """Entries for a StreamReader that the transport feeds: with a task that waits, and without one."""

    def run(loop, waits):
        ours, theirs = pair()
        reader, writer = loop.run_until_complete(asyncio.open_connection(sock=ours, limit=1000))
        task = loop.create_task(read(reader)) if waits else None
        with theirs:
            settle(loop)
            send(theirs)
            yield turn(loop)
        if task:
            task.cancel()
        writer.transport.abort()
        settle(loop)

    ENTRIES[f"{name}_waiting"] = partial(run, waits=True)
    ENTRIES[f"{name}_buffered"] = partial(run, waits=False)


reading("stream", lambda reader: reader.read(100), lambda peer: peer.send(b"hello"))
reading("stream_much", lambda reader: reader.readexactly(10_000), lambda peer: peer.send(bytes(5000)))
reading("stream_end", lambda reader: reader.read(100), lambda peer: peer.shutdown(socket.SHUT_WR))


@entry
def accepted(loop):
    server = loop.run_until_complete(loop.create_server(Protocol, "127.0.0.1", 0))
    settle(loop)
    with socket.create_connection(server.sockets[0].getsockname()):
        yield [turn(loop), partial(loop.call_soon, loop.stop), loop._run]
        settle(loop)
    settle(loop)
    server.close()
    settle(loop)


@entry
def server(loop):
    server = loop.run_until_complete(loop.create_server(Protocol, "127.0.0.1", 0))
    yield lambda: (repr(server), server.sockets, server.is_serving(), server.get_loop(), server.close())
    server.close()
    settle(loop)


def spawned(loop, exited, argv=("true", b"x")):
    """A process that ends at once, or with its input, started with all that the core takes."""
    return _core.spawn(
        loop, exited, argv[0], list(argv), ["PATH=/bin"], "/", (-1, -3, -2), (0,), 1 << 7, 0, 0, 0, (), 0
    )


@entry
def spawn(loop):
    yield partial(spawned, loop, nothing)
    settle(loop)


@entry
def process_end(loop):
    process = spawned(loop, nothing)
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield turn(loop)
    settle(loop)


@entry
def process_methods(loop):
    process = spawned(loop, nothing, ("cat",))
    taken = [None]
    yield [lambda: taken.__setitem__(0, process.take_pipe(0)), partial(process.send_signal, 0)]
    if taken[0] is not None:
        os.close(taken[0])
    settle(loop)
