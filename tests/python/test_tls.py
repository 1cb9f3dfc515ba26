"""TLS over our transports: connections, servers, start_tls(), and handshakes that fail."""

import asyncio
import gc
import socket
import ssl
import weakref
from unittest import mock

import pytest

from certificates import certificate, client_context, server_context  # noqa: F401, fixtures
from peers import Accepting, Recorder, end, listening

LARGE = 300 * 1024


async def ended(server):
    server.close()
    await server.wait_closed()


async def both(protocol, peer):
    """Data of more than a record, both ways; then one closes, and the other is told."""
    protocol.transport.write(b"a" * LARGE)
    peer.transport.writelines([b"b" * LARGE, b"c"])
    assert await peer.received(LARGE) == b"a" * LARGE
    assert await protocol.received(LARGE + 1) == b"b" * LARGE + b"c"
    protocol.transport.close()
    await protocol.ended
    await peer.ended
    assert protocol.ended.result() is peer.ended.result() is None


async def test_connection_and_server(loop, server_context, client_context):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    transport, protocol = await loop.create_connection(Recorder, "127.0.0.1", port, ssl=client_context)
    (peer,) = await accepting.count(1)
    assert protocol.transport is transport and protocol.events == peer.events == ["made"]
    assert transport.get_extra_info("peercert")["subject"] == ((("commonName", "localhost"),),)
    assert transport.get_extra_info("sslcontext") is client_context
    assert transport.get_extra_info("cipher") == peer.transport.get_extra_info("cipher") is not None
    assert transport.get_extra_info("peername") == server.sockets[0].getsockname()
    assert peer.transport.get_extra_info("peername") == transport.get_extra_info("sockname")
    assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
    await both(protocol, peer)
    await ended(server)


async def test_unix(loop, tmp_path, server_context, client_context):
    accepting = Accepting()
    path = str(tmp_path / "socket")
    server = await loop.create_unix_server(accepting, path, ssl=server_context)
    _, protocol = await loop.create_unix_connection(Recorder, path, ssl=client_context, server_hostname="localhost")
    (peer,) = await accepting.count(1)
    await both(protocol, peer)
    await ended(server)


async def test_given_sockets(loop, server_context, client_context):
    here, there = socket.socketpair()
    client = loop.create_connection(Recorder, sock=here, ssl=client_context, server_hostname="localhost")
    accepted = loop.connect_accepted_socket(Recorder, there, ssl=server_context)
    (_, protocol), (_, peer) = await asyncio.gather(client, accepted)
    await both(protocol, peer)


async def test_accepted_socket(loop):
    here, there = socket.socketpair()
    transport, protocol = await loop.connect_accepted_socket(Recorder, here)
    with there:
        there.sendall(b"hello")
        assert await protocol.received(5) == b"hello"
        await end(protocol)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="A Stream Socket was expected"):
            await loop.connect_accepted_socket(Recorder, sock)
    with socket.socket() as sock:
        for name in "ssl_handshake_timeout", "ssl_shutdown_timeout":
            with pytest.raises(ValueError, match=f"{name} is only meaningful with ssl"):
                await loop.connect_accepted_socket(Recorder, sock, **{name: 1})


async def test_ssl_socket(loop, client_context):
    with socket.socket() as plain:
        with client_context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as sock:
            for refused in loop.create_connection(Recorder, sock=sock), loop.create_server(Recorder, sock=sock):
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await refused


async def test_streams(loop, server_context, client_context):
    async def echo(reader, writer):
        while data := await reader.read(LARGE):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=client_context)
    writer.write(b"x" * LARGE)
    assert await reader.readexactly(LARGE) == b"x" * LARGE
    writer.close()
    await writer.wait_closed()
    await ended(server)


async def test_client_that_does_not_trust(loop, contexts, server_context):
    server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
    with pytest.raises(ssl.SSLCertVerificationError):
        await loop.create_connection(Recorder, *server.sockets[0].getsockname(), ssl=True)
    await ended(server)
    assert not contexts


async def test_verify_flags_of_the_context(loop, server_context, client_context):
    client_context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF  # and there is no such list
    server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get certificate CRL"):
        await loop.create_connection(Recorder, *server.sockets[0].getsockname(), ssl=client_context)
    await ended(server)


async def test_failed_handshake_is_reported_in_debug_mode(loop, contexts, server_context):
    loop.set_debug(True)
    server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        client.sendall(b"this is no handshake of TLS\n")
        while not contexts:
            await asyncio.sleep(0.001)
    (context,) = contexts
    assert context["message"] == "Error on transport creation for incoming connection"
    assert isinstance(context["exception"], ssl.SSLError) and isinstance(context["protocol"], Recorder)
    contexts.clear()
    await ended(server)


@pytest.mark.own("asyncio has it since 3.12")
async def test_closed_server_waits_for_handshakes(loop, server_context):
    server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        while not server._transports():
            await asyncio.sleep(0.001)
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        server.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        client.close()
        await waiting


@pytest.mark.own("asyncio has it since 3.13")
@pytest.mark.parametrize("abort", [False, True])
async def test_close_and_abort_clients(loop, server_context, client_context, abort):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0, ssl=server_context)
    _, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname(), ssl=client_context)
    (peer,) = await accepting.count(1)
    server.close()
    server.abort_clients() if abort else server.close_clients()
    await server.wait_closed()
    await peer.ended
    await protocol.ended


async def test_handshake_timeout(loop, client_context):
    with listening() as listener:
        with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer than 0.01 seconds"):
            await loop.create_connection(Recorder, *listener.getsockname(), ssl=client_context,
                                         ssl_handshake_timeout=0.01)


async def test_handshake_goes_on_while_a_clock_jumps(loop, client_context):
    """Its limit is no timer of the program's, and stays where it is."""
    with listening() as listener:
        listener.setblocking(False)
        connecting = loop.create_connection(Recorder, *listener.getsockname(), ssl=client_context)
        task = loop.create_task(connecting)
        peer, _ = await loop.sock_accept(listener)
        with peer:
            assert await loop.sock_recv(peer, 100)  # its first message
            now = loop.time()
            for seconds in 5, -5:
                with mock.patch.object(loop, "time", lambda: now + seconds):
                    for _ in range(3):
                        await asyncio.sleep(0)
                assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
async def test_bad_time_limits(loop, client_context, name):
    with listening() as listener:
        here = socket.create_connection(listener.getsockname())
        with here:
            with pytest.raises(ValueError, match=f"{name} should be a positive number, got 0"):
                await loop.create_connection(
                    Recorder, sock=here, ssl=client_context, server_hostname="localhost", **{name: 0}
                )


async def test_cancelled_handshake(loop, client_context):
    with listening() as listener:
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        task = asyncio.ensure_future(loop.create_connection(factory, *listener.getsockname(), ssl=client_context))
        with await loop.run_in_executor(None, lambda: listener.accept()[0]) as peer:
            assert (await loop.run_in_executor(None, peer.recv, 1000))[:1] == b"\x16"  # it has begun
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await loop.run_in_executor(None, read_all, peer) in (b"", None)
        assert made[0].events == []


def read_all(sock):
    try:
        while sock.recv(1000):
            pass
        return b""
    except ConnectionResetError:
        return None


# ---- start_tls() ----


async def plain_pair(loop):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0)
    _, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
    (peer,) = await accepting.count(1)
    return server, protocol, peer


async def test_start_tls(loop, server_context, client_context):
    server, protocol, peer = await plain_pair(loop)
    protocol.transport.write(b"plain")
    assert await peer.received(5) == b"plain"
    peer.data.clear()
    plain = protocol.transport
    upgrades = (
        loop.start_tls(peer.transport, peer, server_context, server_side=True),
        loop.start_tls(protocol.transport, protocol, client_context, server_hostname="localhost"),
    )
    peer.transport, protocol.transport = await asyncio.gather(*upgrades)
    assert protocol.events == peer.events == ["made"]
    assert protocol.transport is not plain and protocol.transport.get_extra_info("cipher")
    await both(protocol, peer)
    await ended(server)


async def test_start_tls_with_the_first_record_there_already(loop, server_context, client_context):
    server, protocol, peer = await plain_pair(loop)
    peer.transport.pause_reading()
    upgrade = asyncio.ensure_future(
        loop.start_tls(protocol.transport, protocol, client_context, server_hostname="localhost")
    )
    raw = peer.transport.get_extra_info("socket").dup()
    with raw:
        raw.setblocking(True)
        data = await loop.run_in_executor(None, lambda: raw.recv(1, socket.MSG_PEEK))
        assert data == b"\x16"
    peer.transport = await loop.start_tls(peer.transport, peer, server_context, server_side=True)
    protocol.transport = await upgrade
    await both(protocol, peer)
    await ended(server)


async def test_start_tls_that_fails(loop, contexts, server_context, client_context):
    server, protocol, peer = await plain_pair(loop)
    peer.transport.write(b"this is no handshake of TLS\n")
    with pytest.raises(ssl.SSLError):
        await loop.start_tls(protocol.transport, protocol, client_context, server_hostname="localhost")
    await protocol.ended
    await peer.ended
    await ended(server)


async def test_start_tls_that_is_cancelled(loop, client_context):
    server, protocol, peer = await plain_pair(loop)
    upgrade = asyncio.ensure_future(
        loop.start_tls(protocol.transport, protocol, client_context, server_hostname="localhost")
    )
    await peer.received(1)
    upgrade.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upgrade
    await peer.ended
    await ended(server)


async def test_start_tls_wants_a_context_and_a_transport(loop, client_context):
    server, protocol, peer = await plain_pair(loop)
    with pytest.raises(TypeError, match="sslcontext is expected to be an instance of ssl.SSLContext"):
        await loop.start_tls(protocol.transport, protocol, None)
    with pytest.raises(TypeError, match="is not supported by start_tls"):
        await loop.start_tls(asyncio.Transport(), protocol, client_context)
    await end(protocol)
    await peer.ended
    await ended(server)


async def test_start_tls_of_streams(loop, server_context, client_context):
    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"OK\n")
        await writer.drain()
        await writer.start_tls(server_context)
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"OK\n"
    await writer.start_tls(client_context, server_hostname="localhost")
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    await ended(server)


def begin_by_hand(context):
    """A client's SSLObject, what it receives and sends: its first record is there to be sent."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing


async def server_upgrades(loop, server_context, sent):
    """The future result of a server that upgrades after one line, and a client's socket, which has sent this at
    once."""
    served = loop.create_future()

    async def serve(reader, writer):
        try:
            await reader.readline()
            await writer.start_tls(server_context)
            writer.write(await reader.readexactly(5))
            served.set_result(await reader.read())
        except Exception as error:
            served.set_exception(error)
        finally:
            writer.close()

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    await loop.sock_sendall(ours, sent)
    reader = asyncio.StreamReader()
    await loop.connect_accepted_socket(lambda: asyncio.StreamReaderProtocol(reader, serve), theirs)
    return served, ours


HANDED_ON = pytest.mark.own("not all versions of asyncio hand on what is in the reader")


@HANDED_ON
async def test_the_first_record_that_a_reader_has_read_ahead(loop, server_context, client_context):
    tls, incoming, outgoing = begin_by_hand(client_context)
    served, sock = await server_upgrades(loop, server_context, b"STARTTLS\n" + outgoing.read())
    with sock:
        answer = None
        while answer is None:
            data = await loop.sock_recv(sock, 65536)
            incoming.write(data) if data else incoming.write_eof()
            try:
                tls.do_handshake()
                if outgoing.pending:
                    tls.write(b"hello")
                    await loop.sock_sendall(sock, outgoing.read())
                answer = tls.read()
            except ssl.SSLWantReadError:
                pass
        assert answer == b"hello"
        sock.shutdown(socket.SHUT_WR)
        assert await served == b""


@HANDED_ON
async def test_plain_text_before_the_handshake_is_not_taken_for_what_tls_brings(loop, server_context):
    served, sock = await server_upgrades(loop, server_context, b"STARTTLS\nMAIL FROM:<mallory>\n")
    with sock, pytest.raises(ssl.SSLError):
        await served


async def test_connection_that_has_ended_is_freed(loop, server_context, client_context):
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0, ssl=server_context)
    _, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname(), ssl=client_context)
    (peer,) = await accepting.count(1)
    await both(protocol, peer)
    await ended(server)
    weak = [weakref.ref(each) for each in (protocol, peer, server)]
    del protocol, peer, server, accepting
    while gc.collect() >= 0 and any(each() for each in weak):
        await asyncio.sleep(0.001)
