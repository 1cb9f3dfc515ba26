"""BufferedProtocol: whose buffer it is, what it must be, and that it is given back in any case."""

import asyncio

import pytest

from transports import Buffered, Recorder, connect


async def test_it_gets_what_fits_and_then_the_rest(loop):
    protocol = Buffered(size=3)
    transport, peer = connect(loop, protocol)
    peer.send(b"abcdefgh")
    peer.close()
    await protocol.wait_for("connection_lost")
    told = [event for event in protocol.events if event[0] == "buffer_updated"]
    assert told == [("buffer_updated", b"abc"), ("buffer_updated", b"def"), ("buffer_updated", b"gh")]
    assert ("get_buffer", -1) in protocol.events
    assert protocol.names[-2:] == ["eof_received", "connection_lost"]


async def test_it_is_not_exported_when_the_protocol_has_it_back(loop):
    class Resizing(Buffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.buffer.extend(b"x")
            del self.buffer[5:]

    protocol = Resizing()
    transport, peer = connect(loop, protocol)
    for data in b"one", b"two":
        peer.send(data)
        await protocol.next("buffer_updated")
    peer.close()
    await protocol.wait_for("connection_lost")
    protocol.buffer.extend(b"x" * 1000)
    assert protocol.events[-1] == ("connection_lost", None)


@pytest.mark.own("asyncio receives all the same, and tells whichever protocol there is")
@pytest.mark.parametrize("how", ["close", "abort", "pause", "replace"])
async def test_get_buffer_may_change_its_mind(loop, how):
    class Changing(Buffered):
        changed = False

        def get_buffer(self, sizehint):
            if not self.changed:
                self.changed = True
                if how == "pause":
                    self.transport.pause_reading()
                elif how == "replace":
                    self.transport.set_protocol(other)
                else:
                    getattr(self.transport, how)()
            return super().get_buffer(sizehint)

    other = Recorder()
    protocol = Changing()
    transport, peer = connect(loop, protocol)
    with peer:
        peer.send(b"x")
        await protocol.wait_for("get_buffer")
        for _ in range(3):
            await asyncio.sleep(0)
        protocol.buffer.extend(b"not exported")
        if how == "pause":
            transport.resume_reading()
            await protocol.wait_for("buffer_updated")
        elif how == "replace":
            await other.wait_for("data_received")
        transport.abort()
        await (other if how == "replace" else protocol).wait_for("connection_lost")


def reported(loop, run, protocol, message, kind, text):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))

    async def main():
        transport, peer = connect(loop, protocol)
        with peer:
            peer.send(b"x")
            await protocol.wait_for("connection_lost")
            assert protocol.events[-1] == ("connection_lost", contexts[0]["exception"])
            assert contexts[0]["transport"] is transport and contexts[0]["protocol"] is protocol

    run(main())
    assert len(contexts) == 1
    assert contexts[0]["message"] == message
    assert type(contexts[0]["exception"]) is kind and text in str(contexts[0]["exception"])


def giving(value):
    class Giving(Buffered):
        def get_buffer(self, sizehint):
            return value

    return Giving()


@pytest.mark.parametrize(
    "value, message, kind, text",
    [
        (bytearray(), "protocol.get_buffer() call failed.", RuntimeError, "get_buffer() returned an empty buffer"),
        (None, "protocol.get_buffer() call failed.", TypeError, "object of type 'NoneType' has no len()"),
        (5, "protocol.get_buffer() call failed.", TypeError, "object of type 'int' has no len()"),
        (b"constant", None, TypeError, "read-write bytes-like object"),
        ([1], None, TypeError, "read-write bytes-like object"),
        (memoryview(bytearray(10))[::2], None, TypeError, "read-write bytes-like object"),
    ],
)
def test_a_buffer_that_is_none(loop, run, value, message, kind, text):
    message = f"Fatal error: {message}" if message else "Fatal read error on socket transport"
    reported(loop, run, giving(value), message, kind, text)


@pytest.mark.parametrize("name", ["get_buffer", "buffer_updated"])
def test_its_methods_may_fail(loop, run, name):
    def fail(self, argument):
        raise ValueError("mine")

    protocol = type("Failing", (Buffered,), {name: fail})()
    reported(loop, run, protocol, f"Fatal error: protocol.{name}() call failed.", ValueError, "mine")
    protocol.buffer.extend(b"not exported")


class Ended(SystemExit):
    pass


@pytest.mark.parametrize("name", ["get_buffer", "buffer_updated"])
def test_system_exit_leaves_the_connection(loop, run, name):
    def exit(self, argument):
        raise Ended()

    protocol = type("Exiting", (Buffered,), {name: exit})()
    transport, peer = connect(loop, protocol)
    with peer:
        peer.send(b"x")
        with pytest.raises(Ended):
            loop.run_forever()
        delattr(type(protocol), name)
        assert not transport.is_closing()
        peer.send(b"y")
        run(protocol.wait_for("buffer_updated"))
        assert ("buffer_updated", b"xy" if name == "get_buffer" else b"y") in protocol.events
        transport.abort()
        run(protocol.wait_for("connection_lost"))
    protocol.buffer.extend(b"not exported")
