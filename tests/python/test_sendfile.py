"""sendfile() and sock_sendfile(): parts, ends, positions, fallbacks, and what goes on beside them."""

import asyncio
import io
import os
import socket

import pytest

DATA = bytes(range(256)) * 12_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as opened:
        yield opened


@pytest.fixture
def pair(pair):
    """One of whose ends takes little at a time."""
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    return pair


async def receive(loop, sock, count=None):
    got = bytearray()
    while count is None or len(got) < count:
        data = await loop.sock_recv(sock, 1 << 20)
        if not data:
            break
        got += data
    return bytes(got)


async def waiting(awaitable):
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


class Recorder(asyncio.Protocol):
    def __init__(self, loop):
        self.events = []
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.events.append(data)

    def eof_received(self):
        self.events.append("eof")

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def connected(loop, pair):
    """A transport over the pair's first socket, and its protocol."""
    protocol = Recorder(loop)
    waiter = loop.create_future()
    transport = loop._make_socket_transport(socket.socket(fileno=pair[0].detach()), protocol, waiter)
    await waiter
    return transport, protocol


# ---- sockets ----


async def test_a_whole_file(loop, pair, file):
    task = asyncio.ensure_future(receive(loop, pair[1], len(DATA)))
    assert await loop.sock_sendfile(pair[0], file) == len(DATA)
    assert await task == DATA
    assert file.tell() == len(DATA)


@pytest.mark.parametrize(
    "offset, count, sent",
    [(0, 10, 10), (1000, 100_000, 100_000), (len(DATA) - 5, 100, 5), (len(DATA), None, 0), (5, None, len(DATA) - 5)],
)
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_part(loop, pair, file, offset, count, sent, fallback):
    task = asyncio.ensure_future(receive(loop, pair[1], sent))
    assert await loop.sock_sendfile(pair[0], file, offset, count, fallback=fallback) == sent
    assert await task == DATA[offset : offset + sent]
    if sent:
        assert file.tell() == offset + sent


async def test_an_empty_file(loop, pair, tmp_path):
    (tmp_path / "empty").touch()
    with open(tmp_path / "empty", "rb") as empty:
        assert await loop.sock_sendfile(pair[0], empty) == 0


async def test_what_is_no_file(loop, pair):
    task = asyncio.ensure_future(receive(loop, pair[1], len(DATA)))
    with pytest.raises(asyncio.SendfileNotAvailableError, match="^not a regular file$"):
        await loop.sock_sendfile(pair[0], io.BytesIO(DATA), fallback=False)
    file = io.BytesIO(DATA)
    assert await loop.sock_sendfile(pair[0], file, 10, 100_000) == 100_000
    assert file.tell() == 100_010
    assert await loop.sock_sendfile(pair[0], io.BytesIO(DATA), 100_010) == len(DATA) - 100_010
    task.cancel()


@pytest.mark.own("asyncio 3.14 raises what looking for the file's position says")
async def test_a_file_that_the_kernel_cannot_send(loop, pair):
    here, there = os.pipe()
    with open(here, "rb", buffering=0) as file:
        os.write(there, b"abc")
        os.close(there)
        with pytest.raises(asyncio.SendfileNotAvailableError, match="^os.sendfile call failed$"):
            await loop.sock_sendfile(pair[0], file, 0, 10, fallback=False)


@pytest.mark.parametrize(
    "arguments, error",
    [
        ((0, 0), ValueError),
        ((0, -1), ValueError),
        ((0, "1"), TypeError),
        ((-1, 1), ValueError),
        (("1", 1), TypeError),
        ((1.0, 1), TypeError),
    ],
)
async def test_bad_arguments(loop, pair, file, arguments, error):
    with pytest.raises(error, match="must be a (positive|non-negative) integer"):
        await loop.sock_sendfile(pair[0], file, *arguments)


async def test_what_cannot_be_sent(loop, pair, tmp_path):
    (tmp_path / "text").write_text("text")
    with open(tmp_path / "text") as text, pytest.raises(ValueError, match="^file should be opened in binary mode$"):
        await loop.sock_sendfile(pair[0], text)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, open(tmp_path / "text", "rb") as file:
        datagrams.setblocking(False)
        with pytest.raises(ValueError, match="^only SOCK_STREAM type sockets are supported$"):
            await loop.sock_sendfile(datagrams, file)
    loop.set_debug(True)
    pair[0].setblocking(True)
    with open(tmp_path / "text", "rb") as file, pytest.raises(ValueError, match="^the socket must be non-blocking$"):
        await loop.sock_sendfile(pair[0], file)


@pytest.mark.own("asyncio leaves the position where it was")
async def test_a_cancelled_one_says_how_far_it_came(loop, pair, file):
    task = await waiting(loop.sock_sendfile(pair[0], file, 100))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pair[0].close()
    assert await receive(loop, pair[1]) == DATA[100 : file.tell()]
    assert file.tell() > 100


async def test_a_peer_that_goes(loop, pair, file):
    task = await waiting(loop.sock_sendfile(pair[0], file))
    sent = len(pair[1].recv(100))
    pair[1].close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        await task
    assert file.tell() >= sent


async def test_a_file_that_grows(loop, pair, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as file:
        task = await waiting(loop.sock_sendfile(pair[0], file))
        with open(path, "ab") as more:
            more.write(b"more")
        assert await receive(loop, pair[1], len(DATA) + 4) == DATA + b"more"
        assert await task == len(DATA) + 4


async def test_a_file_that_shrinks(loop, pair, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as file:
        task = await waiting(loop.sock_sendfile(pair[0], file))
        os.truncate(path, len(DATA) // 2)
        got = await receive(loop, pair[1], len(DATA) // 2)
        assert got == DATA[: len(DATA) // 2]
        assert await task == len(DATA) // 2


@pytest.mark.own("asyncio's loop would block")
async def test_a_blocking_socket(loop, pair, file):
    pair[0].setblocking(True)
    task = await waiting(loop.sock_sendfile(pair[0], file))
    assert await receive(loop, pair[1], len(DATA)) == DATA
    assert await task == len(DATA)
    assert pair[0].gettimeout() is None


async def turn(loop, times):
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.mark.own("before 3.14 the position stayed where it was")
@pytest.mark.parametrize("offset", [0, 100, len(DATA)])
async def test_the_position_after_nothing_was_sent(loop, pair, file, offset):
    file.seek(7)
    os.truncate(file.name, offset)
    assert await loop.sock_sendfile(pair[0], file, offset, 10) == 0
    assert file.tell() == offset
    transport, protocol = await connected(loop, pair)
    file.seek(7)
    assert await loop.sendfile(transport, file, offset, 10) == 0
    assert file.tell() == offset
    transport.close()
    await protocol.lost


@pytest.mark.own("asyncio leaves the position where it was")
@pytest.mark.parametrize("turns", range(8))
async def test_a_socket_that_is_cancelled_wherever_it_waits(loop, pair, file, turns):
    task = asyncio.ensure_future(loop.sock_sendfile(pair[0], file, 3))
    await turn(loop, turns)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    position = file.tell()
    got = asyncio.ensure_future(receive(loop, pair[1]))
    await loop.sock_sendall(pair[0], b"after")
    pair[0].close()
    assert await got == (DATA[3:position] if turns else b"") + b"after"


async def test_a_directory(loop, pair, tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)

    class Directory:
        def fileno(self):
            return directory

    with pytest.raises(asyncio.SendfileNotAvailableError, match="^os.sendfile call failed$"):
        await loop.sock_sendfile(pair[0], Directory(), 0, 10, fallback=False)
    os.close(directory)


# ---- transports ----


@pytest.mark.parametrize("fallback", [False, True])
async def test_a_transport(loop, pair, file, fallback):
    transport, protocol = await connected(loop, pair)
    transport.write(b"before")
    task = asyncio.ensure_future(receive(loop, pair[1]))
    assert await loop.sendfile(transport, file, 10, 1_000_000, fallback=fallback) == 1_000_000
    assert file.tell() == 1_000_010
    transport.write(b"after")
    transport.close()
    assert await task == b"before" + DATA[10:1_000_010] + b"after"
    assert await protocol.lost is None


async def test_what_was_written_before_goes_first(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    transport.write(DATA)
    task = await waiting(loop.sendfile(transport, file))
    got = await receive(loop, pair[1], 2 * len(DATA))
    assert got == DATA + DATA
    assert await task == len(DATA)
    transport.close()
    await protocol.lost


async def test_by_reading_it(loop, pair):
    transport, protocol = await connected(loop, pair)
    file = io.BytesIO(DATA)
    with pytest.raises(asyncio.SendfileNotAvailableError, match="^not a regular file$"):
        await loop.sendfile(transport, file, fallback=False)
    task = asyncio.ensure_future(receive(loop, pair[1]))
    assert await loop.sendfile(transport, file, 5) == len(DATA) - 5
    assert file.tell() == len(DATA)
    transport.close()
    assert await task == DATA[5:]
    await protocol.lost
    assert protocol.events.count("pause") == protocol.events.count("resume")


async def test_nothing_else_is_written_meanwhile(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    task = await waiting(loop.sendfile(transport, file))
    for write in (lambda: transport.write(b"x"), lambda: transport.writelines([b"x"])):
        with pytest.raises(RuntimeError, match="sendfile is in progress"):
            write()
    assert not transport.is_reading()
    pair[1].send(b"question")
    assert await receive(loop, pair[1], len(DATA)) == DATA
    assert await task == len(DATA)
    assert transport.is_reading()
    while not protocol.events:
        await asyncio.sleep(0)
    assert protocol.events == [b"question"]
    transport.close()
    await protocol.lost


async def test_reading_that_was_paused_stays_so(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    transport.pause_reading()
    await loop.sendfile(transport, file, 0, 10)
    assert not transport.is_reading()
    transport.close()
    await protocol.lost


@pytest.mark.own("asyncio leaves the position where it was")
async def test_a_transport_that_is_cancelled(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    task = await waiting(loop.sendfile(transport, file))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert transport.is_reading()
    position = file.tell()
    transport.write(b"after")
    transport.close()
    assert await receive(loop, pair[1]) == DATA[:position] + b"after"
    await protocol.lost


@pytest.mark.own("asyncio leaves the position where it was")
@pytest.mark.parametrize("turns", range(8))
async def test_a_transport_that_is_cancelled_wherever_it_waits(loop, pair, file, turns):
    transport, protocol = await connected(loop, pair)
    task = asyncio.ensure_future(loop.sendfile(transport, file, 3))
    await turn(loop, turns)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sent = file.tell() - 3 if turns else 0
    transport.write(b"after")
    transport.close()
    assert await receive(loop, pair[1]) == DATA[3 : 3 + max(sent, 0)] + b"after"
    await protocol.lost


@pytest.mark.own("asyncio waits for ever")
async def test_a_transport_that_is_closed_meanwhile(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    task = await waiting(loop.sendfile(transport, file))
    transport.close()
    with pytest.raises(ConnectionError):
        await task
    assert await protocol.lost is None
    assert await receive(loop, pair[1]) == DATA[: file.tell()]


@pytest.mark.own("asyncio waits for ever")
@pytest.mark.parametrize("written", [b"", DATA], ids=["nothing", "much"])
async def test_a_transport_that_is_aborted_meanwhile(loop, pair, file, written):
    transport, protocol = await connected(loop, pair)
    transport.write(written)
    task = await waiting(loop.sendfile(transport, file))
    transport.abort()
    with pytest.raises(ConnectionError):
        await task
    await protocol.lost


async def test_a_transport_whose_peer_goes(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    task = await waiting(loop.sendfile(transport, file))
    pair[1].close()
    with pytest.raises(ConnectionError):
        await task
    transport.abort()
    await protocol.lost


async def test_a_closed_transport(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    transport.close()
    with pytest.raises(RuntimeError, match="^Transport is closing$"):
        await loop.sendfile(transport, file)
    await protocol.lost


class Open(asyncio.Transport):
    def is_closing(self):
        return False


async def test_what_is_no_such_transport(loop, file):
    with pytest.raises(RuntimeError, match="^sendfile is not supported for transport "):
        await loop.sendfile(Open(), file)


@pytest.mark.own("asyncio's loop warns of a task that is left")
@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("by", ["socket", "transport"])
def test_a_loop_that_is_closed_meanwhile(new_loop, tmp_path, by, turns):
    loop = new_loop()
    path = tmp_path / "file"
    path.write_bytes(DATA)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with open(path, "rb") as file, theirs, ours:
        if by == "socket":
            sending = loop.sock_sendfile(ours, file)
        else:
            transport, _ = loop.run_until_complete(connected(loop, [ours, theirs]))
            sending = loop.sendfile(transport, file)
        sending.send(None)
        for _ in range(turns):
            loop.run_until_complete(asyncio.sleep(0))
        if by == "transport":
            transport.abort()
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        sending.close()


# ---- whose descriptors they are ----


async def test_a_transports_descriptor(loop, pair, file):
    transport, protocol = await connected(loop, pair)
    sock = transport.get_extra_info("socket")
    number = sock.fileno()
    refused = rf"^File descriptor {number} is used by transport <"
    for method in (loop.add_reader, loop.add_writer):
        with pytest.raises(RuntimeError, match=refused):
            method(number, print)
    for method in (loop.remove_reader, loop.remove_writer):
        with pytest.raises(RuntimeError, match=refused):
            method(number)
    with pytest.raises(RuntimeError, match="^File descriptor <asyncio.TransportSocket .* is used by transport <"):
        loop.add_reader(sock, print)
    with pytest.raises(RuntimeError, match=refused):
        await loop.sock_recv(sock._sock, 10)
    with pytest.raises(RuntimeError):
        await loop.sock_sendfile(sock._sock, file)
    transport.close()
    await protocol.lost


@pytest.mark.own("asyncio's transport reports it, and whoever sends waits for ever")
def test_an_empty_buffer_that_cannot_be_told_leaves_the_run(loop):
    class Failing(asyncio.Future):
        def set_result(self, result):
            raise MemoryError

    ours, theirs = socket.socketpair()
    with theirs:
        transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
        transport.write(bytes(10_000_000))
        loop.create_future = lambda: Failing(loop=loop)
        waiter = transport._make_empty_waiter()
        del loop.create_future
        theirs.setblocking(False)
        loop.add_reader(theirs, lambda: theirs.recv(1 << 20))
        with pytest.raises(MemoryError):
            loop.run_forever()
        loop.remove_reader(theirs)
        waiter.cancel()
        transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
