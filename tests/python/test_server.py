"""create_server() and Server: what it listens on, its life, its connections, and what goes wrong."""

import asyncio
import contextvars
import errno
import gc
import os
import re
import resource
import socket
import sys
import weakref

import pytest

from peers import Accepting, Recorder, end, has_ipv6

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
since_312 = pytest.mark.own("asyncio has it since 3.12 or 3.13")


def connect(server, index=0):
    """A plain socket that is connected to a server."""
    return socket.create_connection(server.sockets[index].getsockname()[:2])


def is_refused(address):
    with socket.socket() as sock:
        return sock.connect_ex(address) == errno.ECONNREFUSED


async def ended(server):
    server.close()
    await server.wait_closed()


async def test_serves_connections(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    assert server.is_serving() and server.get_loop() is loop
    clients = [connect(server) for _ in range(3)]
    protocols = await accepting.count(3)
    by_name = {protocol.transport.get_extra_info("peername"): protocol for protocol in protocols}
    for client in clients:
        protocol = by_name[client.getsockname()]
        assert protocol.transport.get_extra_info("sockname") == client.getpeername()
        client.sendall(b"hello")
        assert await protocol.received(5) == b"hello"
        protocol.transport.write(b"back")
        assert client.recv(10) == b"back"
        client.close()
        await protocol.ended
        assert protocol.events == ["made", "eof", "lost"]
    await ended(server)


async def test_connection_has_no_delay_and_is_not_inherited(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    with connect(server):
        (protocol,) = await accepting.count(1)
        sock = protocol.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert not sock.get_inheritable() and sock.gettimeout() == 0
        await end(protocol)
    await ended(server)


async def test_sockets(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    (sock,) = server.sockets
    assert isinstance(server.sockets, tuple) and type(sock).__name__ == "TransportSocket"
    assert sock.getsockname()[0] == "127.0.0.1" and sock.family == socket.AF_INET
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0
    assert repr(server) == f"<Server sockets={server.sockets!r}>"
    await ended(server)
    assert server.sockets == () and not server.is_serving()
    assert repr(server) == "<Server sockets=()>"


async def test_is_a_server_of_asyncios(loop):
    async with await loop.create_server(Recorder, "127.0.0.1", 0) as server:
        assert isinstance(server, asyncio.AbstractServer)
        assert isinstance(server, asyncio.Server)
        assert weakref.ref(server)() is server


async def test_close_refuses_connections_at_once(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    server.close()
    assert is_refused(address)
    again = await loop.create_server(Recorder, *address)
    await ended(again)


async def test_close_twice(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    server.close()
    server.close()
    await server.wait_closed()
    await server.wait_closed()


async def test_connections_in_the_backlog_are_served_or_reset(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    clients = [connect(server) for _ in range(5)]
    server.close()
    for protocol in list(accepting.protocols):
        await protocol.made
        protocol.transport.abort()
    for client in clients:
        with client:
            try:
                assert client.recv(1) == b""
            except ConnectionResetError:
                pass
    await server.wait_closed()


async def test_connections_outlive_the_server(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    with connect(server) as client:
        (protocol,) = await accepting.count(1)
        server.close()
        client.sendall(b"hello")
        assert await protocol.received(5) == b"hello"
        await end(protocol)
    await server.wait_closed()


@since_312
async def test_wait_closed_waits_for_the_close_and_the_connections(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    waiting = asyncio.ensure_future(server.wait_closed())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    with connect(server) as client:
        (protocol,) = await accepting.count(1)
        server.close()
        late = asyncio.ensure_future(server.wait_closed())
        client.sendall(b"x")
        await protocol.received(1)
        assert not waiting.done() and late.done() == (sys.version_info < (3, 12))
        protocol.transport.close()
        await waiting
        await late
        assert protocol.events == ["made", "lost"]


@since_312
async def test_wait_closed_that_is_cancelled(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    waiting = asyncio.ensure_future(server.wait_closed())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await ended(server)


@since_312
@pytest.mark.parametrize("abort", [False, True])
async def test_close_and_abort_clients(loop, abort):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    with connect(server) as one, connect(server) as two:
        protocols = await accepting.count(2)
        server.close()
        if abort:
            server.abort_clients()
        else:
            protocols[0].transport.write(b"last words")
            server.close_clients()
        assert all(protocol.transport.is_closing() for protocol in protocols)
        await server.wait_closed()
        assert all(protocol.events == ["made", "lost"] for protocol in protocols)
        if not abort:
            assert b"last words" in (one.recv(20), two.recv(20))


async def test_serve_forever_until_it_is_cancelled(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0, start_serving=False)
    assert not server.is_serving()
    task = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0)
    assert server.is_serving()
    with connect(server):
        (protocol,) = await accepting.count(1)
        await end(protocol)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.sockets == ()


@pytest.mark.own("before 3.13.2 asyncio leaves the connections open, for which it may wait then")
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_connections_end_with_serve_forever(loop, how):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    task = asyncio.ensure_future(server.serve_forever())
    with connect(server) as peer:
        (protocol,) = await accepting.count(1)
        if how == "cancel":
            task.cancel()
        else:
            server.close()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert protocol.events == ["made", "lost"]
        assert await loop.sock_recv(peer, 1) == b""


async def test_serve_forever_until_the_server_is_closed(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    task = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
        await server.serve_forever()
    server.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RuntimeError, match=r"server <Server sockets=\(\)> is closed"):
        await server.serve_forever()


async def test_start_serving(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
    assert is_refused(server.sockets[0].getsockname())
    await server.start_serving()
    await server.start_serving()
    connect(server).close()
    await ended(server)


@pytest.mark.own("asyncio raises a TypeError")
async def test_start_serving_of_a_closed_server(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
    server.close()
    with pytest.raises(RuntimeError, match=r"server <Server sockets=\(\)> is closed"):
        await server.start_serving()


async def test_async_with(loop):
    async with await loop.create_server(Recorder, "127.0.0.1", 0) as server:
        assert server.is_serving()
    assert server.sockets == ()


# ---- where it listens ----


async def test_several_hosts_have_ports_of_their_own(loop):
    server = await loop.create_server(Recorder, ["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)
    names = [sock.getsockname() for sock in server.sockets]
    assert sorted(name[0] for name in names) == ["127.0.0.1", "127.0.0.2"]
    for index in range(2):
        connect(server, index).close()
    await ended(server)


@pytest.mark.parametrize("host", ["", None])
async def test_all_interfaces(loop, host):
    server = await loop.create_server(Recorder, host, 0)
    assert {sock.getsockname()[0] for sock in server.sockets} <= {"0.0.0.0", "::"}
    await ended(server)


@ipv6
async def test_ipv6_is_kept_apart(loop):
    server = await loop.create_server(Recorder, "::1", 0)
    assert server.sockets[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) != 0
    connect(server).close()
    await ended(server)


async def test_hosts_are_resolved_by_the_loops_getaddrinfo(loop, monkeypatch):
    asked = []

    async def getaddrinfo(host, port, *, family=0, type=0, proto=0, flags=0):
        asked.append((host, port, family, type, flags))
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    server = await loop.create_server(Recorder, ["a.test", "b.test"], 80, family=socket.AF_INET)
    assert asked == [(host, 80, socket.AF_INET, socket.SOCK_STREAM, socket.AI_PASSIVE) for host in ("a.test", "b.test")]
    assert len(server.sockets) == 1
    await ended(server)


async def test_host_without_addresses(loop, monkeypatch):
    async def getaddrinfo(*args, **kwargs):
        return []

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    with pytest.raises(OSError, match=r"^getaddrinfo\('name.test'\) returned empty list$"):
        await loop.create_server(Recorder, "name.test", 80)


async def test_address_in_use(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with pytest.raises(OSError) as caught:
        await loop.create_server(Recorder, *address)
    assert caught.value.errno == errno.EADDRINUSE
    assert f"error while attempting to bind on address {address!r}: " in str(caught.value)
    assert str(caught.value).endswith("address already in use")
    await ended(server)


@pytest.mark.own("asyncio says so since 3.12")
async def test_address_that_is_not_here(loop):
    text = "could not bind on any address out of [('192.0.2.1', 1)]"
    with pytest.raises(OSError, match=f"^{re.escape(text)}$"):
        await loop.create_server(Recorder, "192.0.2.1", 1)
    server = await loop.create_server(Recorder, ["192.0.2.1", "127.0.0.1"], 0)
    assert [sock.getsockname()[0] for sock in server.sockets] == ["127.0.0.1"]
    await ended(server)


async def test_one_bad_address_closes_the_others(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    with pytest.raises(OSError):
        await loop.create_server(Recorder, ["127.0.0.2", "127.0.0.1"], server.sockets[0].getsockname()[1])
    await ended(server)


async def test_reuse_port(loop):
    one = await loop.create_server(Recorder, "127.0.0.1", 0, reuse_port=True)
    two = await loop.create_server(Recorder, *one.sockets[0].getsockname(), reuse_port=True)
    await ended(one)
    await ended(two)


async def test_no_reuse_address(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0, reuse_address=False)
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
    await ended(server)


@pytest.mark.own("asyncio has it since 3.13")
async def test_keep_alive(loop):
    server = await loop.create_server(Recorder, "127.0.0.1", 0, keep_alive=True)
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    await ended(server)


@pytest.mark.parametrize("listens", [False, True])
async def test_given_socket(loop, listens):
    accepting = Accepting()
    sock = socket.socket(proto=socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    if listens:
        sock.listen()
    server = await loop.create_server(accepting, sock=sock)
    assert sock.gettimeout() == 0
    with connect(server):
        (protocol,) = await accepting.count(1)
        accepted = protocol.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        await end(protocol)
    await ended(server)
    assert sock.fileno() == -1


@pytest.mark.parametrize("unix", [False, True])
def test_a_shared_socket_is_served_by_whoever_runs(new_loop, unix, tmp_path):
    """Two loops stand for two processes: one that does not run keeps no connection from the other."""
    first = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    first.bind(str(tmp_path / "socket") if unix else ("127.0.0.1", 0))
    address = first.getsockname()
    servers = []
    for sock in first, first.dup():
        loop, accepting = new_loop(), Accepting()
        create = loop.create_unix_server if unix else loop.create_server
        servers.append((loop, accepting, loop.run_until_complete(create(accepting, sock=sock))))
    for turn in range(6):
        loop, accepting, _ = servers[turn % 2]
        with socket.socket(first.family) as client:
            client.connect(address)
            protocols = loop.run_until_complete(asyncio.wait_for(accepting.count(turn // 2 + 1), 60))
        loop.run_until_complete(protocols[-1].ended)
    for loop, _, server in servers:
        loop.run_until_complete(ended(server))


async def test_connections_that_were_made_before(loop):
    accepting = Accepting()
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        with socket.create_connection(sock.getsockname()):
            server = await loop.create_server(accepting, sock=sock)
            (protocol,) = await accepting.count(1)
            accepted = protocol.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            await end(protocol)
            await ended(server)


async def test_socket_that_cannot_listen(loop):
    with socket.socket() as one, socket.socket() as two:
        for sock in one, two:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        two.bind(one.getsockname())
        one.listen()
        with pytest.raises(OSError) as caught:
            await loop.create_server(Recorder, sock=two)
        assert caught.value.errno == errno.EADDRINUSE
        assert two.fileno() != -1


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ({}, ValueError, "Neither host/port nor sock were specified"),
        ({"ssl": True, "port": 0}, TypeError, "ssl argument must be an SSLContext or None"),
        ({"port": 0, "ssl_handshake_timeout": 1}, ValueError, "ssl_handshake_timeout is only meaningful with ssl"),
        ({"port": 0, "ssl_shutdown_timeout": 1}, ValueError, "ssl_shutdown_timeout is only meaningful with ssl"),
    ],
)
async def test_arguments_that_do_not_go_together(loop, arguments, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        await loop.create_server(Recorder, **arguments)


async def test_sockets_that_will_not_do(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match=f"^{re.escape(f'A Stream Socket was expected, got {sock!r}')}$"):
            await loop.create_server(Recorder, sock=sock)
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="^host/port and sock can not be specified at the same time$"):
            await loop.create_server(Recorder, "127.0.0.1", 0, sock=sock)


# ---- connections ----


async def test_each_connection_has_a_context_of_its_own(loop):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    class Protocol(Recorder):
        def __init__(self):
            super().__init__()
            seen.append(("factory", variable.get()))
            variable.set(variable.get() + 1)

        def connection_made(self, transport):
            super().connection_made(transport)
            seen.append(("made", variable.get()))

        def connection_lost(self, error):
            super().connection_lost(error)
            seen.append(("lost", variable.get()))

    protocols = []
    variable.set(1)
    server = await loop.create_server(lambda: protocols.append(Protocol()) or protocols[-1], "127.0.0.1", 0)
    variable.set(100)
    for _ in range(2):
        connect(server).close()
        while not protocols:
            await asyncio.sleep(0)
        await protocols.pop().ended
    await ended(server)
    assert seen == [("factory", 1), ("made", 2), ("lost", 2)] * 2


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


@pytest.mark.own("asyncio reports it in debug mode only, and leaves the socket to the garbage collector")
@pytest.mark.parametrize("debug", [False, True])
async def test_factory_that_raises_is_reported(loop, contexts, debug):
    def factory():
        if not failures:
            return Recorder()
        raise failures.pop()

    failures = [ZeroDivisionError("once")]
    loop.set_debug(debug)
    server = await loop.create_server(factory, "127.0.0.1", 0)
    with connect(server):
        await until(lambda: contexts)
    (context,) = contexts
    assert context["message"] == "Error on transport creation for incoming connection"
    assert isinstance(context["exception"], ZeroDivisionError) and "protocol" not in context
    with connect(server) as client:
        client.close()
    await ended(server)


@pytest.mark.own("asyncio leaves the socket to the garbage collector")
async def test_factory_that_raises_closes_the_connection(loop, contexts):
    def factory():
        raise ZeroDivisionError

    server = await loop.create_server(factory, "127.0.0.1", 0)
    with connect(server) as client:
        client.setblocking(False)
        assert await loop.sock_recv(client, 1) == b""
    await ended(server)


@pytest.mark.own("asyncio leaves the socket to the garbage collector")
@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_factory_that_ends_the_run(loop, exception):
    def factory():
        raise exception

    server = loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))
    with connect(server):
        with pytest.raises(exception):
            loop.run_forever()
    loop.run_until_complete(ended(server))


@pytest.mark.own("asyncio gives up a connection that it has accepted")
async def test_factory_that_closes_the_server(loop):
    made = []

    def factory():
        made.append(Recorder())
        server.close()
        return made[-1]

    server = await loop.create_server(factory, "127.0.0.1", 0)
    with connect(server) as client:
        await until(lambda: made)
        assert is_refused(client.getpeername())
        await end(made[0])
    await server.wait_closed()


@pytest.fixture
def few_descriptors(loop):
    """Takes all descriptors that are left of a few, and returns them."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []

    def take():
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            return taken

    resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 50, limits[1]))
    os.close(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 50)
    yield take
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for descriptor in taken:
        os.close(descriptor)


async def test_lack_of_descriptors_is_reported_and_over_in_time(loop, contexts, few_descriptors):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    name = server.sockets[0].getsockname()
    with socket.socket() as client:
        taken = few_descriptors()
        client.connect(name)
        await until(lambda: contexts)
        assert contexts[0]["message"] == "socket.accept() out of system resource"
        assert contexts[0]["exception"].errno == errno.EMFILE
        assert contexts[0]["socket"].getsockname() == name
        while taken:
            os.close(taken.pop())
        (protocol,) = await accepting.count(1)
        await end(protocol)
    await ended(server)


@pytest.mark.own("asyncio's server has no such method")
async def test_lack_of_memory_is_reported_as_lack_of_resources(loop, contexts):
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    server._accept_failed(0, MemoryError())
    assert contexts[0]["message"] == "socket.accept() out of system resource"
    assert isinstance(contexts[0]["exception"], MemoryError)
    await ended(server)


@pytest.mark.own("asyncio's server does so by itself")
def test_an_end_that_cannot_be_told_leaves_the_run(loop, monkeypatch):
    def fail(server):
        raise MemoryError

    accepting = Accepting()
    server = loop.run_until_complete(loop.create_server(accepting, "127.0.0.1", 0))
    with socket.create_connection(server.sockets[0].getsockname()):
        loop.run_until_complete(accepting.count(1))
        monkeypatch.setattr(type(server), "_wakeup", fail)
        server._stop()
    with pytest.raises(MemoryError):
        loop.run_forever()
    monkeypatch.undo()
    server.close()


# ---- who refers to whom ----


async def test_an_abandoned_server_goes_on(loop):
    accepting = Accepting()
    address = (await loop.create_server(accepting, "127.0.0.1", 0)).sockets[0].getsockname()
    gc.collect()
    with socket.create_connection(address):
        (protocol,) = await accepting.count(1)
        await end(protocol)
    (server,) = [found for found in gc.get_objects() if isinstance(found, asyncio.AbstractServer) and found.sockets]
    await ended(server)


async def test_a_server_that_has_ended_is_freed(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    with connect(server):
        (protocol,) = await accepting.count(1)
        await end(protocol)
    await ended(server)
    weak, factory = weakref.ref(server), weakref.ref(accepting)
    del server, accepting, protocol
    await until(lambda: gc.collect() >= 0 and weak() is None and factory() is None)


@since_312
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
async def test_a_connection_that_nobody_refers_to(loop):
    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            transport.pause_reading()
            paused.append(True)

    paused = []
    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    with connect(server):
        while not paused:
            await asyncio.sleep(0)
        server.close_clients()
        await ended(server)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_is_closed_under_a_server(new_loop):
    loop = new_loop()

    async def main():
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        client = connect(server)
        await accepting.count(1)
        return server, client

    server, client = loop.run_until_complete(main())
    loop.close()
    server.close()
    client.close()
    del server
    gc.collect()


async def test_many_connections(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0, backlog=200)
    clients = [connect(server) for _ in range(150)]
    protocols = await accepting.count(150)
    for client in clients:
        client.close()
    for protocol in protocols:
        await protocol.ended
    await ended(server)


async def test_start_server_of_streams(loop):
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    await ended(server)


def test_serves_in_two_runs(loop):
    accepting = []

    async def begin():
        accepting.append(Accepting())
        return await loop.create_server(accepting[0], "127.0.0.1", 0)

    server = loop.run_until_complete(begin())

    async def use(number):
        with connect(server):
            protocols = await accepting[0].count(number)
            await end(protocols[-1])

    loop.run_until_complete(use(1))
    loop.run_until_complete(use(2))
    loop.run_until_complete(ended(server))


def test_close_outside_of_a_run(loop):
    server = loop.run_until_complete(loop.create_server(Recorder, "127.0.0.1", 0))
    address = server.sockets[0].getsockname()
    server.close()
    assert is_refused(address)
    loop.run_until_complete(server.wait_closed())
