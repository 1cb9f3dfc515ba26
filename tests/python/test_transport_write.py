"""Writing: what is accepted, what waits, when the protocol is told of it, and what comes last."""

import array
import logging
import socket
import sys

import pytest

from transports import Recorder, connect, fill, receive, tcp_pair


async def begin(loop, protocol=None, pair=socket.socketpair):
    protocol = protocol or Recorder(keep_open=True)
    transport, peer = connect(loop, protocol, pair)
    await protocol.wait_for("connection_made")
    return transport, peer, protocol


async def end(transport, peer, protocol):
    transport.abort()
    peer.close()
    await protocol.wait_for("connection_lost")


# ---- what is accepted ----


@pytest.mark.parametrize(
    "data",
    [b"12345", bytearray(b"12345"), memoryview(b"12345"), memoryview(b"x12345")[1:], type("B", (bytes,), {})(b"12345")],
    ids=["bytes", "bytearray", "memoryview", "slice", "subclass"],
)
async def test_bytes_of_any_kind(loop, data):
    transport, peer, protocol = await begin(loop)
    transport.write(data)
    transport.writelines([data, data])
    assert await receive(peer, 15) == b"12345" * 3
    await end(transport, peer, protocol)


@pytest.mark.parametrize("data", ["text", 1, None, [b"x"], array.array("b", b"x")])
async def test_anything_else_is_refused(loop, data):
    transport, peer, protocol = await begin(loop)
    with pytest.raises(TypeError) as caught:
        transport.write(data)
    wanted = "bytes-like object" if sys.version_info < (3, 14) else "bytes, bytearray, or memoryview object"
    assert str(caught.value) == f"data argument must be a {wanted}, not {type(data).__name__!r}"
    await end(transport, peer, protocol)


@pytest.mark.own("from 3.12 on asyncio takes None for an empty list")
async def test_lines_of_other_types_are_refused_and_none_is_sent(loop):
    transport, peer, protocol = await begin(loop)
    for lines in [b"x", "text"], [1], 5, None:
        with pytest.raises(TypeError):
            transport.writelines(lines)
    transport.write(b"sent")
    assert await receive(peer, 4) == b"sent"
    await end(transport, peer, protocol)


async def test_nothing_is_written_of_nothing(loop):
    transport, peer, protocol = await begin(loop)
    transport.write(b"")
    transport.writelines([])
    transport.writelines([b"", b"x", b""])
    transport.writelines(iter([b"y", b"z"]))
    assert await receive(peer, 3) == b"xyz"
    await end(transport, peer, protocol)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1024, 1025, 5000])
async def test_many_lines_keep_their_order(loop, count):
    lines = [b"%d;" % i for i in range(count)]
    transport, peer, protocol = await begin(loop)
    transport.writelines(lines)
    whole = b"".join(lines)
    assert await receive(peer, len(whole)) == whole
    await end(transport, peer, protocol)


@pytest.mark.own("from 3.12 on asyncio keeps buffers themselves: they cannot change meanwhile")
async def test_a_buffer_may_change_after_it_was_written(loop):
    transport, peer, protocol = await begin(loop)
    written = await fill(transport, b"a" * 65536)
    buffer = bytearray(b"b" * 100000)
    transport.write(buffer)
    transport.writelines([buffer, memoryview(buffer)])
    buffer[:] = b"c" * 100000
    buffer.clear()
    assert await receive(peer, written) == b"a" * written
    assert await receive(peer, 300000) == b"b" * 300000
    await end(transport, peer, protocol)


# ---- what waits ----


async def test_the_protocol_is_paused_and_resumed(loop):
    transport, peer, protocol = await begin(loop)
    transport.set_write_buffer_limits(high=100000, low=20000)
    assert transport.get_write_buffer_limits() == (20000, 100000)
    written = await fill(transport)
    while transport.get_write_buffer_size() <= 100000:
        assert "pause_writing" not in protocol.names
        transport.write(b"x" * 1000)
        written += 1000
    assert protocol.names == ["connection_made", "pause_writing"] and transport._protocol_paused
    transport.write(b"x")
    assert protocol.names.count("pause_writing") == 1
    await receive(peer, written + 1)
    await protocol.wait_for("resume_writing")
    assert transport.get_write_buffer_size() <= 20000
    assert protocol.names == ["connection_made", "pause_writing", "resume_writing"]
    await end(transport, peer, protocol)


@pytest.mark.own("asyncio's of 3.12 and 3.13.0 forgets to")
async def test_writelines_pauses_too(loop):
    transport, peer, protocol = await begin(loop)
    transport.set_write_buffer_limits(high=0)
    while not transport.get_write_buffer_size():
        transport.writelines([b"x" * 65536, b"y" * 65536])
    transport.writelines([b"z" * 10])
    assert protocol.names == ["connection_made", "pause_writing"]
    await end(transport, peer, protocol)


async def test_lower_limits_pause_at_once(loop):
    transport, peer, protocol = await begin(loop)
    transport.set_write_buffer_limits(high=1 << 40)
    await fill(transport)
    assert "pause_writing" not in protocol.names
    transport.set_write_buffer_limits(high=0)
    assert protocol.names[-1] == "pause_writing"
    await end(transport, peer, protocol)


async def test_limits(loop):
    transport, peer, protocol = await begin(loop)
    for given, limits in [
        ({}, (16384, 65536)),
        ({"high": 1000}, (250, 1000)),
        ({"low": 1000}, (1000, 4000)),
        ({"high": 0}, (0, 0)),
        ({"high": 5, "low": 5}, (5, 5)),
        ({"high": None, "low": None}, (16384, 65536)),
    ]:
        transport.set_write_buffer_limits(**given)
        assert transport.get_write_buffer_limits() == limits
    transport.set_write_buffer_limits(7, 3)
    for high, low in (1, 2), (5, -1), (-1, -2):
        with pytest.raises(ValueError) as caught:
            transport.set_write_buffer_limits(high, low)
        assert str(caught.value) == f"high ({high}) must be >= low ({low}) must be >= 0"
    assert transport.get_write_buffer_limits() == (3, 7)
    with pytest.raises(TypeError):
        transport.set_write_buffer_limits("x")
    await end(transport, peer, protocol)


@pytest.mark.parametrize("name", ["pause_writing", "resume_writing"])
def test_flow_control_may_fail(loop, run, name):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    error = ValueError("mine")

    def fail(self):
        Recorder.note(self, name)
        raise error

    protocol = type("Failing", (Recorder,), {name: fail})()

    async def main():
        transport, peer, _ = await begin(loop, protocol)
        transport.set_write_buffer_limits(high=0)
        written = await fill(transport)
        await receive(peer, written)
        await protocol.wait_for("resume_writing")
        assert contexts == [
            {"message": f"protocol.{name}() failed", "exception": error, "transport": transport, "protocol": protocol}
        ]
        assert not transport.is_closing()
        await end(transport, peer, protocol)

    run(main())


class Ended(SystemExit):
    pass


async def test_system_exit_leaves_write_by_pause_writing(loop):
    def exit(self):
        raise Ended()

    protocol = type("Exiting", (Recorder,), {"pause_writing": exit})()
    transport, peer, _ = await begin(loop, protocol)
    transport.set_write_buffer_limits(high=0)
    with pytest.raises(Ended):
        await fill(transport)
    assert transport.get_write_buffer_size() > 0 and not transport.is_closing()
    await end(transport, peer, protocol)


# ---- the end of writing ----


async def test_write_eof_comes_after_what_waits(loop):
    transport, peer, protocol = await begin(loop)
    written = await fill(transport)
    transport.write_eof()
    transport.write_eof()
    with pytest.raises(RuntimeError, match=r"^Cannot call write\(\) after write_eof\(\)$"):
        transport.write(b"")
    with pytest.raises(RuntimeError, match=r"^Cannot call write(lines)?\(\) after write_eof\(\)$"):
        transport.writelines([])
    assert len(await receive(peer, written + 1)) == written
    peer.send(b"answer")
    await protocol.wait_for("data_received")
    assert protocol.events[-1] == ("data_received", b"answer")
    transport.close()
    await protocol.wait_for("connection_lost")
    peer.close()


async def test_close_sends_what_waits(loop):
    transport, peer, protocol = await begin(loop)
    written = await fill(transport)
    transport.close()
    assert transport.is_closing() and not transport.is_reading()
    transport.write_eof()
    transport.write(b"tail")  # asyncio sends it, as something waits still
    assert (await receive(peer, written + 10))[-5:] == b"xtail"
    await protocol.wait_for("connection_lost")
    assert protocol.events[-1] == ("connection_lost", None)
    peer.close()


async def test_abort_drops_what_waits(loop):
    transport, peer, protocol = await begin(loop)
    written = await fill(transport)
    transport.close()
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    await protocol.wait_for("connection_lost")
    assert len(await receive(peer, written + 1)) < written
    peer.close()


async def test_writes_after_the_end_are_ignored_and_the_fifth_is_logged(loop, caplog):
    transport, peer, protocol = await begin(loop)
    transport.close()
    with caplog.at_level(logging.WARNING, "asyncio"):
        for _ in range(4):
            transport.write(b"x")
            transport.write(b"")
        assert not caplog.records
        transport.write(b"x")
        assert [record.getMessage() for record in caplog.records] == ["socket.send() raised exception."]
        caplog.clear()
        await protocol.wait_for("connection_lost")
        transport.write(b"x")
        assert len(caplog.records) == 1
    transport.write_eof()
    peer.close()


async def test_a_write_to_a_peer_that_is_gone_ends_the_connection(loop):
    transport, peer, protocol = await begin(loop)
    transport.pause_reading()
    peer.close()
    transport.write(b"x")
    transport.write(b"x")
    assert transport.is_closing()
    await protocol.wait_for("connection_lost")
    assert isinstance(protocol.events[-1][1], BrokenPipeError)


async def test_what_waits_when_the_peer_resets(loop):
    transport, peer, protocol = await begin(loop, pair=tcp_pair)
    transport.pause_reading()
    await fill(transport)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    await protocol.wait_for("connection_lost")
    assert isinstance(protocol.events[-1][1], (ConnectionResetError, BrokenPipeError))


# ---- while a file is sent ----


async def test_the_empty_waiter(loop):
    transport, peer, protocol = await begin(loop)
    waiter = transport._make_empty_waiter()
    await waiter
    with pytest.raises(RuntimeError, match="^unable to write; sendfile is in progress$"):
        transport.write(b"x")
    with pytest.raises(RuntimeError, match="^Empty waiter is already set$"):
        transport._make_empty_waiter()
    transport._reset_empty_waiter()
    written = await fill(transport)
    waiter = transport._make_empty_waiter()
    assert not waiter.done()
    await receive(peer, written)
    await waiter
    transport._reset_empty_waiter()
    written = await fill(transport)
    waiter = transport._make_empty_waiter()
    transport.abort()
    with pytest.raises(ConnectionError):
        await waiter
    peer.close()
    await protocol.wait_for("connection_lost")
