"""create_connection(): addresses, sockets, errors and their texts, what is left when it fails or is cancelled."""

import asyncio
import contextvars
import errno
import re
import socket
import sys

import pytest

from peers import Recorder, end, has_ipv6, listening, refusing

WITHOUT_ALL_ERRORS = sys.version_info < (3, 12)
CLOSES_GIVEN_SOCKETS = sys.version_info >= (3, 14)
ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


def infos_of(*addresses):
    """What getaddrinfo() tells of these addresses."""
    families = {2: socket.AF_INET, 4: socket.AF_INET6}
    return [(families[len(a)], socket.SOCK_STREAM, socket.IPPROTO_TCP, "", a) for a in addresses]


def resolving(loop, monkeypatch, *addresses):
    """Have the loop resolve every name to these addresses; return what it was asked."""
    asked = []

    async def getaddrinfo(host, port, *, family=0, type=0, proto=0, flags=0):
        asked.append((host, port, family, type, proto, flags))
        return infos_of(*addresses)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    return asked


async def accept(loop, listener):
    listener.setblocking(False)
    connection, _ = await loop.sock_accept(listener)
    return connection


@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1", "localhost"])
async def test_connects_and_exchanges_data(loop, host):
    with listening() as listener:
        transport, protocol = await loop.create_connection(Recorder, host, listener.getsockname()[1], family=socket.AF_INET)
        with listener.accept()[0] as peer:
            assert protocol.events == ["made"] and protocol.transport is transport
            assert transport.get_extra_info("peername") == listener.getsockname()
            assert transport.get_extra_info("sockname") == peer.getpeername()
            transport.write(b"to")
            assert peer.recv(10) == b"to"
            peer.sendall(b"back")
            assert await protocol.received(4) == b"back"
            await end(protocol)
            assert peer.recv(10) == b""
    assert protocol.events == ["made", "lost"] and protocol.ended.result() is None


async def test_socket_has_no_delay_and_does_not_block(loop):
    with listening() as listener:
        transport, protocol = await loop.create_connection(Recorder, *listener.getsockname())
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert not sock.get_inheritable() and sock.gettimeout() == 0
        await end(protocol)


@ipv6
async def test_connects_by_ipv6(loop):
    with listening(socket.AF_INET6, "::1") as listener:
        port = listener.getsockname()[1]
        transport, protocol = await loop.create_connection(Recorder, "::1", port)
        assert transport.get_extra_info("peername")[:2] == ("::1", port)
        await end(protocol)


async def test_port_may_be_text(loop):
    with listening() as listener:
        _, protocol = await loop.create_connection(Recorder, "127.0.0.1", str(listener.getsockname()[1]))
        await end(protocol)


async def test_names_are_resolved_by_the_loops_getaddrinfo(loop, monkeypatch):
    with listening() as listener:
        asked = resolving(loop, monkeypatch, listener.getsockname())
        _, protocol = await loop.create_connection(
            Recorder, "name.test", 80, family=socket.AF_INET, proto=socket.IPPROTO_TCP, flags=socket.AI_ADDRCONFIG
        )
        assert asked == [("name.test", 80, socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_ADDRCONFIG)]
        await end(protocol)


async def test_numeric_address_is_not_looked_up(loop, monkeypatch):
    with listening() as listener:
        asked = resolving(loop, monkeypatch)
        _, protocol = await loop.create_connection(Recorder, *listener.getsockname())
        assert not asked
        await end(protocol)


async def test_replaced_sock_connect_is_asked(loop, monkeypatch):
    original, asked = loop.sock_connect, []

    async def sock_connect(sock, address):
        asked.append(address)
        await original(sock, address)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    with listening() as listener:
        _, protocol = await loop.create_connection(Recorder, *listener.getsockname())
        assert asked == [listener.getsockname()]
        await end(protocol)


async def test_name_without_addresses(loop, monkeypatch):
    resolving(loop, monkeypatch)
    with pytest.raises(OSError, match=r"^getaddrinfo\(\) returned empty list$"):
        await loop.create_connection(Recorder, "name.test", 80)


async def test_error_of_the_lookup(loop):
    with pytest.raises(socket.gaierror):
        await loop.create_connection(Recorder, "name.invalid", 80, flags=socket.AI_NUMERICHOST)


async def test_refused(loop):
    with refusing() as address:
        with pytest.raises(ConnectionRefusedError) as caught:
            await loop.create_connection(Recorder, *address)
    assert caught.value.errno == errno.ECONNREFUSED
    assert str(caught.value) == f"[Errno {errno.ECONNREFUSED}] Connect call failed {address!r}"


async def test_next_address_is_tried(loop, monkeypatch):
    with refusing() as bad, listening() as listener:
        resolving(loop, monkeypatch, bad, listener.getsockname())
        transport, protocol = await loop.create_connection(Recorder, "name.test", 80)
        assert transport.get_extra_info("peername") == listener.getsockname()
        await end(protocol)


async def test_several_errors_are_told_together(loop, monkeypatch):
    with refusing() as one, refusing() as two:
        resolving(loop, monkeypatch, one, two)
        with pytest.raises(OSError) as caught:
            await loop.create_connection(Recorder, "name.test", 80)
        one_text, two_text = (f"[Errno {errno.ECONNREFUSED}] Connect call failed {a!r}" for a in (one, two))
        assert str(caught.value) == f"Multiple exceptions: {one_text}, {two_text}"


async def test_errors_of_one_text_are_told_once(loop, monkeypatch):
    with refusing() as one:
        resolving(loop, monkeypatch, one, one)
        with pytest.raises(ConnectionRefusedError, match=f"^.Errno {errno.ECONNREFUSED}. Connect call failed"):
            await loop.create_connection(Recorder, "name.test", 80)


@pytest.mark.skipif(WITHOUT_ALL_ERRORS, reason="asyncio has it since 3.12")
async def test_all_errors(loop, monkeypatch):
    await check_all_errors(loop, monkeypatch)


@pytest.mark.own("asyncio has it since 3.12")
async def test_all_errors_in_all_versions(loop, monkeypatch):
    await check_all_errors(loop, monkeypatch)


async def check_all_errors(loop, monkeypatch):
    with refusing() as one, refusing() as two:
        with pytest.raises(ExceptionGroup, match="^create_connection failed") as caught:
            await loop.create_connection(Recorder, *one, all_errors=True)
        assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError]
        resolving(loop, monkeypatch, one, two)
        with pytest.raises(ExceptionGroup) as caught:
            await loop.create_connection(Recorder, "name.test", 80, all_errors=True)
        assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError] * 2


async def test_other_errors_end_the_attempt(loop, monkeypatch):
    async def sock_connect(sock, address):
        raise ZeroDivisionError

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    with refusing() as one:
        resolving(loop, monkeypatch, one, one)
        with pytest.raises(ZeroDivisionError):
            await loop.create_connection(Recorder, "name.test", 80)


@pytest.mark.parametrize("failure", [ZeroDivisionError, OSError(errno.EPERM, "no")])
@pytest.mark.own("asyncio does that since 3.13")
async def test_a_close_that_fails_hides_no_error(loop, monkeypatch, failure):
    class Socket(socket.socket):
        def close(self):
            super().close()
            raise OSError(errno.EIO, "cannot close")

    async def sock_connect(sock, address):
        raise failure

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    monkeypatch.setattr(socket, "socket", Socket)
    with pytest.raises((ZeroDivisionError, OSError), match="^$|no"):
        await loop.create_connection(Recorder, "127.0.0.1", 80, local_addr=("127.0.0.1", 0))


async def test_interleave(loop, monkeypatch):
    asked = []

    async def sock_connect(sock, address):
        asked.append(address[0])
        raise OSError("no")

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    four, six = [(f"127.0.0.{i}", 1) for i in range(1, 4)], [(f"::{i}", 1, 0, 0) for i in range(1, 3)]
    resolving(loop, monkeypatch, *six, *four)
    with pytest.raises(OSError):
        await loop.create_connection(Recorder, "name.test", 80, interleave=1)
    assert asked == ["::1", "127.0.0.1", "::2", "127.0.0.2", "127.0.0.3"]
    asked.clear()
    with pytest.raises(OSError):
        await loop.create_connection(Recorder, "name.test", 80, interleave=2)
    assert asked == ["::1", "::2", "127.0.0.1", "127.0.0.2", "127.0.0.3"]


async def test_local_addr(loop):
    with listening() as listener:
        transport, protocol = await loop.create_connection(Recorder, *listener.getsockname(), local_addr=("127.0.0.2", 0))
        assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
        await end(protocol)


async def test_local_addr_in_use(loop):
    with listening() as listener, listening() as other:
        local = other.getsockname()
        with pytest.raises(OSError) as caught:
            await loop.create_connection(Recorder, *listener.getsockname(), local_addr=local)
        text = str(caught.value)
        assert f"error while attempting to bind on address {local!r}: " in text
        assert text.endswith("address already in use")
        assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio 3.11 connects from any address then")
async def test_local_addr_of_another_family(loop, monkeypatch):
    with listening() as listener:
        with pytest.raises(OSError, match="no matching local address with family=.*AF_INET.* found"):
            await loop.create_connection(Recorder, *listener.getsockname(), local_addr=("::1", 0))


async def test_given_socket(loop):
    with listening() as listener:
        sock = socket.create_connection(listener.getsockname())
        transport, protocol = await loop.create_connection(Recorder, sock=sock)
        with listener.accept()[0] as peer:
            transport.write(b"hello")
            assert peer.recv(10) == b"hello"
            assert sock.gettimeout() == 0
            await end(protocol)
            assert sock.fileno() == -1


async def test_given_unix_socket(loop):
    here, there = socket.socketpair()
    with there:
        transport, protocol = await loop.create_connection(Recorder, sock=here)
        there.sendall(b"hello")
        assert await protocol.received(5) == b"hello"
        await end(protocol)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({}, "host and port was not specified and no sock specified"),
        ({"host": "h", "server_hostname": "h"}, "server_hostname is only meaningful with ssl"),
        ({"ssl": True, "port": 1}, "You must set server_hostname when using ssl without a host"),
        ({"ssl": True, "host": ""}, "You must set server_hostname when using ssl without a host"),
        ({"host": "h", "port": 1, "ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only meaningful with ssl"),
        ({"host": "h", "port": 1, "ssl_shutdown_timeout": 1}, "ssl_shutdown_timeout is only meaningful with ssl"),
    ],
)
async def test_arguments_that_do_not_go_together(loop, arguments, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        await loop.create_connection(Recorder, **arguments)


async def test_socket_and_address(loop):
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="^host/port and sock can not be specified at the same time$"):
            await loop.create_connection(Recorder, "127.0.0.1", 1, sock=sock)


async def test_datagram_socket(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match=f"^{re.escape(f'A Stream Socket was expected, got {sock!r}')}$"):
            await loop.create_connection(Recorder, sock=sock)


async def test_factory_runs_after_the_connect_and_in_the_callers_context(loop):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    class Protocol(Recorder):
        def __init__(self):
            super().__init__()
            seen.append(variable.get())

        def connection_made(self, transport):
            super().connection_made(transport)
            seen.append(variable.get())
            variable.set(2)

    variable.set(1)
    with listening() as listener:
        _, protocol = await loop.create_connection(Protocol, *listener.getsockname())
        await end(protocol)
    assert seen == [1, 1] and variable.get() == 1


@pytest.mark.own("asyncio leaves the socket to the garbage collector, with a warning")
async def test_factory_that_raises(loop):
    def factory():
        raise ZeroDivisionError

    with listening() as listener:
        with pytest.raises(ZeroDivisionError):
            await loop.create_connection(factory, *listener.getsockname())
        with listener.accept()[0] as peer:
            assert peer.recv(1) == b""


async def test_factory_that_raises_on_a_given_socket(loop):
    def factory():
        raise ZeroDivisionError

    here, there = socket.socketpair()
    with here, there:
        with pytest.raises(ZeroDivisionError):
            await loop.create_connection(factory, sock=here)
        assert (here.fileno() == -1) == CLOSES_GIVEN_SOCKETS


@pytest.mark.own("asyncio closes the socket, and with it what waits")
async def test_no_protocol_on_a_socket_where_something_waits(loop):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        receiving = loop.create_task(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        with pytest.raises(AttributeError, match="connection_made"):
            await loop.create_connection(object, sock=ours)
        if CLOSES_GIVEN_SOCKETS:
            assert ours.fileno() == -1
            receiving.cancel()
            return
        theirs.send(b"data")
        assert await receiving == b"data"


async def test_cancelled_while_it_connects(loop):
    with listening(backlog=0) as listener:
        # The queue is full after these: the next attempt has to wait.
        fillers = [asyncio.ensure_future(loop.create_connection(Recorder, *listener.getsockname())) for _ in range(4)]
        await asyncio.wait(fillers, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(5):
            await asyncio.sleep(0)
        waiting = [task for task in fillers if not task.done()]
        assert waiting
        for task in waiting:
            task.cancel()
        await asyncio.wait(fillers)
        assert all(task.cancelled() for task in waiting)
        for task in fillers:
            if not task.cancelled():
                await end(task.result()[1])


async def test_cancelled_before_connection_made_is_awaited(loop):
    made = []

    class Protocol(Recorder):
        def __init__(self):
            super().__init__()
            made.append(self)
            task.cancel()

    with listening() as listener:
        task = asyncio.ensure_future(loop.create_connection(Protocol, *listener.getsockname()))
        with pytest.raises(asyncio.CancelledError):
            await task
        await made[0].ended
        assert made[0].events == ["made", "lost"]


async def test_cancelled_while_it_resolves(loop, monkeypatch):
    asked = asyncio.Event()

    async def getaddrinfo(*args, **kwargs):
        asked.set()
        await asyncio.Future()

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    task = asyncio.ensure_future(loop.create_connection(Recorder, "name.test", 80))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.own("asyncio leaves half a transport behind")
@pytest.mark.parametrize("when", ["factory", "connection_made"])
def test_a_protocol_that_closes_the_loop(loop_factory, when):
    """Only by hand can a coroutine run outside a run, in which a loop cannot be closed."""

    class Protocol(asyncio.Protocol):
        @property
        def connection_made(self):
            if when == "connection_made":
                loop.close()
            return super().connection_made

    def factory():
        if when == "factory":
            loop.close()
        return Protocol()

    loop = loop_factory()
    left, right = socket.socketpair()
    with left, right:
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            loop.create_connection(factory, sock=left).send(None)
