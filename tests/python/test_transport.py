"""A transport's life: what it is, what it tells, in which order, and how it ends."""

import asyncio
import contextvars
import gc
import logging
import os
import re
import socket
import sys
import warnings
import weakref

import pytest

from transports import Buffered, Recorder, connect, fill, receive, tcp_pair

variable = contextvars.ContextVar("variable", default="none")


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


# ---- what it is ----


async def test_it_is_a_transport_of_asyncio(loop):
    transport, peer = connect(loop, Recorder())
    with peer:
        assert isinstance(transport, asyncio.Transport)
        assert transport._loop is loop
        assert transport.is_reading() and not transport.is_closing() and transport.can_write_eof()
        assert transport.get_write_buffer_limits() == (16384, 65536)
        assert transport.get_write_buffer_size() == 0
        transport.anything = 1
        assert vars(transport)["anything"] == 1
        assert weakref.ref(transport)() is transport
        transport.abort()
        await turns(2)


async def test_repr_tells_its_state(loop):
    protocol = Recorder(keep_open=True)
    transport, peer = connect(loop, protocol)
    name = type(transport).__name__
    fd = transport.get_extra_info("socket").fileno()
    with peer:
        await protocol.wait_for("connection_made")
        await turns(2)
        assert repr(transport) == f"<{name} fd={fd} read=polling write=<idle, bufsize=0>>"
        transport.pause_reading()
        await fill(transport)
        size = transport.get_write_buffer_size()
        assert repr(transport) == f"<{name} fd={fd} read=idle write=<polling, bufsize={size}>>"
        transport.close()
        assert repr(transport) == f"<{name} closing fd={fd} read=idle write=<polling, bufsize={size}>>"
        transport.abort()
        await protocol.wait_for("connection_lost")
        assert repr(transport) == f"<{name} closed fd={fd}>"


async def test_extra_info(loop):
    ours, theirs = tcp_pair()
    names = ours.getsockname(), ours.getpeername()
    ours.setblocking(False)
    protocol = Recorder()
    transport = loop._make_socket_transport(ours, protocol, extra={"mine": 1})
    with theirs:
        sock = transport.get_extra_info("socket")
        assert sock.fileno() == ours.fileno() and sock is transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert transport.get_extra_info("sockname") == names[0]
        assert transport.get_extra_info("peername") == names[1]
        assert transport.get_extra_info("mine") == 1
        assert transport.get_extra_info("none of these") is None
        assert transport.get_extra_info("none of these", default=2) == 2
        assert transport.get_extra_info("\ud800", 3) == 3  # which no UTF-8 has
        assert set(transport._extra) == {"socket", "sockname", "peername", "mine"}
        transport.close()
        await protocol.wait_for("connection_lost")
        await turns(1)
        assert ours.fileno() == sock.fileno() == -1
        assert transport.get_extra_info("peername") == names[1]


async def test_extra_info_that_nobody_asked_for_in_time(loop):
    ours, theirs = tcp_pair()
    names = ours.getsockname(), ours.getpeername()
    ours.setblocking(False)
    protocol = Recorder()
    transport = loop._make_socket_transport(ours, protocol, extra={"peername": "theirs"})
    theirs.close()
    await protocol.wait_for("connection_lost")
    await turns(1)
    assert transport.get_extra_info("socket").fileno() == -1
    assert transport.get_extra_info("sockname") == names[0]
    assert transport.get_extra_info("peername") == "theirs"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_names_of_families(loop, address):
    try:
        listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError:
        pytest.skip(f"no {address} here")
    with listener:
        ours = socket.create_connection(listener.getsockname()[:2])
        theirs = listener.accept()[0]
    names = ours.getsockname(), ours.getpeername()
    ours.setblocking(False)
    transport = loop._make_socket_transport(ours, Recorder())
    with theirs:
        assert (transport.get_extra_info("sockname"), transport.get_extra_info("peername")) == names
        transport.abort()
        await turns(2)


@pytest.mark.parametrize("abstract", [False, True])
async def test_names_of_unix_sockets(loop, tmp_path, abstract):
    path = b"\0ringport-test-" + str(tmp_path).encode() if abstract else str(tmp_path / "s")
    long = f"\0ringport-test-long-{os.getpid():060}".encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        ours = socket.socket(socket.AF_UNIX)
        ours.bind(long)
        ours.connect(path)
        theirs = listener.accept()[0]
    ours.setblocking(False)
    transport = loop._make_socket_transport(ours, Recorder())
    with theirs:
        assert transport.get_extra_info("sockname") == long
        assert transport.get_extra_info("peername") == path
        transport.abort()
        await turns(2)


# ---- the order of things ----


async def test_begins_in_the_order_of_asyncio(loop):
    protocol = Recorder()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.send(b"early")
    waiter = loop.create_future()
    waiter.add_done_callback(lambda f: protocol.note("waiter"))
    with peer:
        loop.call_soon(protocol.note, "before")
        transport = loop._make_socket_transport(ours, protocol, waiter)
        loop.call_soon(protocol.note, "after")
        assert protocol.events == []
        await turns(1)
        assert protocol.names == ["before", "connection_made", "after"]
        await waiter
        await protocol.wait_for("data_received")
        assert protocol.names == ["before", "connection_made", "after", "waiter", "data_received"]
        assert protocol.events[-1] == ("data_received", b"early")
        transport.abort()
        await turns(2)


async def test_a_waiter_that_was_cancelled_is_left_alone(loop):
    waiter = loop.create_future()
    transport, peer = connect(loop, Recorder(), waiter=waiter)
    waiter.cancel()
    with peer:
        await turns(3)
        transport.abort()
        await turns(2)


async def test_data_then_the_end(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    peer.send(b"one")
    await protocol.wait_for("data_received")
    peer.send(b"two")
    peer.close()
    await protocol.wait_for("connection_lost")
    assert protocol.events == [
        ("connection_made",),
        ("data_received", b"one"),
        ("data_received", b"two"),
        ("eof_received",),
        ("connection_lost", None),
    ]
    assert transport.get_protocol() is None and transport._loop is None


async def test_eof_received_may_keep_it_open(loop):
    protocol = Recorder(keep_open=True)
    transport, peer = connect(loop, protocol)
    with peer:
        peer.shutdown(socket.SHUT_WR)
        await protocol.wait_for("eof_received")
        await turns(3)
        assert not transport.is_closing()
        transport.write(b"still here")
        assert await receive(peer, 10) == b"still here"
        transport.close()
        await protocol.wait_for("connection_lost")
        assert protocol.names.count("eof_received") == 1


async def test_a_reset_is_told_as_an_exception(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol, tcp_pair)
    await protocol.wait_for("connection_made")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    await protocol.wait_for("connection_lost")
    assert protocol.names == ["connection_made", "connection_lost"]
    assert isinstance(protocol.events[-1][1], ConnectionResetError)


async def test_close_is_told_in_the_next_turn(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        await turns(2)
        loop.call_soon(protocol.note, "before")
        transport.close()
        transport.close()
        transport.abort()
        loop.call_soon(protocol.note, "after")
        assert transport.is_closing() and not transport.is_reading()
        await turns(2)
        assert protocol.events[1:] == [("before",), ("connection_lost", None), ("after",)]
        assert await receive(peer, 1) == b""


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_peer_sees_the_end_at_once(loop, how):
    """Before what comes next is called, which may hold up the loop until the peer has seen it."""
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        await turns(2)
        seen = loop.create_future()

        def look():
            try:
                seen.set_result((peer.recv(1), protocol.names[-1]))
            except OSError as error:
                seen.set_exception(error)

        getattr(transport, how)()
        loop.call_soon(look)
        assert await seen == (b"", "connection_lost")


async def test_abort_lets_the_peer_see_an_end(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol, tcp_pair)
    with peer:
        await turns(2)
        transport.write(b"last")
        transport.abort()
        assert await receive(peer, 10) == b"last"
        await protocol.wait_for("connection_lost")


async def test_force_close_tells_its_exception(loop):
    error = LookupError("mine")
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        transport._force_close(error)
        transport._force_close(ValueError("too late"))
        await protocol.wait_for("connection_lost")
        assert protocol.events == [("connection_made",), ("connection_lost", error)]


async def test_close_before_connection_made(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        transport.close()
        await protocol.wait_for("connection_lost")
        assert protocol.names == ["connection_made", "connection_lost"]


async def test_its_socket_may_be_closed_by_its_owner_at_once(loop):
    protocol = Recorder()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    with peer:
        with ours:
            transport = loop._make_socket_transport(ours, protocol)
            await protocol.wait_for("connection_made")
            transport.write(b"x")
            transport.close()
        with socket.socket() as other:  # which may have the descriptor's number now
            await protocol.wait_for("connection_lost")
            await turns(2)
            assert other.fileno() >= 0 and other.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    assert ours.fileno() == -1


# ---- pausing ----


async def test_what_was_scheduled_comes_before_what_is_received(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        await turns(3)
        transport.pause_reading()
        peer.send(b"x")
        await turns(3)
        transport.resume_reading()
        loop.call_soon(protocol.note, "scheduled")
        await protocol.wait_for("data_received")
        assert protocol.names == ["connection_made", "scheduled", "data_received"]
        transport.abort()
        await turns(2)


async def test_one_event_has_it_receive_once(loop):
    class Scheduling(Buffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            loop.call_soon(self.note, "scheduled")

    protocol = Scheduling(size=1)
    transport, peer = connect(loop, protocol)
    with peer:
        peer.send(b"abc")
        while len(protocol.events) < 8:
            await protocol.next("buffer_updated")
        names = [name for name in protocol.names if name != "get_buffer"]
        assert names[:6] == ["connection_made"] + ["buffer_updated", "scheduled"] * 2 + ["buffer_updated"]
        transport.abort()
        await turns(2)


@pytest.mark.parametrize("kind", [Recorder, Buffered])
async def test_nothing_comes_while_reading_is_paused(loop, kind):
    protocol = kind()
    transport, peer = connect(loop, protocol)
    with peer:
        await turns(3)
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        peer.send(b"later")
        await turns(5)
        assert protocol.names == ["connection_made"]
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.wait_for("data_received" if kind is Recorder else "buffer_updated")
        assert protocol.events[-1][1] == b"later"
        transport.close()
        transport.pause_reading()
        transport.resume_reading()
        assert not transport.is_reading()
        await protocol.wait_for("connection_lost")


async def test_paused_inside_data_received_the_end_is_held_back(loop):
    class Pausing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    protocol = Pausing()
    transport, peer = connect(loop, protocol)
    peer.send(b"x")
    peer.close()
    await protocol.wait_for("data_received")
    await turns(5)
    assert protocol.names == ["connection_made", "data_received"]
    transport.resume_reading()
    await protocol.wait_for("connection_lost")
    assert protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]


# ---- protocols ----


async def test_methods_are_looked_up_at_each_event(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        peer.send(b"1")
        await protocol.wait_for("data_received")
        protocol.data_received = lambda data: protocol.note("mine", data)
        peer.send(b"2")
        await protocol.wait_for("mine")
        assert protocol.events[1:] == [("data_received", b"1"), ("mine", b"2")]
        transport.abort()
        await turns(2)


async def test_set_protocol_changes_its_kind(loop):
    first, second, third = Recorder(), Buffered(), Recorder()
    transport, peer = connect(loop, first)
    with peer:
        peer.send(b"1")
        await first.wait_for("data_received")
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        peer.send(b"2")
        await second.wait_for("buffer_updated")
        transport.set_protocol(third)
        peer.send(b"3")
        await third.wait_for("data_received")
        transport.close()
        await third.wait_for("connection_lost")
        assert first.names == ["connection_made", "data_received"]
        assert second.names == ["get_buffer", "buffer_updated"]
        assert third.names == ["data_received", "connection_lost"]


async def test_set_protocol_by_the_end_of_the_former(loop):
    class First(asyncio.Protocol):
        def __del__(self):
            transport.set_protocol(last)

    last = Recorder()
    transport, peer = connect(loop, First())
    with peer:
        await turns(3)
        transport.set_protocol(Buffered())
        assert transport.get_protocol() is last
        peer.send(b"x")
        await last.wait_for("data_received")
        transport.close()
        await last.wait_for("connection_lost")


async def test_set_protocol_before_the_beginning(loop):
    first, second = Recorder(), Recorder()
    transport, peer = connect(loop, first)
    transport.set_protocol(second)
    peer.send(b"x")
    peer.close()
    await second.wait_for("connection_lost")
    assert first.names == ["connection_made"]
    assert second.names == ["data_received", "eof_received", "connection_lost"]


# ---- errors of protocols ----


def failing(name, exception):
    def method(self, *args):
        raise exception

    return type("Failing", (Recorder,), {name: method})()


@pytest.mark.parametrize("name", ["data_received", "eof_received"])
@pytest.mark.parametrize("exception", [ValueError("mine"), asyncio.CancelledError("mine")])
def test_an_exception_ends_the_connection(loop, run, name, exception):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    protocol = failing(name, exception)

    async def main():
        transport, peer = connect(loop, protocol)
        peer.send(b"x")
        peer.close()
        await protocol.wait_for("connection_lost")
        assert contexts == [
            {
                "message": f"Fatal error: protocol.{name}() call failed.",
                "exception": exception,
                "transport": transport,
                "protocol": protocol,
            }
        ]
        assert protocol.events[-1] == ("connection_lost", exception)

    run(main())


async def test_an_oserror_of_a_protocol_is_not_reported(loop):
    error = ConnectionRefusedError("mine")
    protocol = failing("data_received", error)
    transport, peer = connect(loop, protocol)
    with peer:
        peer.send(b"x")
        await protocol.wait_for("connection_lost")
        assert protocol.events == [("connection_made",), ("connection_lost", error)]


def test_connection_made_may_fail(loop, run):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    error = ValueError("mine")
    protocol = failing("connection_made", error)

    async def main():
        transport, peer = connect(loop, protocol)
        with peer:
            peer.send(b"x")
            await protocol.wait_for("data_received")
            assert contexts[0]["exception"] is error
            assert contexts[0]["message"].startswith("Exception in callback ")
            assert isinstance(contexts[0]["handle"], asyncio.Handle)
            transport.abort()
            await protocol.wait_for("connection_lost")

    run(main())


def test_connection_lost_may_fail(loop, run):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    error = ValueError("mine")

    async def main():
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        transport = loop._make_socket_transport(ours, failing("connection_lost", error))
        with peer:
            transport.close()
            await turns(3)
            assert ours.fileno() == -1

    run(main())
    assert len(contexts) == 1 and contexts[0]["exception"] is error
    assert "_call_connection_lost(" in contexts[0]["message"]


@pytest.mark.own("asyncio leaves what it has made by then to the collector, which warns")
async def test_a_protocol_without_connection_made_is_refused(loop):
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    with ours, peer:
        with pytest.raises(AttributeError, match="connection_made"):
            loop._make_socket_transport(ours, object())
        assert ours.fileno() >= 0


class Ended(SystemExit):
    pass


@pytest.mark.parametrize("name", ["data_received", "eof_received", "connection_lost", "connection_made"])
def test_system_exit_leaves_the_run_and_the_connection(loop, run, name):
    protocol = failing(name, Ended())
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    transport = loop._make_socket_transport(ours, protocol)
    with peer:
        peer.send(b"x")
        if name == "eof_received":
            peer.shutdown(socket.SHUT_WR)
        if name == "connection_lost":
            loop.call_later(0.01, transport.close)
        with pytest.raises(Ended):
            loop.run_forever()
        assert transport.is_closing() == (name == "connection_lost")
        if name == "connection_lost":
            assert ours.fileno() == -1
            return
        setattr(type(protocol), name, lambda self, *args: self.note("again", name))
        peer.send(b"y") if name != "eof_received" else None
        run(protocol.wait_for("again" if name in ("data_received", "eof_received") else "data_received"))
        transport.abort()
        run(turns(2))


# ---- debug mode ----


@pytest.mark.parametrize("kind", [Recorder, Buffered])
def test_slow_methods_are_logged(loop, run, caplog, kind):
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    protocol = kind()

    async def main():
        transport, peer = connect(loop, protocol)
        peer.send(b"x")
        peer.close()
        await protocol.wait_for("connection_lost")

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(main())
    messages = [record.getMessage() for record in caplog.records]
    assert len([text for text in messages if re.match("Executing <.*> took .* seconds", text)]) >= 4
    assert [text for text in messages if re.match("<.*SocketTransport .*> received EOF", text)]


def test_pausing_is_logged(loop, run, caplog):
    loop.set_debug(True)

    async def main():
        transport, peer = connect(loop, Recorder())
        with peer:
            transport.pause_reading()
            transport.resume_reading()
            transport._fatal_error(ConnectionError("mine"), "message")
            await turns(3)

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(main())
    messages = [record.getMessage() for record in caplog.records]
    for pattern in "<.*> pauses reading", "<.*> resumes reading", "<.*>: message":
        assert [text for text in messages if re.match(pattern, text)]


# ---- contexts ----


async def test_methods_run_in_the_context_of_their_maker(loop):
    class Looking(Recorder):
        def note(self, *event):
            super().note(event[0], variable.get())

    variable.set("maker")
    protocol = Looking()
    transport, peer = connect(loop, protocol)
    variable.set("later")
    peer.send(b"x")
    peer.close()
    await protocol.wait_for("connection_lost")
    assert protocol.events == [
        ("connection_made", "maker"),
        ("data_received", "maker"),
        ("eof_received", "maker"),
        ("connection_lost", "maker"),
    ]


async def test_what_data_received_sets_is_there_at_the_next_one(loop):
    class Setting(Recorder):
        def connection_made(self, transport):
            variable.set("made")
            super().connection_made(transport)

        def data_received(self, data):
            self.note(data, variable.get())
            variable.set(data)

    protocol = Setting()
    transport, peer = connect(loop, protocol)
    with peer:
        peer.send(b"1")
        await protocol.wait_for(b"1")
        peer.send(b"2")
        await protocol.wait_for(b"2")
        assert protocol.events[1:] == [(b"1", "none"), (b"2", b"1")]
        assert variable.get() == "none"
        variable.set("closer")
        protocol.connection_lost = lambda exc: protocol.note("lost", variable.get())
        transport.close()
        await protocol.wait_for("lost")
        assert protocol.events[-1] == ("lost", "closer")


# ---- no memory ----


@pytest.mark.own("asyncio's own code needs memory to close a socket")
def test_without_memory_the_socket_of_a_lost_connection_is_given_up(loop):
    memory = pytest.importorskip("_testcapi")
    protocol = Recorder()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    transport = loop._make_socket_transport(ours, protocol)
    with peer:
        loop.run_until_complete(turns(3))
        protocol.connection_lost = lambda exc: memory.set_nomemory(0)
        transport.close()
        loop.call_soon(memory.remove_mem_hooks)
        loop.run_until_complete(turns(3))
        assert ours.fileno() == -1 and ours._closed


# ---- children of fork ----


@pytest.mark.own("asyncio's child would do it, and take part in the parent's connection")
@pytest.mark.forks
def test_in_a_child_of_fork_what_touches_the_loop_is_refused(loop, run):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        run(turns(3))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                calls = [(transport.write, b"x"), (transport.writelines, [b"x"]), (transport._force_close, None)]
                calls += [(getattr(transport, name),) for name in ("close", "abort", "write_eof")]
                for method, *arguments in calls:
                    with pytest.raises(RuntimeError, match="child of fork"):
                        method(*arguments)
                assert not transport.is_closing() and transport.get_write_buffer_size() == 0
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        peer.send(b"x")
        run(protocol.wait_for("data_received"))
        transport.close()
        run(protocol.wait_for("connection_lost"))
        assert protocol.events[1:] == [("data_received", b"x"), ("connection_lost", None)]


# ---- what is left open ----


def test_a_transport_left_open_warns(new_loop):
    loop = new_loop()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    transport = loop._make_socket_transport(ours, Recorder())
    text = repr(transport)
    loop.run_until_complete(turns(2))
    loop.close()
    with warnings.catch_warnings(record=True) as caught, peer:
        warnings.simplefilter("always")
        del transport, ours
        gc.collect()
    texts = [str(warning.message) for warning in caught if warning.category is ResourceWarning]
    assert [text for text in texts if text.startswith("unclosed transport <")], text


async def test_a_paused_transport_that_nobody_has_is_closed(loop):
    """One that the peer has ended, too: nothing would ever wake it."""
    for keep_open in False, True:
        protocol = Recorder(keep_open=keep_open)
        transport, peer = connect(loop, protocol)
        with peer:
            await turns(3)
            if keep_open:
                peer.shutdown(socket.SHUT_WR)
                await protocol.wait_for("eof_received")
            else:
                transport.pause_reading()
            await turns(2)
            protocol.waiters.clear()
            gone = weakref.ref(transport)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del transport, protocol
                gc.collect()
                assert gone() is None
            assert [w for w in caught if str(w.message).startswith("unclosed transport <")]
            await turns(3)
            assert await receive(peer, 1) == b""


@pytest.mark.own("asyncio's transports have cycles of their own in some versions")
@pytest.mark.parametrize("how", ["fatal error", "forced"])
async def test_what_ended_a_transport_does_not_keep_it(loop, how):
    """The traceback of its exception refers to the transport, of which nothing is left without the collector."""

    def end(transport):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as error:
            if how == "forced":
                transport._force_close(error)
            else:
                transport._fatal_error(error)

    protocol = Recorder()
    loop.set_exception_handler(lambda loop, context: None)
    transport, peer = connect(loop, protocol)
    await turns(2)
    gone = weakref.ref(transport)
    end(transport)
    await protocol.wait_for("connection_lost")
    protocol.__dict__.clear()
    del protocol
    gc.disable()
    try:
        del transport
        await turns(2)
        assert gone() is None
    finally:
        gc.enable()
        peer.close()


async def test_a_transport_that_reads_is_kept(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    await turns(3)
    gone = weakref.ref(transport)
    protocol.transport = None
    del transport
    gc.collect()
    assert gone() is not None
    peer.close()
    await protocol.wait_for("connection_lost")


async def test_nothing_of_a_connection_is_left(loop):
    """A hundred of them leave as many objects as one."""

    async def one(kind):
        protocol = kind()
        transport, peer = connect(loop, protocol)
        peer.send(b"x")
        peer.close()
        transport.write(b"x")
        transport.get_extra_info("socket")
        await protocol.wait_for("connection_lost")

    counts = []
    for kind in Recorder, Buffered:
        for repeat in 1, 100:
            for _ in range(repeat):
                await one(kind)
            await turns(2)
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert counts[1] - counts[0] < 20 and counts[3] - counts[2] < 20


async def test_references_of_a_transport(loop):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    with peer:
        for _ in range(3):
            peer.send(b"x")
            await protocol.next("data_received")
        protocol.waiters.clear()
        before = sys.getrefcount(transport), sys.getrefcount(protocol), sys.getrefcount(loop)
        for i in range(100):
            peer.send(b"x")
            await protocol.next("data_received")
            transport.write(b"x")
            transport.get_extra_info("peername")
            transport.pause_reading()
            transport.resume_reading()
            repr(transport)
        protocol.waiters.clear()
        protocol.events.clear()
        after = sys.getrefcount(transport), sys.getrefcount(protocol), sys.getrefcount(loop)
        assert all(abs(a - b) < 5 for a, b in zip(before, after))
        transport.abort()
        await protocol.wait_for("connection_lost")


async def test_a_protocol_stays_until_its_method_has_returned(loop):
    """Also one whose method is in C, which refers to the protocol by nothing but the call."""

    class Item:
        def __lt__(self, other):
            transport.set_protocol(recorder)
            return False

    class Sorting(list):
        eof_received = list.sort

        def connection_made(self, transport):
            pass

    recorder = Recorder()
    protocol = Sorting(Item() for _ in range(100))
    gone = weakref.ref(protocol)
    transport, peer = connect(loop, protocol)
    del protocol
    peer.close()
    await recorder.wait_for("connection_lost")
    assert gone() is None


@pytest.mark.own("asyncio's transport stays alive while it reads, and its socket is closed when that goes")
async def test_one_that_a_warning_has_kept_alive_is_closed(loop):
    """The warning of an unclosed transport refers to it: whoever records warnings has it again."""
    protocol = Recorder()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        transport, peer = connect(loop, Recorder())
        await turns(2)
        transport.pause_reading()
        del transport
        gc.collect()
    (transport,) = [warning.source for warning in caught if "unclosed transport" in str(warning.message)]
    del caught
    assert transport.is_closing()
    transport.set_protocol(protocol)
    transport.write(b"lost")
    transport.close()
    transport.abort()
    assert await receive(peer, 1) == b""
    ends = socket.socketpair()  # with the number of the transport's
    assert transport.get_extra_info("socket").fileno() == -1
    del transport
    gc.collect()
    await turns(3)
    assert protocol.events == []
    ends[0].send(b"x")
    assert ends[1].recv(1) == b"x"
    for end in (peer, *ends):
        end.close()


@pytest.mark.own("asyncio closes the socket in the middle of the call")
@pytest.mark.parametrize("lost", [False, True])
async def test_the_callback_of_the_end_called_by_somebody_else(loop, lost):
    protocol = Recorder()
    transport, peer = connect(loop, protocol)
    await turns(2)
    if lost:
        transport.abort()
    transport._call_connection_lost(None)
    transport.write(b"x" * (1 << 22))
    del transport, protocol.transport
    gc.collect()
    await turns(3)
    assert protocol.names == ["connection_made", "connection_lost"]
    assert await receive(peer, 1) == b""
    peer.close()
