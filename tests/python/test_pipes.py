"""Pipe transports: reading and writing ends, of pipes, FIFOs, terminals and sockets; what is refused, and how each ends."""

import asyncio
import contextlib
import errno
import gc
import io
import logging
import os
import socket
import tty
import warnings

import pytest

from transports import Buffered, Recorder

NOT_READABLE = "Pipe transport is for pipes/sockets only."
NOT_WRITABLE = "Pipe transport is only for pipes, sockets and character devices"


class Pipe:
    """The two ends of something: descriptors, and Python's objects for them."""

    def __init__(self, kind, path):
        if kind == "pipe":
            reader, writer = os.pipe()
        elif kind == "sockets":
            reader, writer = (end.detach() for end in socket.socketpair())
        else:
            os.mkfifo(path)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            writer = os.open(path, os.O_WRONLY)
            os.set_blocking(reader, True)
        self.reader = open(reader, "rb", 0)
        self.writer = open(writer, "wb", 0)


@pytest.fixture(params=["pipe", "fifo", "sockets"])
def pipe(request, tmp_path):
    made = Pipe(request.param, tmp_path / "fifo")
    with made.reader, made.writer:
        yield made


@pytest.fixture
def terminal():
    """(master, slave) of a raw pseudo-terminal: unbuffered objects for the descriptors."""
    master, slave = os.openpty()
    tty.setraw(slave)
    with open(master, "r+b", 0) as one, open(slave, "r+b", 0) as other:
        yield one, other


async def read_end(loop, pipe, protocol):
    transport, same = await loop.connect_read_pipe(lambda: protocol, pipe)
    assert same is protocol and protocol.transport is transport
    return transport


async def write_end(loop, pipe, protocol):
    transport, same = await loop.connect_write_pipe(lambda: protocol, pipe)
    assert same is protocol and protocol.transport is transport
    return transport


async def fill(transport):
    """Write until nothing more fits; how many bytes that were."""
    total = 0
    while transport.get_write_buffer_size() == 0:
        transport.write(b"x" * 10000)
        total += 10000
    return total


# ---- reading ----


async def test_reads_to_the_end(loop, pipe):
    protocol = Recorder(keep_open=True)  # which means nothing here
    transport = await read_end(loop, pipe.reader, protocol)
    assert isinstance(transport, asyncio.ReadTransport)
    assert transport.get_extra_info("pipe") is pipe.reader
    assert transport.get_extra_info("socket", "none") == "none"
    assert transport.get_protocol() is protocol
    received = protocol.next("data_received")
    pipe.writer.write(b"one")
    await received
    pipe.writer.write(b"two")
    pipe.writer.close()
    await protocol.wait_for("connection_lost")
    assert b"".join(event[1] for event in protocol.events if event[0] == "data_received") == b"onetwo"
    assert protocol.events[-2:] == [("eof_received",), ("connection_lost", None)]
    assert transport.is_closing()
    await asyncio.sleep(0)
    assert pipe.reader.closed


async def test_is_closing_when_the_end_is_told(loop, pipe):
    told = []

    class Protocol(Recorder):
        def eof_received(self):
            told.append(self.transport.is_closing())

    protocol = Protocol()
    await read_end(loop, pipe.reader, protocol)
    pipe.writer.close()
    await protocol.wait_for("connection_lost")
    assert told == [True]


async def test_reads_what_was_there_before(loop, pipe):
    pipe.writer.write(b"before")
    pipe.writer.close()
    protocol = Recorder()
    await read_end(loop, pipe.reader, protocol)
    await protocol.wait_for("connection_lost")
    assert protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]


@pytest.mark.own("asyncio's loop calls data_received() of any protocol")
async def test_reads_into_a_buffer(loop, pipe):
    protocol = Buffered()
    await read_end(loop, pipe.reader, protocol)
    pipe.writer.write(b"some")
    pipe.writer.close()
    await protocol.wait_for("connection_lost")
    assert ("buffer_updated", b"some") in protocol.events


async def test_pauses_reading(loop, pipe):
    protocol = Recorder()
    transport = await read_end(loop, pipe.reader, protocol)
    transport.pause_reading()
    transport.pause_reading()
    pipe.writer.write(b"held back")
    for _ in range(5):
        await asyncio.sleep(0)
    assert protocol.names == ["connection_made"]
    transport.resume_reading()
    transport.resume_reading()
    await protocol.wait_for("data_received")
    transport.close()
    await protocol.wait_for("connection_lost")


async def test_a_new_protocol_gets_what_comes(loop, pipe):
    first, second = Recorder(), Recorder()
    transport = await read_end(loop, pipe.reader, first)
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    pipe.writer.write(b"for the second")
    pipe.writer.close()
    await second.wait_for("connection_lost")
    assert second.names == ["data_received", "eof_received", "connection_lost"]
    assert first.names == ["connection_made"]


async def test_close_while_it_reads(loop, pipe):
    protocol = Recorder()
    transport = await read_end(loop, pipe.reader, protocol)
    transport.close()
    transport.close()
    assert transport.is_closing() and protocol.names == ["connection_made"]
    await protocol.wait_for("connection_lost")
    assert protocol.events[1:] == [("connection_lost", None)]
    await asyncio.sleep(0)
    assert pipe.reader.closed


async def test_stream_reader(loop, pipe):
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe.reader)
    pipe.writer.write(b"a line\nrest")
    assert await reader.readline() == b"a line\n"
    pipe.writer.write(b"!" * 1000)
    assert await reader.readexactly(5) == b"rest!"
    pipe.writer.close()
    assert await reader.read() == b"!" * 999
    transport.close()


async def test_an_error_of_the_protocol_is_reported_and_reading_goes_on(loop, contexts, pipe):
    class Protocol(Recorder):
        def data_received(self, data):
            super().data_received(data)
            if data == b"bad":
                raise ZeroDivisionError

    protocol = Protocol()
    await read_end(loop, pipe.reader, protocol)
    received = protocol.next("data_received")
    pipe.writer.write(b"bad")
    await received
    pipe.writer.write(b"good")
    pipe.writer.close()
    await protocol.wait_for("connection_lost")
    assert ("data_received", b"good") in protocol.events
    assert protocol.events[-1] == ("connection_lost", None)
    (context,) = contexts
    assert context["message"].startswith("Exception in callback")
    assert isinstance(context["exception"], ZeroDivisionError)


async def test_an_error_at_the_end_is_reported(loop, contexts, pipe):
    class Protocol(Recorder):
        def eof_received(self):
            raise ZeroDivisionError

    protocol = Protocol()
    await read_end(loop, pipe.reader, protocol)
    pipe.writer.close()
    await protocol.wait_for("connection_lost")
    assert protocol.events[-1] == ("connection_lost", None)
    (context,) = contexts
    assert isinstance(context["exception"], ZeroDivisionError)


# ---- writing ----


async def test_writes(loop, pipe):
    protocol = Recorder()
    transport = await write_end(loop, pipe.writer, protocol)
    assert isinstance(transport, asyncio.WriteTransport)
    assert transport.can_write_eof() and transport.get_write_buffer_size() == 0
    assert transport.get_write_buffer_limits() == (16384, 65536)
    assert transport.get_extra_info("pipe") is pipe.writer
    transport.write(b"one ")
    transport.write(bytearray(b"two "))
    transport.write(memoryview(b"three "))
    transport.writelines([b"four ", bytearray(b"five")])
    transport.write(b"")
    assert os.read(pipe.reader.fileno(), 100) == b"one two three four five"
    transport.close()
    await protocol.wait_for("connection_lost")
    assert protocol.events[1:] == [("connection_lost", None)]
    assert pipe.reader.read(1) == b""


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_what_is_buffered_is_written_before_the_end(loop, pipe, end):
    protocol = Recorder()
    transport = await write_end(loop, pipe.writer, protocol)
    transport.set_write_buffer_limits(high=0)
    total = await fill(transport)
    assert protocol.names == ["connection_made", "pause_writing"]
    getattr(transport, end)()
    getattr(transport, end)()
    assert transport.is_closing()
    transport.write(b"ignored")
    got = await loop.run_in_executor(None, lambda: sum(map(len, iter(lambda: pipe.reader.read(65536), b""))))
    assert got == total
    await protocol.wait_for("connection_lost")
    assert protocol.events[-2:] == [("resume_writing",), ("connection_lost", None)]


async def test_abort_drops_what_is_buffered(loop, pipe):
    protocol = Recorder()
    transport = await write_end(loop, pipe.writer, protocol)
    await fill(transport)
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    await protocol.wait_for("connection_lost")
    assert protocol.events[-1] == ("connection_lost", None)


async def test_it_notices_that_its_reader_has_gone(loop, pipe):
    protocol = Recorder()
    await write_end(loop, pipe.writer, protocol)
    pipe.reader.close()
    await protocol.wait_for("connection_lost")
    assert protocol.events[1:] == [("connection_lost", None)]  # nothing was left to be written
    await asyncio.sleep(0)
    assert pipe.writer.closed


async def test_what_was_buffered_for_a_reader_that_has_gone_is_lost(loop, pipe):
    protocol = Recorder()
    transport = await write_end(loop, pipe.writer, protocol)
    await fill(transport)
    pipe.reader.close()
    await protocol.wait_for("connection_lost")
    name, error = protocol.events[-1]
    assert name == "connection_lost" and isinstance(error, BrokenPipeError)


async def test_a_write_that_nobody_reads_is_an_error(loop, caplog, pipe):
    protocol = Recorder()
    transport = await write_end(loop, pipe.writer, protocol)
    pipe.reader.close()
    transport.write(b"x")
    assert transport.is_closing()
    with caplog.at_level(logging.WARNING, "asyncio"):
        for _ in range(5):
            transport.write(b"x")
    assert [record.getMessage() for record in caplog.records] == [
        "pipe closed by peer or os.write(pipe, data) raised exception."
    ]
    await protocol.wait_for("connection_lost")
    assert isinstance(protocol.events[-1][1], BrokenPipeError)


async def test_stream_writer(loop, pipe):
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe.writer)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    reading = loop.run_in_executor(None, lambda: sum(map(len, iter(lambda: pipe.reader.read(65536), b""))))
    for _ in range(50):
        writer.write(b"x" * 10000)
        await writer.drain()
    writer.close()
    assert await reading == 500000


# ---- both ends ----


async def test_from_one_end_to_the_other(loop, pipe):
    data = os.urandom(1 << 20)
    sender, receiver = Recorder(), Recorder()
    await read_end(loop, pipe.reader, receiver)
    transport = await write_end(loop, pipe.writer, sender)
    transport.write(data)
    transport.close()
    await receiver.wait_for("connection_lost")
    assert b"".join(event[1] for event in receiver.events if event[0] == "data_received") == data


@pytest.mark.own("asyncio's loop makes descriptors non-blocking, whoever shares them")
async def test_others_find_their_descriptors_blocking(loop, pipe):
    receiver, sender = Recorder(), Recorder()
    await read_end(loop, pipe.reader, receiver)
    await write_end(loop, pipe.writer, sender)
    assert os.get_blocking(pipe.reader.fileno()) and os.get_blocking(pipe.writer.fileno())
    sender.transport.close()
    await receiver.wait_for("connection_lost")


# ---- terminals ----


async def test_a_terminal_is_read_and_written(loop, terminal):
    master, slave = terminal
    reader, writer = Recorder(), Recorder()
    with open(os.dup(slave.fileno()), "wb", 0) as output:
        await read_end(loop, slave, reader)
        transport = await write_end(loop, output, writer)
        master.write(b"typed")
        await reader.wait_for("data_received")
        transport.write(b"shown")
        assert os.read(master.fileno(), 100) == b"shown"
        reader.transport.close()
        transport.close()
        await reader.wait_for("connection_lost")
        await writer.wait_for("connection_lost")
    assert ("data_received", b"typed") in reader.events
    assert ("connection_lost", None) in reader.events and ("connection_lost", None) in writer.events


async def test_the_end_of_a_master(loop, contexts, terminal):
    master, slave = terminal
    protocol = Recorder()
    await read_end(loop, master, protocol)
    slave.write(b"last words")
    slave.close()
    await protocol.wait_for("connection_lost")
    assert protocol.names == ["connection_made", "data_received", "connection_lost"]
    assert protocol.events[-1][1].errno == errno.EIO
    assert not contexts


# ---- what is refused ----


async def test_files_are_refused(loop, tmp_path):
    made = []
    with open(tmp_path / "file", "w+b") as file:
        with pytest.raises(ValueError, match=NOT_READABLE):
            await loop.connect_read_pipe(lambda: made.append(1), file)
        with pytest.raises(ValueError, match=NOT_WRITABLE):
            await loop.connect_write_pipe(lambda: made.append(2), file)
        assert not file.closed
    assert made == [1, 2]  # asyncio makes the protocol before


@pytest.mark.own("asyncio's transport fails in its destructor then")
async def test_a_closed_pipe_is_refused(loop, pipe):
    pipe.reader.close()
    with pytest.raises(ValueError):
        await loop.connect_read_pipe(Recorder, pipe.reader)
    with pytest.raises(AttributeError):
        await loop.connect_read_pipe(Recorder, pipe.writer.fileno())


@pytest.mark.own("asyncio's loop does not look at the direction")
async def test_the_other_direction_is_refused(loop):
    reader, writer = (open(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb")))
    with reader, writer:
        with pytest.raises(OSError) as raised:
            await loop.connect_read_pipe(Recorder, writer)
        assert raised.value.errno == errno.EBADF
        with pytest.raises(OSError):
            await loop.connect_write_pipe(Recorder, reader)


@pytest.mark.own("asyncio's loop says AssertionError")
async def test_text_is_refused(loop, pipe):
    transport = await write_end(loop, pipe.writer, Recorder())
    with pytest.raises(TypeError):
        transport.write("text")
    transport.close()
    await transport.get_protocol().wait_for("connection_lost")


async def test_one_way_lacks_the_other(loop, pipe):
    reader = await read_end(loop, pipe.reader, Recorder())
    writer = await write_end(loop, pipe.writer, Recorder())
    assert not hasattr(reader, "write")
    with pytest.raises(NotImplementedError):
        writer.pause_reading()
    with pytest.raises(RuntimeError, match="not supported"):
        await loop.sendfile(writer, io.BytesIO(b"x"))
    ends = reader.get_protocol(), writer.get_protocol()
    writer.close()
    for end in ends:
        await end.wait_for("connection_lost")


async def test_a_cancelled_connect_closes_the_pipe(loop, pipe):
    protocol = Recorder()
    task = asyncio.ensure_future(loop.connect_read_pipe(lambda: protocol, pipe.reader))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await protocol.wait_for("connection_lost")
    await asyncio.sleep(0)
    assert pipe.reader.closed


# ---- the end of a loop, and of whoever refers to a transport ----


def test_a_transport_that_nobody_refers_to_is_told(loop, run, pipe):
    transport = run(read_end(loop, pipe.reader, Recorder()))
    transport.pause_reading()
    run(asyncio.sleep(0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        transport.get_protocol().transport = None
        del transport
        gc.collect()
    assert any("unclosed transport" in str(warning.message) for warning in caught)
    assert pipe.reader.closed


def test_pipes_stay_open_when_the_loop_is_closed(loop, run, pipe):
    reader = run(read_end(loop, pipe.reader, Recorder()))
    writer = run(write_end(loop, pipe.writer, Recorder()))
    loop.close()
    assert "open" in repr(reader) and "open" in repr(writer)
    pipe.writer.write(b"still there")
    assert os.read(pipe.reader.fileno(), 100) == b"still there"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for transport in reader, writer:
            transport.get_protocol().transport = None
        del reader, writer, transport
        gc.collect()
    assert len([warning for warning in caught if "unclosed transport" in str(warning.message)]) == 2
    assert pipe.reader.closed and pipe.writer.closed
