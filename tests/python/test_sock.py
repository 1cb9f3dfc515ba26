"""sock_recv() and its like: results, waiting, cancelling, closing, and what is refused."""

import asyncio
import collections.abc
import contextlib
import errno
import functools
import gc
import inspect
import socket
import sys
import threading
import warnings

import pytest


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def datagrams():
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with one, other:
        for each in one, other:
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        yield one, other


async def waiting(awaitable):
    """A task that has come to where it waits."""
    task = asyncio.ensure_future(awaitable)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    return task


def fill(sock):
    """Sends until there is no room; how much went."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += sock.send(bytes(65536))
    return sent


# ---- receiving ----


async def test_recv(loop, pair):
    left, right = pair
    right.send(b"abc")
    assert await loop.sock_recv(left, 2) == b"ab"
    assert await loop.sock_recv(left, 2) == b"c"
    task = await waiting(loop.sock_recv(left, 100))
    right.send(b"later")
    assert await task == b"later"
    task = await waiting(loop.sock_recv(left, 100))
    right.close()
    assert await task == b""
    assert await loop.sock_recv(left, 100) == b""


async def test_what_is_there_comes_without_a_turn(loop, pair):
    left, right = pair
    seen = []
    loop.call_soon(seen.append, "turn")
    right.send(b"abc")
    await loop.sock_recv(left, 1)
    await loop.sock_recv_into(left, bytearray(1))
    await loop.sock_recvfrom(left, 1)
    await loop.sock_sendall(left, b"abc")
    assert seen == []


async def test_what_comes_later_comes_a_turn_later(loop, pair):
    left, right = pair
    seen = []

    async def receive():
        seen.append(await loop.sock_recv(left, 10))

    task = await waiting(receive())
    right.send(b"x")
    loop.call_soon(seen.append, "soon")
    loop.call_soon(loop.call_soon, loop.call_soon, seen.append, "third turn")
    await task
    assert seen == ["soon", b"x", "third turn"]


async def test_recv_of_nothing(loop, pair):
    assert await loop.sock_recv(pair[0], 0) == b""
    assert await loop.sock_recv_into(pair[0], bytearray()) == 0


@pytest.mark.parametrize("size", [131072, 131073, 1 << 20])
async def test_much_at_once(loop, size, pair):
    left, right = pair
    for each in pair:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    task = await waiting(loop.sock_recv(left, size))
    data = bytes(range(256)) * (1 << 9)
    sent = right.send(data)
    got = await task
    while len(got) < sent:
        got += await loop.sock_recv(left, size)
    assert got == data[:sent]


async def test_recv_into(loop, pair):
    left, right = pair
    buffer = bytearray(4)
    task = await waiting(loop.sock_recv_into(left, buffer))
    buffer.extend(b"more")  # it is not held while nothing comes
    right.send(b"abcdef")
    assert await task == 6
    assert buffer == b"abcdef" + b"re"
    right.send(b"XY")
    assert await loop.sock_recv_into(left, memoryview(buffer)[1:3]) == 2
    assert buffer == b"aXYdefre"


@pytest.mark.parametrize("bad", [b"read-only", "text", None])
async def test_recv_into_what_cannot_be_written(loop, pair, bad):
    pair[1].send(b"x")
    with pytest.raises(TypeError):
        await loop.sock_recv_into(pair[0], bad)
    assert await loop.sock_recv(pair[0], 10) == b"x"


async def test_bad_sizes(loop, pair):
    with pytest.raises(ValueError, match="^negative buffersize in recv$"):
        await loop.sock_recv(pair[0], -1)
    with pytest.raises(TypeError):
        await loop.sock_recv(pair[0], "4")
    with pytest.raises(OverflowError):
        await loop.sock_recv(pair[0], 1 << 80)
    with pytest.raises(ValueError):
        await loop.sock_recvfrom(pair[0], -1)


async def test_recvfrom(loop, datagrams):
    one, other = datagrams
    task = await waiting(loop.sock_recvfrom(one, 100))
    other.sendto(b"abc", one.getsockname())
    assert await task == (b"abc", other.getsockname())
    other.sendto(b"", one.getsockname())
    assert await loop.sock_recvfrom(one, 100) == (b"", other.getsockname())
    buffer = bytearray(10)
    task = await waiting(loop.sock_recvfrom_into(one, buffer))
    other.sendto(b"abcdef", one.getsockname())
    assert await task == (6, other.getsockname())
    other.sendto(b"XYZ", one.getsockname())
    assert await loop.sock_recvfrom_into(one, buffer, 2) == (2, other.getsockname())
    assert buffer == b"XYcdef\0\0\0\0"


async def test_one_datagram_each(loop, datagrams):
    one, other = datagrams
    task = await waiting(loop.sock_recv(one, 100))
    for number in range(10):
        other.sendto(bytes([number]), one.getsockname())
    assert await task == b"\0"
    assert [await loop.sock_recv(one, 100) for _ in range(9)] == [bytes([number]) for number in range(1, 10)]


# ---- sending ----


async def test_sendall_of_more_than_there_is_room_for(loop, pair):
    left, right = pair
    data = bytes(range(256)) * 40_000

    async def receive():
        got = bytearray()
        while len(got) < len(data):
            got += await loop.sock_recv(right, 1 << 20)
        return got

    receiving = loop.create_task(receive())
    assert await loop.sock_sendall(left, memoryview(data)) is None
    assert await receiving == data


async def test_sendall_of_nothing(loop, pair):
    assert await loop.sock_sendall(pair[0], b"") is None


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
async def test_what_can_be_sent(loop, pair, data):
    await loop.sock_sendall(pair[0], data)
    assert await loop.sock_recv(pair[1], 10) == b"abc"


@pytest.mark.parametrize("bad", ["text", None, 4])
async def test_what_cannot_be_sent(loop, pair, bad):
    with pytest.raises(TypeError, match="a bytes-like object is required"):
        await loop.sock_sendall(pair[0], bad)


async def test_what_is_sent_is_held_until_it_is(loop, pair):
    left, right = pair
    data = bytearray(1 << 20)
    task = await waiting(loop.sock_sendall(left, data))
    with pytest.raises(BufferError):
        data.extend(b"more")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    data.extend(b"more")


async def test_sendall_to_one_that_has_gone(loop, pair):
    left, right = pair
    fill(left)
    task = await waiting(loop.sock_sendall(left, bytes(10)))
    right.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        await task
    with pytest.raises(BrokenPipeError):
        await loop.sock_sendall(left, b"x")


async def test_sendto(loop, datagrams):
    one, other = datagrams
    assert await loop.sock_sendto(one, b"abc", other.getsockname()) == 3
    assert await loop.sock_recvfrom(other, 10) == (b"abc", one.getsockname())


async def test_sendto_waits_for_room(loop, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(path)
        here.connect(path)  # else the kernel has no way to tell of room
        here.setblocking(False)
        there.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                here.send(b"x")
                count += 1
        task = await waiting(loop.sock_sendto(here, b"last", path))
        for _ in range(count):
            assert await loop.sock_recv(there, 10) == b"x"
        assert await task == 4
        assert await loop.sock_recv(there, 10) == b"last"


async def test_sendto_too_much(loop, datagrams):
    with pytest.raises(OSError) as caught:
        await loop.sock_sendto(datagrams[0], bytes(1 << 20), datagrams[1].getsockname())
    assert caught.value.errno == errno.EMSGSIZE


# ---- connecting and accepting ----


async def test_accept_and_connect(loop, listener):
    task = await waiting(loop.sock_accept(listener))
    with socket.socket() as client:
        client.setblocking(False)
        assert await loop.sock_connect(client, listener.getsockname()) is None
        connection, address = await task
        with connection:
            assert isinstance(connection, socket.socket)
            assert connection.gettimeout() == 0
            assert address == client.getsockname()
            await loop.sock_sendall(client, b"abc")
            assert await loop.sock_recv(connection, 10) == b"abc"


async def test_several_that_wait_to_accept(loop, listener):
    tasks = [await waiting(loop.sock_accept(listener)) for _ in range(3)] if "Selector" not in type(loop).__name__ else []
    clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
    accepted = await asyncio.gather(*tasks) if tasks else [await loop.sock_accept(listener) for _ in range(3)]
    assert sorted(address for _, address in accepted) == sorted(client.getsockname() for client in clients)
    for each in clients + [connection for connection, _ in accepted]:
        each.close()


async def test_connect_by_name(loop, listener, monkeypatch):
    asked = []

    async def getaddrinfo(host, port, **options):
        asked.append((host, port, options["family"], options["type"]))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("somewhere.invalid", listener.getsockname()[1]))
        assert client.getpeername() == listener.getsockname()
    assert asked == [("somewhere.invalid", listener.getsockname()[1], socket.AF_INET, socket.SOCK_STREAM)]


async def test_connect_is_refused(loop):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    with socket.socket() as client:
        client.setblocking(False)
        with pytest.raises(ConnectionRefusedError, match=r"Connect call failed \('127.0.0.1', \d+\)") as caught:
            await loop.sock_connect(client, address)
        assert caught.value.errno == errno.ECONNREFUSED


async def test_connect_of_unix_sockets(loop, tmp_path):
    for path in str(tmp_path / "socket"), "\0ringport-test-%d" % id(loop), b"\0ringport-test-bytes-%d" % id(loop):
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
            listening.bind(path)
            listening.listen()
            listening.setblocking(False)
            client.setblocking(False)
            task = await waiting(loop.sock_accept(listening))
            await loop.sock_connect(client, path)
            connection, address = await task
            assert address in ("", None, b"")
            connection.close()
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        with pytest.raises(FileNotFoundError):
            await loop.sock_connect(client, str(tmp_path / "nobody"))


@pytest.mark.own("asyncio takes it for connected")
async def test_connect_to_a_unix_socket_with_a_full_queue(loop, tmp_path):
    path = str(tmp_path / "socket")
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(path)
        listening.listen(0)
        with pytest.raises(BlockingIOError):
            for _ in range(10):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                await loop.sock_connect(client, path)


async def test_connect_of_datagram_sockets(loop, datagrams):
    one, other = datagrams
    await loop.sock_connect(one, other.getsockname())
    assert one.getpeername() == other.getsockname()


async def test_connect_of_one_that_connects_already(loop, listener):
    with socket.socket() as client:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(listener.getsockname())
        await loop.sock_connect(client, listener.getsockname())
        assert client.getpeername() == listener.getsockname()


async def test_connect_that_takes_its_time(loop):
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        listening.setblocking(False)
        clients = [stack.enter_context(socket.socket()) for _ in range(4)]  # more than there is room for
        for client in clients:
            client.setblocking(False)
        tasks = [loop.create_task(loop.sock_connect(client, listening.getsockname())) for client in clients]
        for _ in range(5):
            await asyncio.sleep(0)
        late = [task for task in tasks if not task.done()]
        assert late
        for task in late:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in done].count(asyncio.CancelledError) == len(late)
        assert done.count(None) == len(tasks) - len(late)


# ---- cancelling ----


async def test_a_cancelled_recv_takes_nothing(loop, pair):
    left, right = pair
    task = await waiting(loop.sock_recv(left, 10))
    task.cancel()
    right.send(b"abc")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await loop.sock_recv(left, 10) == b"abc"


async def test_a_recv_that_is_cancelled_in_the_turn_of_its_data(loop, pair):
    left, right = pair
    task = await waiting(loop.sock_recv(left, 10))
    right.send(b"abc")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(loop.sock_recv(left, 10), 60) == b"abc"


async def test_recv_with_a_time_limit(loop, pair):
    left, right = pair
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.sock_recv(left, 10), 0.001)
    right.send(b"abc")
    assert await loop.sock_recv(left, 10) == b"abc"


async def test_a_cancelled_sendall_ends(loop, pair):
    left, right = pair
    sent = fill(left)
    task = await waiting(loop.sock_sendall(left, b"never"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    got = 0
    while got < sent:
        got += len(await loop.sock_recv(right, 1 << 20))
    await loop.sock_sendall(left, b"next")
    assert await loop.sock_recv(right, 10) == b"next"


async def test_a_cancelled_accept_takes_nothing(loop, listener):
    task = await waiting(loop.sock_accept(listener))
    task.cancel()
    with socket.create_connection(listener.getsockname()) as client:
        with pytest.raises(asyncio.CancelledError):
            await task
        connection, address = await loop.sock_accept(listener)
        assert address == client.getsockname()
        connection.close()


async def test_a_cancelled_connect(loop, listener):
    with socket.socket() as client:
        client.setblocking(False)
        task = loop.create_task(loop.sock_connect(client, listener.getsockname()))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_task_that_is_cancelled_before_it_runs(loop, pair):
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    task.cancel()
    pair[1].send(b"abc")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await loop.sock_recv(pair[0], 10) == b"abc"


async def test_one_that_catches_its_cancellation(loop, pair):
    left, right = pair
    seen = []

    async def receive():
        while len(seen) < 2:
            try:
                seen.append(await loop.sock_recv(left, 10))
            except asyncio.CancelledError:
                seen.append("cancelled")

    task = await waiting(receive())
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    right.send(b"abc")
    await task
    assert seen == ["cancelled", b"abc"]


# ---- several at once ----


@pytest.mark.own("asyncio forgets the first")
async def test_several_receive_in_order(loop, pair):
    left, right = pair
    tasks = [await waiting(loop.sock_recv(left, 1)) for _ in range(4)]
    tasks[1].cancel()
    right.send(b"abcd")
    assert [await tasks[0], await tasks[2], await tasks[3]] == [b"a", b"b", b"c"]
    assert await loop.sock_recv(left, 10) == b"d"


@pytest.mark.own("asyncio forgets the first")
async def test_several_send_in_order(loop, pair):
    left, right = pair
    sent = fill(left)
    tasks = [await waiting(loop.sock_sendall(left, bytes([number]) * 300_000)) for number in b"abc"]
    got = bytearray()
    while len(got) < sent + 900_000:
        got += await loop.sock_recv(right, 1 << 20)
    await asyncio.gather(*tasks)
    assert got[sent:] == b"a" * 300_000 + b"b" * 300_000 + b"c" * 300_000


async def test_both_directions_at_once(loop, pair):
    left, right = pair
    sent = fill(left)
    sending = await waiting(loop.sock_sendall(left, b"x" * 1000))
    receiving = await waiting(loop.sock_recv(left, 10))
    right.send(b"abc")
    assert await receiving == b"abc"
    got = 0
    while got < sent + 1000:
        got += len(await loop.sock_recv(right, 1 << 20))
    await sending


@pytest.mark.own("asyncio's operation would end the reader")
async def test_a_reader_beside_an_operation(loop, pair):
    left, right = pair
    called = loop.create_future()
    loop.add_reader(left, lambda: called.done() or called.set_result(None))
    task = await waiting(loop.sock_recv(left, 10))
    right.send(b"abc")
    assert await task == b"abc"
    await called
    assert loop.remove_reader(left)


# ---- closing ----


async def test_closing_a_socket_ends_the_connection(loop):
    left, right = socket.socketpair()
    with right:
        left.setblocking(False)
        right.setblocking(False)
        task = await waiting(loop.sock_recv(left, 10))
        left.close()
        assert await loop.sock_recv(right, 10) == b""
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_a_listener_refuses_connections(loop):
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    task = await waiting(loop.sock_accept(listening))
    address = listening.getsockname()
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.own("asyncio never ends the first")
async def test_a_number_that_is_used_again(loop):
    left, right = socket.socketpair()
    left.setblocking(False)
    task = await waiting(loop.sock_recv(left, 10))
    number = left.fileno()
    left.close()
    right.close()
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        again, peer = (one, other) if one.fileno() == number else (other, one)
        assert again.fileno() == number
        second = asyncio.ensure_future(loop.sock_recv(again, 10))
        with pytest.raises(OSError) as caught:
            await task
        assert caught.value.errno == errno.EBADF
        peer.send(b"abc")
        assert await second == b"abc"


async def test_a_closed_socket(loop):
    left, right = socket.socketpair()
    left.close()
    right.close()
    for operation in (
        loop.sock_recv(left, 10),
        loop.sock_recv_into(left, bytearray(10)),
        loop.sock_recvfrom(left, 10),
        loop.sock_sendall(left, b"x"),
        loop.sock_accept(left),
    ):
        with pytest.raises(OSError) as caught:
            await operation
        assert caught.value.errno == errno.EBADF


def test_a_loop_that_is_closed_meanwhile(new_loop, pair):
    loop = new_loop()

    async def start():
        return await waiting(loop.sock_recv(pair[0], 10))

    task = loop.run_until_complete(start())
    loop.close()
    pair[1].send(b"abc")
    assert not task.done()
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert pair[0].recv(10) == b"abc"


def test_a_closed_loop(new_loop, pair):
    loop = new_loop()
    loop.close()
    operation = loop.sock_recv(pair[0], 10)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        operation.send(None)


async def test_the_socket_is_let_go(loop, pair):
    left, right = pair
    task = await waiting(loop.sock_recv(left, 10))
    right.send(b"abc")
    await task
    del task
    gc.collect()
    before = sys.getrefcount(left)
    for _ in range(100):
        right.send(b"abc")
        await loop.sock_recv(left, 10)
        task = await waiting(loop.sock_recv(left, 10))
        right.send(b"abc")
        await task
        task = await waiting(loop.sock_recv(left, 10))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    del task
    await asyncio.sleep(0)
    gc.collect()
    assert sys.getrefcount(left) <= before + 2


# ---- what is refused ----


def operations(loop, sock):
    return (
        loop.sock_recv(sock, 10),
        loop.sock_recv_into(sock, bytearray(10)),
        loop.sock_recvfrom(sock, 10),
        loop.sock_recvfrom_into(sock, bytearray(10)),
        loop.sock_sendall(sock, b"x"),
        loop.sock_sendto(sock, b"x", ("127.0.0.1", 1)),
        loop.sock_connect(sock, ("127.0.0.1", 1)),
        loop.sock_accept(sock),
    )


async def test_blocking_sockets_in_debug_mode(loop, pair):
    loop.set_debug(True)
    for timeout in None, 1:
        pair[0].settimeout(timeout)
        for operation in operations(loop, pair[0]):
            with pytest.raises(ValueError, match="^the socket must be non-blocking$"):
                await operation


async def test_tls_sockets(loop, pair):
    ssl = pytest.importorskip("ssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with context.wrap_socket(pair[0], do_handshake_on_connect=False) as wrapped:
        for operation in operations(loop, wrapped):
            with pytest.raises(TypeError, match="^Socket cannot be of type SSLSocket$"):
                await operation


@pytest.mark.own("asyncio's loop would block")
async def test_a_blocking_socket_does_not_block_the_loop(loop, listener):
    left, right = socket.socketpair()
    listener.setblocking(True)
    with left, right, socket.socket() as client:
        receiving = await waiting(loop.sock_recv(left, 10))
        into = await waiting(loop.sock_recv_into(right, bytearray(10)))
        accepting = await waiting(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        assert client.gettimeout() is None
        connection, _ = await accepting
        assert connection.gettimeout() == 0
        connection.close()
        await loop.sock_sendall(right, b"abc")
        await loop.sock_sendall(left, b"abcd")
        assert await receiving == b"abc"
        assert await into == 4


async def test_bad_arguments(loop, pair):
    with pytest.raises(TypeError):
        await loop.sock_recv(pair[0])
    with pytest.raises(TypeError):
        await loop.sock_recv(pair[0], 1, 2)
    with pytest.raises(TypeError):
        await loop.sock_recv(pair[0], n=1, m=2)
    with pytest.raises(TypeError):
        await loop.sock_recv(pair[0], 1, n=2)
    pair[1].send(b"abc")
    assert await loop.sock_recv(sock=pair[0], n=10) == b"abc"
    with pytest.raises(AttributeError):
        await loop.sock_recv(None, 1)


# ---- what it is to others ----


async def test_it_is_a_coroutine(loop, pair):
    left, right = pair
    right.send(b"abc")
    operation = loop.sock_recv(left, 1)
    assert asyncio.iscoroutine(operation)
    assert isinstance(operation, collections.abc.Coroutine)
    assert inspect.isawaitable(operation)
    assert "sock_recv" in repr(operation)
    assert operation.__name__ == "sock_recv"
    assert operation.__qualname__.endswith(".sock_recv")
    assert await operation == b"a"
    with pytest.raises(RuntimeError, match="^cannot reuse already awaited coroutine$"):
        await operation
    assert await asyncio.create_task(loop.sock_recv(left, 1)) == b"b"
    assert await asyncio.gather(loop.sock_recv(left, 1)) == [b"c"]


async def test_in_a_task(loop, pair):
    left, right = pair
    task = await waiting(loop.sock_recv(left, 10))
    assert "sock_recv" in repr(task)
    task.get_stack()
    assert task.get_coro().cr_await is not None
    assert not task.get_coro().cr_running
    right.send(b"abc")
    assert await task == b"abc"


async def test_by_hand(loop, pair):
    left, right = pair
    operation = loop.sock_recv(left, 10)
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        operation.send(1)
    future = operation.send(None)
    assert asyncio.isfuture(future)
    right.send(b"abc")
    future._asyncio_future_blocking = False
    await future
    with pytest.raises(StopIteration) as caught:
        operation.send(None)
    assert caught.value.value == b"abc"


async def test_throwing(loop, pair):
    for thrown in (ValueError("mine"), ValueError):
        operation = loop.sock_recv(pair[0], 10)
        with pytest.raises(ValueError):
            operation.throw(thrown)
        operation = loop.sock_recv(pair[0], 10)
        operation.send(None)
        with pytest.raises(ValueError):
            operation.throw(thrown)
    with pytest.raises(TypeError):
        loop_operation = loop.sock_recv(pair[0], 10)
        try:
            loop_operation.throw("text")
        finally:
            loop_operation.close()


async def test_a_tuple_is_a_result(loop, datagrams):
    one, other = datagrams
    other.sendto(b"abc", one.getsockname())
    operation = loop.sock_recvfrom(one, 10)
    with pytest.raises(StopIteration) as caught:
        operation.send(None)
    assert caught.value.value == (b"abc", other.getsockname())


async def test_one_that_is_never_awaited(loop, pair):
    with pytest.warns(RuntimeWarning, match=r"^coroutine '.*sock_recv' was never awaited$"):
        loop.sock_recv(pair[0], 10)
        gc.collect()
    loop.sock_recv(pair[0], 10).close()


class Counting(socket.socket):
    calls = 0

    def recv(self, *args):
        self.calls += 1
        return super().recv(*args).upper()

    def send(self, data):
        self.calls += 1
        return super().send(bytes(data)[:2])


async def test_methods_of_a_subclass_are_called(loop, pair):
    with Counting(fileno=pair[0].detach()) as left:
        task = await waiting(loop.sock_recv(left, 10))
        pair[1].send(b"abc")
        assert await task == b"ABC"
        assert left.calls >= 2
        await loop.sock_sendall(left, memoryview(b"abcde"))
        assert await loop.sock_recv(pair[1], 10) == b"abcde"


async def test_a_patched_class(loop, pair, monkeypatch):
    original = socket.socket.recv
    seen = []

    def recv(self, *args):
        seen.append(args)
        return original(self, *args)

    pair[1].send(b"abcdef")
    assert await loop.sock_recv(pair[0], 1) == b"a"
    monkeypatch.setattr(socket.socket, "recv", recv, raising=False)
    assert await loop.sock_recv(pair[0], 2) == b"bc"
    monkeypatch.undo()
    assert await loop.sock_recv(pair[0], 3) == b"def"
    assert seen == [(2,)]


async def test_a_thread_that_sends(loop, pair):
    left, right = pair

    def send():
        for number in range(100):
            right.send(bytes([number]))

    thread = threading.Thread(target=send)
    thread.start()
    got = b""
    while len(got) < 100:
        got += await loop.sock_recv(left, 7)
    thread.join()
    assert got == bytes(range(100))


async def test_many_at_once(loop):
    pairs = [socket.socketpair() for _ in range(400)]
    for left, right in pairs:
        left.setblocking(False)
        right.setblocking(False)

    async def echo(sock):
        while data := await loop.sock_recv(sock, 100):
            await loop.sock_sendall(sock, data)

    async def ask(sock):
        for number in range(10):
            await loop.sock_sendall(sock, b"%d" % number)
            assert await loop.sock_recv(sock, 100) == b"%d" % number
        sock.close()

    echoing = [asyncio.ensure_future(echo(left)) for left, _ in pairs]
    await asyncio.gather(*(ask(right) for _, right in pairs))
    await asyncio.gather(*echoing)
    for left, _ in pairs:
        left.close()


@pytest.mark.own("from 3.12 on a coroutine makes one argument of the tuple")
async def test_what_is_thrown_into_one_is_made_as_by_a_coroutine(loop, pair):
    class Fake(Exception):
        def __new__(cls):
            return 5

    def thrown(*args):
        operation = loop.sock_recv(pair[0], 1)
        with pytest.raises(BaseException) as raised:
            operation.throw(*args)
        operation.close()
        return raised.value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of more than one argument
        assert type(thrown(Fake)) is TypeError
        assert thrown(OSError, (2, "text")).errno == 2
        error = FileNotFoundError(3, "text")
        assert thrown(OSError, error) is error
        assert thrown(KeyError, None).args == ()
        error = ValueError("itself")
        assert thrown(error) is error
        assert type(thrown(5)) is TypeError
        assert str(thrown(error, 1)) == "instance exception may not have a separate value"


# ---- lack of memory ----


class Failing(asyncio.Future):
    """A future of which one method finds no memory, once."""

    def __init__(self, name, loop):
        super().__init__(loop=loop)
        self.name = name

    def fail(self, name):
        if self.name == name:
            self.name = None
            raise MemoryError

    def done(self):
        self.fail("done")
        return super().done()

    def set_result(self, result):
        self.fail("set_result")
        super().set_result(result)


def waiting_for(method, loop, sock):
    """A task that receives, and waits for a future of which that method fails."""
    loop.create_future = functools.partial(Failing, method, loop)
    receiving = loop.run_until_complete(waiting(loop.sock_recv(sock, 100)))
    del loop.create_future
    return receiving


@pytest.mark.own("asyncio's loops report it, and the task waits for ever")
def test_a_wakeup_that_fails_leaves_the_run(loop, pair):
    receiving = waiting_for("set_result", loop, pair[0])
    pair[1].send(b"hello")
    with pytest.raises(MemoryError):
        loop.run_until_complete(receiving)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(receiving)


@pytest.mark.own("asyncio's loops report it, and the task waits for ever")
def test_a_future_that_cannot_be_asked_fails_its_task(loop, pair):
    receiving = waiting_for("done", loop, pair[0])
    pair[1].send(b"hello")
    with pytest.raises(MemoryError):
        loop.run_until_complete(receiving)
    assert loop.run_until_complete(loop.sock_recv(pair[0], 100)) == b"hello"


class Forgetful(socket.socket):
    """A socket that finds no memory for its number, once it is told so."""

    forgets = False

    def fileno(self):
        if self.forgets:
            raise MemoryError
        return super().fileno()


@pytest.mark.own("asyncio's loops ask for no number")
def test_a_number_that_takes_memory_fails_its_task(loop, pair):
    with Forgetful(fileno=pair[0].detach()) as sock:
        sock.setblocking(False)
        receiving = loop.run_until_complete(waiting(loop.sock_recv(sock, 100)))
        sock.forgets = True
        pair[1].send(b"hello")
        with pytest.raises(MemoryError):
            loop.run_until_complete(receiving)
        sock.forgets = False
        assert loop.run_until_complete(loop.sock_recv(sock, 100)) == b"hello"
