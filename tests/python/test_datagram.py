"""Datagram endpoints: their arguments, what is told of datagrams and errors, what waits, and how they end."""

import asyncio
import contextvars
import gc
import socket

import pytest

from transports import Recorder

EMPTY = pytest.mark.own("before 3.13 asyncio's sendto() ignores empty datagrams")


class Mailbox(Recorder, asyncio.DatagramProtocol):
    """Writes down what it is told."""

    answer = None

    def datagram_received(self, data, addr):
        self.note("datagram_received", data, addr)
        if self.answer:
            self.answer(data, addr)

    def error_received(self, exc):
        self.note("error_received", exc)

    @property
    def datagrams(self):
        return [event[1] for event in self.events if event[0] == "datagram_received"]

    @property
    def errors(self):
        return [event[1] for event in self.events if event[0] == "error_received"]

    async def wait_for_datagrams(self, count):
        while len(self.datagrams) < count:
            await self.next("datagram_received")
        return self.datagrams


async def endpoint(loop, protocol=None, **options):
    """A transport and its protocol, of 127.0.0.1 unless the options say where."""
    options = options or {"local_addr": ("127.0.0.1", 0)}
    protocol = protocol or Mailbox()
    transport, made = await loop.create_datagram_endpoint(lambda: protocol, **options)
    assert made is protocol
    return transport, protocol


def name_of(transport):
    return transport.get_extra_info("sockname")


async def end(*protocols):
    for protocol in protocols:
        protocol.transport.abort()
        await protocol.wait_for("connection_lost")


def datagram_socket(family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def unix_pair():
    """Two that are connected with each other, and have names, without which asyncio does not send."""
    one, two = (datagram_socket(socket.AF_UNIX) for _ in range(2))
    for sock in one, two:
        sock.bind("")
    one.connect(two.getsockname())
    two.connect(one.getsockname())
    return one, two


# ---- there and back ----


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_there_and_back(loop, host):
    try:
        server, served = await endpoint(loop, local_addr=(host, 0))
    except OSError:
        pytest.skip(f"there is no {host} here")
    client, asked = await endpoint(loop, remote_addr=name_of(server)[:2])
    served.answer = lambda data, addr: server.sendto(data + b"!", addr)
    client.sendto(b"one")
    client.sendto(bytearray(b"two"), None)
    client.sendto(memoryview(b"three"), name_of(server))
    assert await asked.wait_for_datagrams(3) == [b"one!", b"two!", b"three!"]
    assert {event[2] for event in asked.events if event[0] == "datagram_received"} == {name_of(server)}
    assert {event[2] for event in served.events if event[0] == "datagram_received"} == {name_of(client)}
    await end(asked, served)


async def test_unix_sockets(loop, tmp_path):
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    server, served = await endpoint(loop, family=socket.AF_UNIX, local_addr=one)
    client, asked = await endpoint(loop, family=socket.AF_UNIX, local_addr=two, remote_addr=one)
    nameless, unasked = await endpoint(loop, family=socket.AF_UNIX)
    served.answer = lambda data, addr: addr and server.sendto(data + b"!", addr)
    client.sendto(b"one")
    assert await asked.wait_for_datagrams(1) == [b"one!"]
    nameless.sendto(b"nobody", one)
    await served.wait_for_datagrams(2)
    assert [event[2] for event in served.events if event[0] == "datagram_received"] == [two, None]
    await end(asked, served, unasked)
    server, served = await endpoint(loop, family=socket.AF_UNIX, local_addr=one)  # in place of the one that is left
    await end(served)


async def test_abstract_names(loop):
    name = "\0ringport-test-" + str(id(loop))
    server, served = await endpoint(loop, family=socket.AF_UNIX, local_addr=name)
    client, asked = await endpoint(loop, family=socket.AF_UNIX)
    client.sendto(b"x", name)
    client.sendto(b"y", name.encode())
    assert await served.wait_for_datagrams(2) == [b"x", b"y"]
    await end(served, asked)


@EMPTY
async def test_empty_datagrams(loop):
    server, served = await endpoint(loop)
    client, asked = await endpoint(loop, remote_addr=name_of(server))
    for data in b"", b"x", b"":
        client.sendto(data)
    assert await served.wait_for_datagrams(3) == [b"", b"x", b""]
    with datagram_socket() as peer:
        peer.sendto(b"", name_of(server))
        assert (await served.wait_for_datagrams(4))[3] == b""
    await end(served, asked)


async def test_many_in_one_turn_keep_their_order(loop):
    server, served = await endpoint(loop)
    client, asked = await endpoint(loop)
    server.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sent = [b"%d" % i for i in range(200)]
    for data in sent:
        client.sendto(data, name_of(server))
    assert await served.wait_for_datagrams(200) == sent
    await end(served, asked)


async def test_the_longest_ones(loop):
    server, served = await endpoint(loop)
    client, asked = await endpoint(loop, remote_addr=name_of(server))
    client.sendto(b"x" * 65507)
    assert len((await served.wait_for_datagrams(1))[0]) == 65507
    ours, theirs = unix_pair()
    longest = 150_000
    transport, protocol = await endpoint(loop, sock=ours)
    theirs.send(b"y" * longest)
    assert len((await protocol.wait_for_datagrams(1))[0]) == longest
    theirs.close()
    await end(served, asked, protocol)


async def test_broadcast_endpoints_are_not_connected(loop):
    server, served = await endpoint(loop)
    client, asked = await endpoint(loop, remote_addr=name_of(server), allow_broadcast=True)
    sock = client.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
    assert client.get_extra_info("peername") is None
    client.sendto(b"x")
    client.sendto(b"y", name_of(server))
    assert await served.wait_for_datagrams(2) == [b"x", b"y"]
    with pytest.raises(ValueError, match="Invalid address: must be None or"):
        client.sendto(b"z", ("127.0.0.1", 1))
    await end(served, asked)


async def test_ports_can_be_shared(loop):
    one, first = await endpoint(loop, local_addr=("127.0.0.1", 0), reuse_port=True)
    two, second = await endpoint(loop, local_addr=name_of(one), reuse_port=True)
    assert name_of(one) == name_of(two)
    await end(first, second)


async def test_names_are_resolved_when_sending(loop):
    server, served = await endpoint(loop)
    client, asked = await endpoint(loop)
    for i in range(3):
        client.sendto(b"%d" % i, ("localhost", name_of(server)[1]))
    assert await served.wait_for_datagrams(3) == [b"0", b"1", b"2"]
    client.sendto(b"4", ("", name_of(server)[1]))  # as socket has it: this machine
    assert await served.wait_for_datagrams(4) == [b"0", b"1", b"2", b"4"]
    await end(served, asked)


# ---- arguments ----


@pytest.mark.parametrize("data", ["text", 1, None, [b"x"]])
async def test_what_is_no_bytes_is_refused(loop, data):
    transport, protocol = await endpoint(loop)
    with pytest.raises(TypeError) as caught:
        transport.sendto(data, ("127.0.0.1", 1))
    assert str(caught.value) == f"data argument must be a bytes-like object, not {type(data).__name__!r}"
    with pytest.raises(TypeError):
        transport.sendto()
    with pytest.raises(TypeError):
        transport.sendto(b"x", ("127.0.0.1", 1), 3)
    with pytest.raises(TypeError):
        transport.sendto(b"x", address=("127.0.0.1", 1))
    await end(protocol)


async def test_arguments_by_name(loop):
    server, served = await endpoint(loop)
    client, asked = await endpoint(loop)
    client.sendto(data=b"x", addr=name_of(server))
    client.sendto(b"y", addr=name_of(server))
    assert await served.wait_for_datagrams(2) == [b"x", b"y"]
    await end(served, asked)


@pytest.mark.parametrize(
    "options, error",
    [
        ({}, ValueError),
        ({"local_addr": "127.0.0.1"}, TypeError),
        ({"local_addr": ("127.0.0.1", 0, 0)}, TypeError),
        ({"remote_addr": ["127.0.0.1", 1]}, TypeError),
        ({"family": socket.AF_UNIX, "local_addr": b"path"}, TypeError),
        ({"local_addr": ("127.0.0.1", 0), "remote_addr": ("::1", 1)}, ValueError),
        ({"local_addr": ("127.0.0.1", 0), "family": socket.AF_INET6}, OSError),
        ({"local_addr": ("192.0.2.1", 0)}, OSError),
    ],
)
async def test_bad_arguments(loop, options, error):
    with pytest.raises(error):
        await loop.create_datagram_endpoint(Mailbox, **options)


async def test_given_sockets(loop):
    sock = datagram_socket()
    transport, protocol = await endpoint(loop, sock=sock)
    with datagram_socket() as peer:
        peer.sendto(b"x", name_of(transport))
        assert await protocol.wait_for_datagrams(1) == [b"x"]
    assert transport.get_extra_info("socket").fileno() == sock.fileno()
    await end(protocol)
    assert sock.fileno() == -1
    with socket.socket() as stream, pytest.raises(ValueError, match="was expected, got"):
        await loop.create_datagram_endpoint(Mailbox, sock=stream)
    with datagram_socket() as sock:
        with pytest.raises(ValueError, match=r"when sock is specified. \(family=1, reuse_port=True\)"):
            await loop.create_datagram_endpoint(Mailbox, sock=sock, family=1, reuse_port=True)


async def test_a_given_socket_that_is_connected_sends_to_its_peer(loop):
    with datagram_socket() as peer, datagram_socket() as other:
        sock = datagram_socket()
        sock.connect(peer.getsockname())
        transport, protocol = await endpoint(loop, sock=sock)
        assert transport.get_extra_info("peername") == peer.getsockname()
        transport.sendto(b"x")
        transport.sendto(b"y", other.getsockname())
        assert [await loop.sock_recv(peer, 10) for _ in range(2)] == [b"x", b"y"]
        await end(protocol)


@pytest.mark.own("asyncio leaves the socket to the collector")
async def test_what_fails_leaves_no_socket(loop):
    def fail():
        raise RuntimeError("no protocol")

    with pytest.raises(RuntimeError):
        await loop.create_datagram_endpoint(fail, local_addr=("127.0.0.1", 0))
    with datagram_socket() as sock:
        with pytest.raises(RuntimeError):
            await loop.create_datagram_endpoint(fail, sock=sock)
        assert sock.fileno() >= 0


async def test_a_cancelled_endpoint(loop):
    task = loop.create_task(loop.create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(5):
        await asyncio.sleep(0)


# ---- errors ----


async def test_a_closed_port_is_told_and_ends_nothing(loop):
    with datagram_socket() as peer:
        name = peer.getsockname()
    transport, protocol = await endpoint(loop, remote_addr=name)
    transport.sendto(b"x")
    await protocol.wait_for("error_received")
    assert isinstance(protocol.errors[0], ConnectionRefusedError)
    assert not transport.is_closing()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(name)
        peer.sendto(b"back", name_of(transport))
        assert await protocol.wait_for_datagrams(1) == [b"back"]
    await end(protocol)


async def test_what_is_too_long_is_told_at_once(loop):
    transport, protocol = await endpoint(loop)
    transport.sendto(b"x" * 70_000, ("127.0.0.1", 1))
    assert [error.errno for error in protocol.errors] == [90]
    assert not transport.is_closing()
    await end(protocol)


async def test_names_that_are_not_known(loop):
    transport, protocol = await endpoint(loop)
    transport.sendto(b"x", ("no such host", 1))
    assert isinstance(protocol.errors[0], socket.gaierror)
    assert not transport.is_closing()
    await end(protocol)


@pytest.mark.parametrize(
    "address, error",
    [("127.0.0.1", TypeError), (None, TypeError), (("127.0.0.1",), TypeError), (("127.0.0.1", 70000), OverflowError)],
)
async def test_bad_addresses_end_the_transport(loop, contexts, address, error):
    transport, protocol = await endpoint(loop)
    transport.sendto(b"x", address)
    await protocol.wait_for("connection_lost")
    assert isinstance(protocol.events[-1][1], error)
    assert [context["message"] for context in contexts] == ["Fatal write error on datagram transport"]
    assert contexts[0]["transport"] is transport
    assert contexts[0]["protocol"] is protocol


class Failing(Mailbox):
    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        raise ZeroDivisionError(data)

    def error_received(self, exc):
        super().error_received(exc)
        raise ZeroDivisionError(exc)


async def test_a_method_that_raises_is_reported_and_ends_nothing(loop, contexts):
    transport, protocol = await endpoint(loop, Failing())
    with datagram_socket() as peer:
        for i in range(3):
            peer.sendto(b"%d" % i, name_of(transport))
        await protocol.wait_for_datagrams(3)
        await asyncio.sleep(0)
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError] * 3
    assert all(context["message"].startswith("Exception in callback") for context in contexts)
    assert not transport.is_closing()
    await end(protocol)


async def test_what_error_received_raises_comes_out_of_sendto(loop):
    transport, protocol = await endpoint(loop, Failing())
    with pytest.raises(ZeroDivisionError):
        transport.sendto(b"x" * 70_000, ("127.0.0.1", 1))
    assert not transport.is_closing()
    await end(protocol)


def test_an_interrupt_leaves_the_run_and_loses_nothing(loop, run):
    class Interrupting(Mailbox):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"1":
                raise KeyboardInterrupt

    transport, protocol = run(endpoint(loop, Interrupting()))
    with datagram_socket() as peer:
        for i in range(5):
            peer.sendto(b"%d" % i, name_of(transport))
        with pytest.raises(KeyboardInterrupt):
            run(protocol.wait_for_datagrams(5))
        assert protocol.datagrams == [b"0", b"1"]
        run(protocol.wait_for_datagrams(5))
    assert protocol.datagrams == [b"0", b"1", b"2", b"3", b"4"]
    run(end(protocol))


# ---- what waits ----


async def fill(transport, protocol, size=1000):
    """Send until the protocol is to pause; how many datagrams that were."""
    count = 0
    while "pause_writing" not in protocol.names:
        transport.sendto(b"%d" % count + b"x" * size)
        count += 1
        if count % 10 == 0:
            await asyncio.sleep(0)
    return count


async def test_a_full_peer_pauses_the_protocol(loop):
    ours, theirs = unix_pair()
    transport, protocol = await endpoint(loop, sock=ours)
    assert transport.get_write_buffer_size() == 0
    count = await fill(transport, protocol)
    assert transport.get_write_buffer_size() > transport.get_write_buffer_limits()[1]
    for i in range(count):
        assert (await loop.sock_recv(theirs, 2000)).rstrip(b"x") == b"%d" % i
    assert protocol.names.count("pause_writing") == protocol.names.count("resume_writing") == 1
    theirs.close()
    await end(protocol)


@pytest.mark.own("before 3.14 asyncio counts otherwise")
async def test_each_datagram_counts_some_bytes_more(loop):
    ours, theirs = unix_pair()
    transport, protocol = await endpoint(loop, sock=ours)
    while transport.get_write_buffer_size() == 0:
        transport.sendto(b"x" * 100)
        await asyncio.sleep(0)
    assert transport.get_write_buffer_size() == 108
    transport.sendto(b"")
    assert transport.get_write_buffer_size() == 116
    transport.set_write_buffer_limits(high=120)
    transport.sendto(b"")
    assert protocol.names.count("pause_writing") == 1
    while transport.get_write_buffer_size() > 0:
        await loop.sock_recv(theirs, 1000)
    theirs.close()
    await end(protocol)


async def test_a_close_sends_what_waits(loop):
    ours, theirs = unix_pair()
    transport, protocol = await endpoint(loop, sock=ours)
    count = await fill(transport, protocol)
    transport.close()
    assert transport.is_closing()
    for i in range(count):
        assert (await loop.sock_recv(theirs, 2000)).rstrip(b"x") == b"%d" % i
    await protocol.wait_for("connection_lost")
    assert protocol.events[-1] == ("connection_lost", None)
    theirs.close()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_address_is_free_at_once(loop, how):
    """When connection_lost has returned, before what comes next is called."""
    transport, protocol = await endpoint(loop, local_addr=("127.0.0.1", 0))
    address = transport.get_extra_info("sockname")
    bound = loop.create_future()

    def bind():
        with socket.socket(type=socket.SOCK_DGRAM) as another:
            try:
                bound.set_result(another.bind(address))
            except OSError as error:
                bound.set_exception(error)

    await asyncio.sleep(0)
    getattr(transport, how)()
    loop.call_soon(bind)
    await bound
    await end(protocol)


async def test_an_abort_drops_what_waits(loop):
    ours, theirs = unix_pair()
    transport, protocol = await endpoint(loop, sock=ours)
    await fill(transport, protocol)
    transport.abort()
    await protocol.wait_for("connection_lost")
    assert protocol.events[-1] == ("connection_lost", None)
    theirs.close()


async def test_what_was_sent_in_the_same_turn_is_not_lost_by_an_end(loop):
    for ending in "close", "abort":
        server, served = await endpoint(loop)
        client, asked = await endpoint(loop)
        for i in range(5):
            client.sendto(b"%d" % i, name_of(server))
        getattr(client, ending)()
        assert await served.wait_for_datagrams(5) == [b"0", b"1", b"2", b"3", b"4"]
        await asked.wait_for("connection_lost")
        await end(served)


async def test_what_was_sent_before_a_bad_address_is_not_lost(loop, contexts):
    receiver, received = await endpoint(loop)
    sender, protocol = await endpoint(loop)
    for number in range(5):
        sender.sendto(b"%d" % number, name_of(receiver))
    sender.sendto(b"x", 5)
    await protocol.wait_for("connection_lost")
    assert isinstance(protocol.events[-1][1], TypeError)
    assert await received.wait_for_datagrams(5) == [b"0", b"1", b"2", b"3", b"4"]
    assert "int" in str(contexts[0]["exception"])
    await end(received)


def test_what_is_sent_outside_a_run_goes_at_once(loop, run):
    with datagram_socket() as peer:
        transport, protocol = run(endpoint(loop))
        for i in range(3):
            transport.sendto(b"%d" % i, peer.getsockname())
        assert [peer.recv(10) for _ in range(3)] == [b"0", b"1", b"2"]
        run(end(protocol))


# ---- the end ----


async def test_the_end_is_told_once_and_nothing_after_it(loop):
    transport, protocol = await endpoint(loop)
    with datagram_socket() as peer:
        transport.close()
        transport.close()
        transport.abort()
        peer.sendto(b"late", name_of(transport))
        await protocol.wait_for("connection_lost")
    for _ in range(3):
        await asyncio.sleep(0)
    assert protocol.names == ["connection_made", "connection_lost"]
    assert transport.is_closing()


async def test_sending_after_the_end_is_ignored(loop, caplog):
    with datagram_socket() as peer:
        transport, protocol = await endpoint(loop, remote_addr=peer.getsockname())
        await end(protocol)
        for _ in range(7):
            transport.sendto(b"x")
        assert "socket.send() raised exception." in caplog.text
        with pytest.raises(BlockingIOError):
            peer.recv(10)


async def test_a_close_inside_a_callback(loop):
    transport, protocol = await endpoint(loop)
    protocol.answer = lambda data, addr: transport.close()
    with datagram_socket() as peer:
        for i in range(5):
            peer.sendto(b"%d" % i, name_of(transport))
        await protocol.wait_for("connection_lost")
    assert protocol.names == ["connection_made", "datagram_received", "connection_lost"]


@pytest.mark.own("asyncio's transport of a closed loop goes on, as far as it can")
def test_a_loop_that_is_closed(new_loop):
    loop = new_loop()
    transport, protocol = loop.run_until_complete(endpoint(loop))
    loop.close()
    assert transport.get_extra_info("sockname")
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        transport.sendto(b"x", ("127.0.0.1", 1))
    with pytest.warns(ResourceWarning):
        del transport, protocol.transport
        gc.collect()


# ---- what it tells of itself ----


async def test_attributes(loop):
    transport, protocol = await endpoint(loop)
    assert "fd=" in repr(transport)
    assert transport.get_extra_info("peername") is None
    assert transport.get_extra_info("nothing", 5) == 5
    assert transport.get_protocol() is protocol
    assert transport.get_write_buffer_limits() == (16384, 65536)
    transport.set_write_buffer_limits(100)
    assert transport.get_write_buffer_limits() == (25, 100)
    with pytest.raises(ValueError):
        transport.set_write_buffer_limits(1, 2)
    assert isinstance(transport, asyncio.Transport)
    other = Mailbox()
    other.transport = transport
    transport.set_protocol(other)
    with datagram_socket() as peer:
        peer.sendto(b"x", name_of(transport))
        assert await other.wait_for_datagrams(1) == [b"x"]
    assert protocol.datagrams == []
    await end(other)
    assert "closed" in repr(transport) or "closing" in repr(transport)


@pytest.mark.own("so it is from 3.13 on")
async def test_type(loop):
    transport, protocol = await endpoint(loop)
    assert isinstance(transport, asyncio.DatagramTransport)
    await end(protocol)


async def test_its_socket_is_not_the_programs_to_read(loop):
    transport, protocol = await endpoint(loop)
    with pytest.raises(RuntimeError):
        loop.add_reader(transport.get_extra_info("socket").fileno(), print)
    await end(protocol)


async def test_the_context_of_callbacks_is_that_of_the_endpoint(loop):
    variable = contextvars.ContextVar("variable", default="")
    seen = []

    class Looking(Mailbox):
        def datagram_received(self, data, addr):
            seen.append(variable.get())
            super().datagram_received(data, addr)

    variable.set("made")
    transport, protocol = await endpoint(loop, Looking())
    variable.set("later")
    with datagram_socket() as peer:
        peer.sendto(b"x", name_of(transport))
        await protocol.wait_for_datagrams(1)
    assert seen == ["made"]
    await end(protocol)


async def test_the_same_addresses_again_and_again(loop):
    server, served = await endpoint(loop)
    server.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    clients = [datagram_socket() for _ in range(100)]  # more than are remembered
    for _ in range(3):
        for client in clients:
            client.sendto(b"%d" % client.getsockname()[1], name_of(server))
    await served.wait_for_datagrams(300)
    for _, data, addr in served.events[1:]:
        assert addr == ("127.0.0.1", int(data))
        server.sendto(data, addr)
        server.sendto(data, tuple(addr))
        server.sendto(data, (addr[0], addr[1]))
    await asyncio.sleep(0)
    for client in clients:
        for _ in range(9):
            assert await loop.sock_recv(client, 10) == b"%d" % client.getsockname()[1]
        client.close()
    await end(served)
