"""What asyncio's TLS transport shows and promises, with each engine; see test_tls.py for how connections are made."""

import asyncio
import gc
import logging
import pathlib
import socket
import ssl
import warnings

import pytest

from certificates import certificate, client_context, engine, server_context  # noqa: F401, fixtures
from peers import Recorder, end

pytestmark = pytest.mark.usefixtures("engine")

LARGE = 3 * 1024 * 1024


class Writer(Recorder):
    """Notes when it may write."""

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")


async def connect(loop, server_context, client_context, ours=Recorder, theirs=Recorder):
    """The two ends of a connection: the protocols of a client and of a server."""
    here, there = socket.socketpair()
    client = loop.create_connection(ours, sock=here, ssl=client_context, server_hostname="localhost")
    server = loop.connect_accepted_socket(theirs, there, ssl=server_context)
    (_, client), (_, server) = await asyncio.gather(client, server)
    return client, server


@pytest.fixture
def ends(loop, server_context, client_context):
    """The two ends, closed after the test."""
    both = loop.run_until_complete(connect(loop, server_context, client_context))
    yield both
    if not loop.is_closed():
        for protocol in both:
            protocol.transport.abort()
        loop.run_until_complete(asyncio.gather(*(protocol.ended for protocol in both), return_exceptions=True))


class Peer:
    """The other end by hand: an SSLObject over a socket, whose records a test may hold back, cut or change."""

    def __init__(self, loop, sock, context):
        self.loop = loop
        self.sock = sock
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    async def flush(self):
        await self.loop.sock_sendall(self.sock, self.outgoing.read())

    async def call(self, method, *args):
        """What a method of the SSLObject returns, once it has got what it waits for."""
        while True:
            try:
                return method(*args)
            except ssl.SSLWantReadError:
                if self.outgoing.pending:
                    await self.flush()
                data = await self.loop.sock_recv(self.sock, 65536)
                self.incoming.write(data) if data else self.incoming.write_eof()
            finally:
                if self.outgoing.pending:
                    await self.flush()


@pytest.fixture
def by_hand(loop, server_context, client_context, pair):
    """A client, and its peer by hand."""
    here, there = pair
    peer = Peer(loop, there, server_context)

    async def begin():
        client = loop.create_connection(Recorder, sock=here.dup(), ssl=client_context, server_hostname="localhost",
                                        ssl_shutdown_timeout=0.05)  # fmt: skip
        (_, protocol), _ = await asyncio.gather(client, peer.call(peer.tls.do_handshake))
        return protocol

    protocol = loop.run_until_complete(begin())
    here.close()
    yield protocol, peer
    if not loop.is_closed() and not protocol.ended.done():
        protocol.transport.abort()
        loop.run_until_complete(protocol.ended)


# ---- what it shows ----


async def test_extra_info(ends, client_context):
    client, server = ends
    transport = client.transport
    tls = transport.get_extra_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)
    assert transport.get_extra_info("sslcontext") is client_context is tls.context
    assert transport.get_extra_info("peercert") == tls.getpeercert() != {}
    assert transport.get_extra_info("cipher") == tls.cipher()
    assert transport.get_extra_info("compression", 1) is None
    assert transport.get_extra_info("nothing", "default") == "default"
    assert transport.get_extra_info("socket").fileno() >= 0
    assert server.transport.get_extra_info("peercert") is None
    assert tls.version() == "TLSv1.3" and tls.server_hostname == "localhost" and not tls.server_side
    assert server.transport.get_extra_info("ssl_object").shared_ciphers()
    assert tls.get_channel_binding() == server.transport.get_extra_info("ssl_object").get_channel_binding()


async def test_methods(ends):
    transport = ends[0].transport
    assert isinstance(transport, asyncio.Transport)
    assert transport.can_write_eof() is False
    with pytest.raises(NotImplementedError):
        transport.write_eof()
    assert transport.is_closing() is False and transport.is_reading() is True
    assert transport.get_protocol() is ends[0]
    assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
    transport.set_write_buffer_limits(high=1000)
    assert transport.get_write_buffer_limits() == (250, 1000)
    transport.set_write_buffer_limits()
    assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
    assert transport.get_read_buffer_limits() == (64 * 1024, 256 * 1024)
    transport.set_read_buffer_limits(low=10)
    assert transport.get_read_buffer_limits() == (10, 40)
    for method in transport.set_read_buffer_limits, transport.set_write_buffer_limits:
        with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
            method(high=1, low=2)
    assert transport.get_write_buffer_size() == 0 == transport.get_read_buffer_size()
    repr(transport)


async def test_what_programs_look_for(ends):
    transport = ends[0].transport
    tls = transport._ssl_protocol
    assert tls._app_transport is transport and tls._app_protocol is ends[0]
    assert tls._sslobj is transport.get_extra_info("ssl_object")
    assert tls._transport.get_protocol() is tls
    assert tls._transport.get_extra_info("socket").fileno() == transport.get_extra_info("socket").fileno()
    assert transport._start_tls_compatible and not transport._closed and not transport._protocol_paused
    assert tls._get_extra_info("cipher") == transport.get_extra_info("cipher")


async def test_write_wants_bytes(ends):
    client, server = ends
    with pytest.raises(TypeError, match="data: expecting a bytes-like instance, got str"):
        client.transport.write("text")
    client.transport.write(b"")
    client.transport.write(bytearray(b"one "))
    client.transport.write(memoryview(b"two "))
    client.transport.writelines([b"three ", bytearray(b"four "), memoryview(b"five")])
    assert await server.received(23) == b"one two three four five"


async def test_protocol_is_replaced(ends, loop):
    client, server = ends
    other = Recorder()
    server.transport.set_protocol(other)
    assert server.transport.get_protocol() is other
    client.transport.write(b"for the other one")
    assert await other.received(17) == b"for the other one"
    server.transport.set_protocol(server)
    client.transport.write(b"again")
    assert await server.received(5) == b"again"


# ---- data ----


class Buffered(asyncio.BufferedProtocol):
    """Takes a few bytes at a time."""

    def __init__(self, size):
        self.size = size
        self.data = bytearray()
        self.arrived = asyncio.Event()
        self.ended = asyncio.get_running_loop().create_future()
        self.events = []

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, hint):
        self.buffer = bytearray(self.size)
        return self.buffer

    def buffer_updated(self, count):
        self.data += self.buffer[:count]
        self.arrived.set()

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.ended.set_result(error)

    received = Recorder.received


@pytest.mark.own("asyncio loses what comes after the first record in a bytearray")
@pytest.mark.parametrize("size", [1, 100, 16 * 1024, 1024 * 1024])
async def test_buffered_protocol(loop, server_context, client_context, size):
    length = min(size * 1000, LARGE)
    data = bytes(range(251)) * (length // 251 + 1)
    client, server = await connect(loop, server_context, client_context, theirs=lambda: Buffered(size))
    client.transport.write(data)
    assert await server.received(len(data)) == data
    await end(client)
    await server.ended
    assert server.events == ["eof"] and server.ended.result() is None


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 65536, LARGE])
async def test_data_both_ways(ends, size):
    client, server = ends
    data = bytes(range(251)) * (size // 251 + 1)
    client.transport.write(data)
    server.transport.writelines([data[:5], data[5:], b"end"])
    assert await server.received(len(data)) == data
    assert await client.received(len(data) + 3) == data + b"end"


async def test_reading_is_paused_with_plaintext_pending(loop, server_context, client_context):
    class Sipping(Buffered):
        def buffer_updated(self, count):
            super().buffer_updated(count)
            self.transport.pause_reading()

    client, server = await connect(loop, server_context, client_context, theirs=lambda: Sipping(10))
    client.transport.write(b"0123456789" * 5)
    for count in range(1, 6):
        assert await server.received(10 * count) == b"0123456789" * count
        assert not server.transport.is_reading()
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(server.data) == 10 * count
        server.transport.resume_reading()
    await end(client)
    await server.ended


async def test_writer_is_paused(ends):
    client, server = ends
    client.pause_writing = lambda: client.events.append("pause")
    client.resume_writing = lambda: client.events.append("resume")
    server.transport.pause_reading()
    while "pause" not in client.events:
        client.transport.write(bytes(64 * 1024))
    assert client.transport._protocol_paused and client.transport.get_write_buffer_size() > 0
    server.transport.resume_reading()
    while "resume" not in client.events:
        await asyncio.sleep(0.001)
    assert client.events == ["made", "pause", "resume"]


async def test_limits_pause_and_resume_the_writer(loop, server_context, client_context):
    client, server = await connect(loop, server_context, client_context, ours=Writer)
    server.transport.pause_reading()
    while client.events[-1] != "pause":
        client.transport.write(bytes(100_000))
    size = client.transport.get_write_buffer_size()
    client.transport.set_write_buffer_limits(high=4 * size, low=size)
    assert client.events == ["made", "pause", "resume"]
    client.transport.set_write_buffer_limits(high=4 * size, low=size)
    client.transport.set_write_buffer_limits(high=size - 1)
    assert client.events == ["made", "pause", "resume", "pause"]
    client.transport.abort()
    await client.ended
    server.transport.resume_reading()
    await server.ended


async def test_sendfile(ends, loop, tmp_path):
    client, server = ends
    data = bytes(range(256)) * 2000
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as file:
        assert await loop.sendfile(client.transport, file) == len(data)
        with pytest.raises(RuntimeError):
            await loop.sendfile(client.transport, file, fallback=False)
    assert await server.received(len(data)) == data


# ---- the end ----


async def test_close_sends_what_is_buffered(ends):
    client, server = ends
    client.transport.write(bytes(LARGE))
    client.transport.close()
    assert client.transport.is_closing()
    await client.ended
    await server.ended
    assert len(server.data) == LARGE and server.events == ["made", "eof", "lost"]
    assert client.ended.result() is server.ended.result() is None


async def test_writes_after_the_close_are_counted(ends, caplog):
    client, server = ends
    client.transport.close()
    for _ in range(8):
        client.transport.write(b"too late")
        client.transport.writelines([b"too late"])
    await client.ended
    client.transport.write(b"too late")
    await server.ended
    assert server.data == b""
    assert "SSL connection is closed" in caplog.text


async def test_abort(ends):
    client, server = ends
    client.transport.write(bytes(LARGE))
    client.transport.abort()
    assert client.transport.is_closing()
    assert await client.ended is None
    await server.ended
    assert client.events == ["made", "lost"] and len(server.data) < LARGE


async def test_the_peer_of_an_abort_sees_the_end_in_the_next_turn(by_hand):
    """So the program may hold up the loop until the peer has seen it."""
    client, peer = by_hand
    client.transport.abort()
    await asyncio.sleep(0)
    while peer.sock.recv(1000):  # it does not wait: BlockingIOError would say that there is no end yet
        pass
    await client.ended


async def test_closed_inside_of_data_received(ends):
    client, server = ends
    server.data_received = lambda data: server.transport.close()
    client.transport.write(b"bye")
    assert await client.ended is None and await server.ended is None
    assert client.events == ["made", "eof", "lost"]


async def test_eof_received_that_wants_to_go_on(ends, caplog):
    client, server = ends
    server.eof_received = lambda: True
    client.transport.close()
    assert await server.ended is None
    assert "returning true from eof_received() has no effect when using ssl" in caplog.text


@pytest.mark.parametrize("name", ["data_received", "eof_received"])
async def test_protocol_that_fails(ends, contexts, name):
    client, server = ends

    def fail(*args):
        raise ZeroDivisionError

    setattr(server, name, fail)
    client.transport.write(b"data")
    client.transport.close()
    assert isinstance(await server.ended, ZeroDivisionError)
    await client.ended
    (context,) = contexts
    message = {"data_received": "Fatal error on SSL protocol", "eof_received": "Error calling eof_received()"}[name]
    assert context["message"] == message and isinstance(context["exception"], ZeroDivisionError)


async def test_peer_that_does_not_answer_the_end(by_hand):
    client, peer = by_hand
    client.transport.close()
    error = await client.ended
    assert type(error) is TimeoutError and str(error) == "SSL shutdown timed out"


async def test_stream_that_is_cut_off_has_ended(by_hand):
    client, peer = by_hand
    peer.tls.write(b"the last words")
    await peer.flush()
    peer.sock.shutdown(socket.SHUT_WR)
    assert await client.ended is None
    assert client.data == b"the last words" and client.events == ["made", "eof", "lost"]


@pytest.mark.own("asyncio's loop sends no alert")
async def test_record_that_is_changed(by_hand):
    client, peer = by_hand
    peer.tls.write(b"words")
    record = bytearray(peer.outgoing.read())
    record[-1] ^= 1
    await peer.loop.sock_sendall(peer.sock, record)
    error = await client.ended
    assert type(error) is ssl.SSLError and getattr(error, "library") == "SSL"
    assert error.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC" and client.data == b""
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        await peer.call(peer.tls.read, 1)


@pytest.mark.parametrize("step", [1, 7])
async def test_records_in_pieces(by_hand, step):
    client, peer = by_hand
    peer.tls.write(b"some words")
    peer.tls.write(bytes(20000))
    data = peer.outgoing.read()
    for i in range(0, 200, step):
        await peer.loop.sock_sendall(peer.sock, data[i : min(i + step, 200)])
        await asyncio.sleep(0)
    await peer.loop.sock_sendall(peer.sock, data[200:])
    assert await client.received(20010) == b"some words" + bytes(20000)


async def test_data_that_arrives_after_the_close_is_not_told(by_hand):
    client, peer = by_hand
    client.transport.close()
    peer.tls.write(b"too late")
    await peer.flush()
    assert await peer.call(peer.tls.read, 1) == b""
    await client.ended
    assert client.events == ["made", "lost"] and client.data == b""


async def test_ssl_object_in_the_hands_of_the_program(ends):
    client, server = ends
    tls = client.transport.get_extra_info("ssl_object")
    with pytest.raises(ssl.SSLWantReadError):
        tls.read(1)
    assert tls.pending() == 0
    await end(client)
    await server.ended
    with pytest.raises((ssl.SSLError, OSError)):
        tls.read(1)
    tls.version(), tls.cipher(), tls.getpeercert(True)


def test_unclosed(loop, ends):
    client, server = ends
    for protocol in ends:
        protocol.transport.pause_reading()
    client.connection_lost = server.connection_lost = None
    loop.close()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for protocol in ends:
            del protocol.transport
        del client, server, protocol
        gc.collect()
    assert any(issubclass(warning.category, ResourceWarning) for warning in told)


# ---- handshakes ----


async def test_waiter_comes_after_connection_made(loop, server_context, client_context):
    order = []

    class Noting(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            order.append("made")
            transport.write(b"at once")

    client, server = await connect(loop, server_context, client_context, ours=Noting)
    order.append("returned")
    assert order == ["made", "returned"] and await server.received(7) == b"at once"
    await end(client)
    await server.ended


async def test_debug_mode_logs_the_handshake(loop, server_context, client_context, caplog):
    loop.set_debug(True)
    with caplog.at_level(logging.DEBUG, "asyncio"):
        client, server = await connect(loop, server_context, client_context)
        await end(client)
        await server.ended
    assert "starts SSL handshake" in caplog.text and "SSL handshake took" in caplog.text


async def failure(loop, server_context, client_context, **options):
    """What the client's call raises, and the server's."""
    here, there = socket.socketpair()
    client = loop.create_connection(Recorder, sock=here, ssl=client_context, server_hostname="localhost", **options)
    server = loop.connect_accepted_socket(Recorder, there, ssl=server_context)
    return await asyncio.gather(client, server, return_exceptions=True)


async def test_certificate_is_refused(loop, server_context):
    client, server = await failure(loop, server_context, ssl.create_default_context())
    assert type(client) is ssl.SSLCertVerificationError and client.reason == "CERTIFICATE_VERIFY_FAILED"
    assert client.verify_code == 18 and client.verify_message.startswith("self")
    assert isinstance(server, (ssl.SSLError, ConnectionError))


async def test_name_is_not_the_certificates(loop, server_context, client_context):
    here, there = socket.socketpair()
    client = loop.create_connection(Recorder, sock=here, ssl=client_context, server_hostname="example.org")
    server = loop.connect_accepted_socket(Recorder, there, ssl=server_context)
    error, _ = await asyncio.gather(client, server, return_exceptions=True)
    assert type(error) is ssl.SSLCertVerificationError and "Hostname mismatch" in error.verify_message


@pytest.mark.own("asyncio's loop sends no alert")
async def test_versions_do_not_meet(loop, server_context, client_context):
    server_context.minimum_version = ssl.TLSVersion.TLSv1_3
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    client, server = await failure(loop, server_context, client_context)
    assert isinstance(client, ssl.SSLError) and client.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert isinstance(server, ssl.SSLError) and server.reason == "UNSUPPORTED_PROTOCOL"


async def test_plain_text_instead_of_a_hello(loop, server_context):
    here, there = socket.socketpair()
    with here:
        here.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ssl.SSLError) as caught:
            await loop.connect_accepted_socket(Recorder, there, ssl=server_context)
    assert caught.value.reason == "HTTP_REQUEST"


async def test_peer_that_leaves_in_the_handshake(loop, client_context):
    here, there = socket.socketpair()
    there.close()
    with pytest.raises(ConnectionError):
        await loop.create_connection(Recorder, sock=here, ssl=client_context, server_hostname="localhost")


# ---- what a context can do ----


async def test_alpn(loop, server_context, client_context):
    server_context.set_alpn_protocols(["h2", "http/1.1"])
    client_context.set_alpn_protocols(["http/1.1"])
    client, server = await connect(loop, server_context, client_context)
    for protocol in client, server:
        assert protocol.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    await end(client)
    await server.ended


async def test_server_name_chooses_the_context(loop, server_context, client_context, certificate):
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(*certificate)
    names = []

    def choose(tls, name, context):
        names.append((name, context is server_context))
        tls.context = other

    server_context.sni_callback = choose
    client, server = await connect(loop, server_context, client_context)
    assert names == [("localhost", True)]
    assert server.transport.get_extra_info("ssl_object").context is other
    client.transport.write(b"data")
    assert await server.received(4) == b"data"
    await end(client)
    await server.ended


@pytest.mark.own("asyncio's loop sends no alert")
async def test_server_name_callback_that_raises(loop, server_context, client_context, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)

    def choose(tls, name, context):
        raise ZeroDivisionError

    server_context.sni_callback = choose
    client, server = await failure(loop, server_context, client_context)
    assert isinstance(client, ssl.SSLError) and client.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    assert isinstance(server, ssl.SSLError) and server.reason == "CALLBACK_FAILED"
    assert [what.exc_type for what in unraisable] == [ZeroDivisionError]
    unraisable.clear()


@pytest.mark.own("asyncio's loop sends no alert")
async def test_server_name_that_is_refused(loop, server_context, client_context):
    server_context.sni_callback = lambda *args: ssl.ALERT_DESCRIPTION_ACCESS_DENIED
    client, server = await failure(loop, server_context, client_context)
    assert client.reason == "TLSV1_ALERT_ACCESS_DENIED" and server.reason == "CALLBACK_FAILED"


async def test_key_log(loop, server_context, client_context, tmp_path):
    client_context.keylog_filename = str(tmp_path / "keys")
    client, server = await connect(loop, server_context, client_context)
    await end(client)
    await server.ended
    assert "CLIENT_TRAFFIC_SECRET_0" in pathlib.Path(client_context.keylog_filename).read_text()
    client_context.keylog_filename = None


async def test_client_certificate_is_required(loop, server_context, client_context, certificate):
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(certificate[0])
    client_context.load_cert_chain(*certificate)
    client, server = await connect(loop, server_context, client_context)
    assert server.transport.get_extra_info("peercert")["subject"] == ((("commonName", "localhost"),),)
    await end(client)
    await server.ended


async def test_client_certificate_after_the_handshake(loop, server_context, client_context, certificate):
    server_context.post_handshake_auth = client_context.post_handshake_auth = True
    server_context.load_verify_locations(certificate[0])
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context.load_cert_chain(*certificate)
    client, server = await connect(loop, server_context, client_context)
    tls = server.transport.get_extra_info("ssl_object")
    assert tls.getpeercert() is None
    tls.verify_client_post_handshake()
    server.transport.write(b"who are you?")
    assert await client.received(12) == b"who are you?"
    client.transport.write(b"me")
    assert await server.received(2) == b"me"
    assert tls.getpeercert()["subject"] == ((("commonName", "localhost"),),)
    await end(client)
    await server.ended


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_session_is_resumed(loop, server_context, certificate, version):
    class Resuming(ssl.SSLContext):
        session = None

        def wrap_bio(self, *args, **kwargs):
            return super().wrap_bio(*args, session=self.session, **kwargs)

    context = Resuming(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate[0])
    context.maximum_version = version
    for resumed in False, True:
        client, server = await connect(loop, server_context, context)
        server.transport.write(b"by now the tickets are there")
        await client.received(28)
        tls = client.transport.get_extra_info("ssl_object")
        assert tls.session_reused is resumed
        context.session = tls.session
        await end(client)
        await server.ended


async def test_class_of_ssl_objects_with_methods_of_its_own(loop, server_context, client_context):
    read = []

    class Reading(ssl.SSLObject):
        def read(self, *args):
            read.append(args[0])
            return super().read(*args)

    client_context.sslobject_class = Reading
    client, server = await connect(loop, server_context, client_context)
    server.transport.write(b"data")
    assert await client.received(4) == b"data" and read
    await end(client)
    await server.ended


class Wrapper:
    """A context that is no ssl.SSLContext."""

    def __init__(self, context):
        self.context = context

    def wrap_bio(self, *args, **kwargs):
        return self.context.wrap_bio(*args, **kwargs)


async def test_context_of_another_kind(loop, server_context, client_context):
    client, server = await connect(loop, server_context, Wrapper(client_context))
    assert type(client.transport).__module__ == "asyncio.sslproto"
    client.transport.write(bytes(LARGE))
    assert len(await server.received(LARGE)) == LARGE
    await end(client)
    await server.ended


# ---- TLS over TLS ----


async def test_tls_over_tls(loop, server_context, client_context):
    client, server = await connect(loop, server_context, client_context)
    options = {"server_hostname": "localhost"}
    above, accepted = await asyncio.gather(
        loop.start_tls(client.transport, client, client_context, **options),
        loop.start_tls(server.transport, server, server_context, server_side=True),
    )
    assert above.get_extra_info("ssl_object") is not client.transport.get_extra_info("ssl_object")
    assert above.get_extra_info("socket").fileno() == client.transport.get_extra_info("socket").fileno()
    above.write(bytes(LARGE))
    accepted.write(b"answer")
    assert len(await server.received(LARGE)) == LARGE and await client.received(6) == b"answer"
    above.close()
    assert await client.ended is None and await server.ended is None
    assert client.transport.is_closing()


async def test_closing_what_is_below_closes_what_is_above(loop, server_context, client_context):
    for close in "close", "abort":
        client, server = await connect(loop, server_context, client_context)
        below = client.transport._ssl_protocol._transport
        getattr(below, close)()
        assert await client.ended is None
        await server.ended
        assert client.transport.is_closing() and below.is_closing()


@pytest.mark.own("asyncio reports an AssertionError of its own, and the protocol stays paused")
async def test_start_tls_of_a_protocol_that_is_paused(loop, server_context, client_context, pair):
    here, there = pair
    transport, protocol = await loop.create_connection(Writer, sock=here.dup())
    written = 0
    while protocol.events[-1] != "pause":
        transport.write(bytes(100_000))
        written += 100_000
    upgrade = loop.create_task(loop.start_tls(transport, protocol, client_context, server_hostname="localhost"))
    while written:
        written -= len(await loop.sock_recv(there, min(written, 65536)))
    peer = Peer(loop, there, server_context)
    await peer.call(peer.tls.do_handshake)
    protocol.transport = await upgrade
    assert protocol.events == ["made", "pause", "resume"]
    protocol.transport.write(b"data")
    assert await peer.call(peer.tls.read) == b"data"
    protocol.transport.abort()
    await protocol.ended


@pytest.mark.parametrize("how", ["close", "reset", "plain text", "limit", "abort"])
@pytest.mark.own("asyncio does not tell of all of these")
async def test_start_tls_that_fails_tells_the_protocol_of_the_end(loop, client_context, pair, how):
    """The protocol has been told of a connection before: so it is told of its end, by what start_tls() raises."""
    here, there = pair
    transport, protocol = await loop.create_connection(Recorder, sock=here.dup())
    limit = 0.01 if how == "limit" else None
    upgrade = loop.create_task(
        loop.start_tls(transport, protocol, client_context, server_hostname="localhost", ssl_handshake_timeout=limit)
    )
    await loop.sock_recv(there, 1 if how == "reset" else 65536)
    if how == "plain text":
        await loop.sock_sendall(there, b"500 there is no TLS here\r\n")
    elif how == "abort":
        transport.abort()
    elif how != "limit":
        there.close()  # with unread bytes that is a reset
    with pytest.raises(OSError) as raised:
        await upgrade
    assert await protocol.ended is (None if how == "abort" else raised.value)
    assert protocol.events == ["made", "lost"]


@pytest.mark.own("asyncio waits for the time limit")
async def test_start_tls_on_what_is_closed(loop, client_context, pair):
    here, there = pair
    transport, protocol = await loop.create_connection(Recorder, sock=here.dup())
    transport.close()
    with pytest.raises(ConnectionResetError, match="Failed to start TLS"):
        await loop.start_tls(transport, protocol, client_context, server_hostname="localhost")
    await protocol.ended
