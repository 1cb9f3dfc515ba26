"""create_connection(happy_eyeballs_delay=): which attempts are made when, who wins, and that nothing of a loser is left."""

import asyncio
import socket
import sys

import pytest

from peers import Recorder, end, listening, refusing

FAR = 3600  # seconds: a delay that is never waited for

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


class Network:
    """Attempts to connect that end when the test says so: at addresses (name, port), one after the other."""

    def __init__(self, loop, monkeypatch, listener, names):
        self.listener = listener
        self.connect = loop.sock_connect
        self.answers = {name: loop.create_future() for name in names}
        self.begun = {name: asyncio.Event() for name in names}
        self.sockets = {}
        infos = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (name, 1)) for name in names]

        async def getaddrinfo(host, port, **kwargs):
            return infos

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(loop, "sock_connect", self.sock_connect)

    async def sock_connect(self, sock, address):
        name = address[0]
        self.sockets[name] = sock
        self.begun[name].set()
        await self.answers[name]
        await self.connect(sock, self.listener.getsockname())

    def succeed(self, name):
        self.answers[name].set_result(None)

    def fail(self, name):
        self.answers[name].set_exception(ConnectionRefusedError(111, f"refused by {name}"))

    def open(self):
        return [name for name, sock in self.sockets.items() if sock.fileno() != -1]


@pytest.fixture
def network(loop, monkeypatch):
    with listening() as listener:
        yield lambda *names: Network(loop, monkeypatch, listener, names)


def begin(loop, delay=FAR, **options):
    return asyncio.ensure_future(loop.create_connection(Recorder, "name.test", 1, happy_eyeballs_delay=delay, **options))


async def test_the_first_one_wins_alone(loop, network):
    net = network("one", "two")
    task = begin(loop)
    await net.begun["one"].wait()
    net.succeed("one")
    _, protocol = await task
    assert list(net.sockets) == ["one"]
    await end(protocol)


async def test_a_failure_starts_the_next_one_at_once(loop, network):
    net = network("one", "two")
    task = begin(loop)
    await net.begun["one"].wait()
    net.fail("one")
    await net.begun["two"].wait()
    net.succeed("two")
    _, protocol = await task
    await end(protocol)


async def test_the_next_one_starts_after_the_delay(loop, network):
    net = network("one", "two", "three")
    task = begin(loop, delay=0.001)
    await net.begun["three"].wait()
    assert net.open() == ["one", "two", "three"]
    net.succeed("two")
    _, protocol = await task
    assert net.open() == ["two"]
    await end(protocol)


async def test_an_early_one_that_fails_does_not_hurry_the_others(loop, network):
    net = network("one", "two", "three")
    task = begin(loop, delay=0.001)
    await net.begun["two"].wait()
    if "three" not in net.sockets:  # else the machine was slow, and there is nothing to see
        net.fail("one")
    await net.begun["three"].wait()
    net.succeed("three")
    _, protocol = await task
    assert net.open() == ["three"]
    await end(protocol)


async def test_all_fail(loop, network):
    net = network("one", "two")
    task = begin(loop)
    net.fail("one")
    net.fail("two")
    with pytest.raises(OSError) as caught:
        await task
    assert str(caught.value) == "Multiple exceptions: [Errno 111] refused by one, [Errno 111] refused by two"
    assert net.open() == []


async def test_two_that_connect_in_the_same_turn(loop, network):
    net = network("one", "two")
    task = begin(loop, delay=0.001)
    await net.begun["two"].wait()
    net.succeed("one")
    net.succeed("two")
    try:
        _, protocol = await task
    except AssertionError:  # asyncio before 3.14
        assert sys.version_info < (3, 14)
        for sock in net.sockets.values():
            sock.close()
        pytest.skip("asyncio 3.11 to 3.13 fails here")
    assert len(net.open()) == 1
    await end(protocol)


@pytest.mark.own("asyncio's own before 3.14 does not wait for the losers")
async def test_losers_have_ended_when_it_returns(loop, network):
    net = network("one", "two")
    task = begin(loop, delay=0.001)
    await net.begun["two"].wait()
    net.succeed("two")
    _, protocol = await task
    assert net.open() == ["two"] and net.answers["one"].cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await end(protocol)


async def test_cancelled_amid_the_race(loop, network):
    net = network("one", "two")
    task = begin(loop, delay=0.001)
    await net.begun["two"].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert net.open() == []


@pytest.mark.own("asyncio's own leaves the winner's socket open")
async def test_cancelled_when_one_has_won(loop, network):
    net = network("one", "two")
    task = begin(loop, delay=0.001)
    await net.begun["two"].wait()
    net.answers["two"].add_done_callback(lambda future: loop.call_soon(task.cancel))
    net.succeed("two")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert net.open() == []


@pytest.mark.own("asyncio's own tells that nothing was found")
async def test_other_errors_are_raised(loop, network):
    net = network("one", "two")
    task = begin(loop)
    net.answers["one"].set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await task
    assert net.open() == []


async def test_one_address(loop):
    with listening() as listener:
        _, protocol = await loop.create_connection(Recorder, *listener.getsockname(), happy_eyeballs_delay=0.25)
        await end(protocol)
    with refusing() as address:
        with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
            await loop.create_connection(Recorder, *address, happy_eyeballs_delay=0.25)


async def test_families_are_interleaved(loop, monkeypatch):
    asked = []
    infos = [(socket.AF_INET6, socket.SOCK_STREAM, 0, "", (f"::{i}", 1, 0, 0)) for i in (1, 2)]
    infos += [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (f"127.0.0.{i}", 1)) for i in (1, 2)]

    async def getaddrinfo(host, port, **kwargs):
        return infos

    async def sock_connect(sock, address):
        asked.append(address[0])
        raise OSError("no")

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    with pytest.raises(OSError):
        await begin(loop)
    assert asked == ["::1", "127.0.0.1", "::2", "127.0.0.2"]


async def test_from_streams(loop):
    with listening() as listener:
        reader, writer = await asyncio.open_connection(*listener.getsockname(), happy_eyeballs_delay=0.25)
        with listener.accept()[0] as peer:
            peer.sendall(b"hello\n")
            assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
