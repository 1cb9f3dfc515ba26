"""StreamReader: fed from C where it is asyncio's own, and by asyncio's code where anybody has changed something."""

import asyncio
import contextvars
import gc
import sys

import pytest

from transports import connect, receive

variable = contextvars.ContextVar("variable", default="none")


@pytest.fixture
def stream(loop):
    """stream(**options): reader, writer, the other end. They are closed after the test."""
    opened = []

    def open_stream(reader_type=asyncio.StreamReader, protocol_type=asyncio.StreamReaderProtocol, limit=2**16):
        reader = reader_type(limit=limit, loop=loop)
        protocol = protocol_type(reader, loop=loop)
        transport, peer = connect(loop, protocol)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        opened.append((writer, peer))
        return reader, writer, peer

    yield open_stream
    for writer, peer in opened:
        writer.transport.abort()
        peer.close()
    loop.run_until_complete(turns(3))


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def until_fed(reader, size):
    while len(reader._buffer) < size:
        await asyncio.sleep(0.001)


def calls_of_feeding(function):
    """What of asyncio's feeding is called as Python code, by name."""
    seen = []

    def note(frame, event, arg):
        if event == "call" and frame.f_code.co_name in ("data_received", "feed_data", "_wakeup_waiter"):
            seen.append(frame.f_code.co_name)

    async def watched():
        sys.setprofile(note)
        try:
            await function
        finally:
            sys.setprofile(None)
        return seen

    return watched()


async def test_a_reader_reads(stream):
    reader, writer, peer = stream()
    peer.send(b"one\ntwo\nrest")
    assert await reader.readline() == b"one\n"
    assert await reader.readuntil(b"\n") == b"two\n"
    assert await reader.readexactly(2) == b"re"
    peer.send(b"!" * 100000)
    assert await reader.readexactly(100002) == b"st" + b"!" * 100000
    peer.send(b"end")
    peer.close()
    assert await reader.read() == b"end"
    assert reader.at_eof() and await reader.read(1) == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.own("asyncio feeds it by Python code")
async def test_it_is_fed_without_python_code(stream):
    reader, writer, peer = stream()
    peer.send(b"x")
    assert await calls_of_feeding(reader.read(1)) == []


async def test_waiters_are_woken_once(stream):
    reader, writer, peer = stream()
    task = asyncio.ensure_future(reader.readexactly(2))
    await turns(3)
    waiter = reader._waiter
    peer.send(b"a")
    await until_fed(reader, 1)
    assert waiter.done() and waiter.result() is None
    peer.send(b"b")
    assert await task == b"ab"
    assert reader._waiter is None


async def test_a_cancelled_waiter_is_skipped(stream):
    reader, writer, peer = stream()
    await turns(3)
    waiter = asyncio.get_running_loop().create_future()
    reader._waiter = waiter
    waiter.cancel()
    peer.send(b"x")
    await until_fed(reader, 1)
    assert reader._waiter is None and not writer.is_closing()


async def test_a_cancelled_read_loses_nothing(stream):
    reader, writer, peer = stream()
    task = asyncio.ensure_future(reader.read(10))
    await turns(2)
    task.cancel()
    peer.send(b"x")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reader.read(10) == b"x"


async def test_reading_is_paused_above_twice_the_limit(stream):
    reader, writer, peer = stream(limit=10)
    peer.send(b"x" * 20)
    await until_fed(reader, 20)
    assert not reader._paused and writer.transport.is_reading()
    peer.send(b"x")
    await until_fed(reader, 21)
    assert reader._paused and not writer.transport.is_reading()
    peer.send(b"y" * 30)
    await turns(5)
    assert len(reader._buffer) == 21
    assert await reader.readexactly(11) == b"x" * 11
    assert not reader._paused and writer.transport.is_reading()
    assert await reader.readexactly(40) == b"x" * 10 + b"y" * 30


@pytest.mark.parametrize("limit", [0.5, 10.0, float("inf"), 10**30], ids=str)
async def test_a_limit_of_any_size(stream, limit):
    reader, writer, peer = stream(limit=limit)
    peer.send(b"x" * 30)
    await until_fed(reader, 30)
    assert reader._paused == (30 > 2 * limit)


async def test_a_transport_that_cannot_pause_is_forgotten(stream):
    class Unpausable:
        def pause_reading(self):
            raise NotImplementedError

    reader, writer, peer = stream(limit=1)
    await turns(3)
    reader._transport = Unpausable()
    peer.send(b"x" * 10)
    await until_fed(reader, 10)
    assert reader._transport is None and not reader._paused
    peer.send(b"x" * 10)
    await until_fed(reader, 20)


def test_pausing_may_fail(loop, run, stream):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    error = ValueError("mine")

    class Failing:
        def pause_reading(self):
            raise error

    reader, writer, peer = stream(limit=1)
    run(turns(3))
    reader._transport = Failing()
    peer.send(b"x" * 10)
    with pytest.raises(ValueError, match="mine"):
        run(writer.wait_closed())
    assert contexts[0]["message"] == "Fatal error: protocol.data_received() call failed."
    assert contexts[0]["exception"] is error and reader.exception() is error


def test_a_buffer_that_is_exported_cannot_grow(loop, run, stream):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    reader, writer, peer = stream()
    run(turns(3))
    reader._buffer.extend(b"x")
    with memoryview(reader._buffer):
        peer.send(b"y")
        with pytest.raises(BufferError):
            run(writer.wait_closed())
    assert contexts[0]["message"] == "Fatal error: protocol.data_received() call failed."
    assert reader._buffer == b"x"


def test_data_after_the_end_is_refused(loop, run, stream):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    reader, writer, peer = stream()
    run(turns(3))
    reader.feed_eof()
    peer.send(b"x")
    with pytest.raises(AssertionError):
        run(writer.wait_closed())
    assert str(contexts[0]["exception"]) == "feed_data after feed_eof"
    assert reader._buffer == b""


async def test_a_buffer_of_another_type(stream):
    class Loud(bytearray):
        extended = 0

        def extend(self, data):
            self.extended += 1
            super().extend(data)

    reader, writer, peer = stream()
    await turns(3)
    reader._buffer = Loud()
    peer.send(b"x")
    await until_fed(reader, 1)
    assert reader._buffer.extended == 1


async def test_a_reader_that_is_gone_loses_the_data(loop):
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, peer = connect(loop, protocol)
    with peer:
        await turns(3)
        reader._transport = None
        del reader
        gc.collect()
        peer.send(b"x")
        await turns(5)
        assert not transport.is_closing()
        transport.abort()
        await turns(3)


# ---- whoever changes something has it respected ----


@pytest.mark.parametrize("name", ["feed_data", "_wakeup_waiter"])
@pytest.mark.parametrize("where", ["instance", "class", "later in the class"])
async def test_a_patched_reader(stream, monkeypatch, name, where):
    seen = []
    own = getattr(asyncio.StreamReader, name)

    def patched(self, *args):
        seen.append(args)
        return own(self, *args)

    if where == "class":
        monkeypatch.setattr(asyncio.StreamReader, name, patched)
    reader, writer, peer = stream()
    if where != "class":
        peer.send(b"1")
        await until_fed(reader, 1)
        assert not seen
    if where == "instance":
        setattr(reader, name, patched.__get__(reader))
    elif where == "later in the class":
        monkeypatch.setattr(asyncio.StreamReader, name, patched)
    peer.send(b"2")
    await until_fed(reader, 1 if where == "class" else 2)
    assert seen == [(b"2",) if name == "feed_data" else ()]
    if where == "instance":
        delattr(reader, name)
    else:
        monkeypatch.undo()
    peer.send(b"3")
    await until_fed(reader, 2 if where == "class" else 3)
    assert len(seen) == 1


@pytest.mark.parametrize("where", ["instance", "class"])
async def test_a_patched_protocol(stream, monkeypatch, where):
    seen = []
    reader, writer, peer = stream()
    peer.send(b"1")
    await until_fed(reader, 1)
    protocol = writer.transport.get_protocol()
    if where == "class":
        monkeypatch.setattr(asyncio.StreamReaderProtocol, "data_received", lambda self, data: seen.append(data))
    else:
        protocol.data_received = seen.append
    peer.send(b"2")
    while not seen:
        await asyncio.sleep(0.001)
    assert seen == [b"2"] and reader._buffer == b"1"


@pytest.mark.parametrize("kind", ["reader", "protocol"])
async def test_subclasses(stream, kind):
    seen = []

    class Reader(asyncio.StreamReader):
        def feed_data(self, data):
            seen.append(data)
            super().feed_data(data)

    class Protocol(asyncio.StreamReaderProtocol):
        def data_received(self, data):
            seen.append(data)
            super().data_received(data)

    reader, writer, peer = stream(**({"reader_type": Reader} if kind == "reader" else {"protocol_type": Protocol}))
    peer.send(b"x")
    assert await reader.read(1) == b"x"
    assert seen == [b"x"]


async def test_a_reader_whose_class_is_changed(stream):
    seen = []

    class Reader(asyncio.StreamReader):
        def feed_data(self, data):
            seen.append(data)
            super().feed_data(data)

    reader, writer, peer = stream()
    peer.send(b"1")
    await until_fed(reader, 1)
    reader.__class__ = Reader
    peer.send(b"2")
    await until_fed(reader, 2)
    assert seen == [b"2"]


async def test_another_protocol_ends_it(stream, loop):
    reader, writer, peer = stream()
    peer.send(b"1")
    await until_fed(reader, 1)
    seen = []

    class Other(asyncio.Protocol):
        def data_received(self, data):
            seen.append(data)

    first = writer.transport.get_protocol()
    writer.transport.set_protocol(Other())
    peer.send(b"2")
    while not seen:
        await asyncio.sleep(0.001)
    assert reader._buffer == b"1"
    writer.transport.set_protocol(first)
    peer.send(b"3")
    await until_fed(reader, 2)
    assert reader._buffer == b"13"


async def test_a_waiter_is_woken_in_the_context_of_the_connection(stream, loop):
    class Waiter(asyncio.Future):
        def set_result(self, result):
            seen.append(variable.get())
            super().set_result(result)

    seen = []
    variable.set("connection")
    reader, writer, peer = stream()
    variable.set("later")
    await turns(3)
    reader._waiter = Waiter(loop=loop)
    peer.send(b"x")
    await until_fed(reader, 1)
    assert seen == ["connection"]


def test_a_waiter_may_fail(loop, run, stream):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    reader, writer, peer = stream()
    run(turns(3))
    waiter = loop.create_future()
    waiter.set_result("somebody else's")
    reader._waiter = waiter
    peer.send(b"x")
    with pytest.raises(asyncio.InvalidStateError):
        run(writer.wait_closed())
    assert reader._buffer == b"x" and reader._waiter is None
    assert contexts[0]["message"] == "Fatal error: protocol.data_received() call failed."


async def test_references_stay_the_same(stream):
    reader, writer, peer = stream(limit=10)
    protocol = writer.transport.get_protocol()

    async def exchange(count):
        for _ in range(count):
            peer.send(b"x" * 30)
            await reader.readexactly(30)
            writer.write(b"y")
        await receive(peer, count)

    await exchange(5)
    before = [sys.getrefcount(thing) for thing in (reader, writer.transport, protocol, reader._loop)]
    await exchange(100)
    after = [sys.getrefcount(thing) for thing in (reader, writer.transport, protocol, reader._loop)]
    assert all(abs(a - b) < 5 for a, b in zip(before, after))
