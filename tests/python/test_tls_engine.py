"""By which engine TLS goes: what it needs of this Python, what it falls back to, and that loop.stats() tells it."""

import contextlib
import ctypes
import subprocess
import sys

import pytest

from certificates import certificate, client_context, server_context  # noqa: F401, fixtures
from peers import Accepting, Recorder, end

_ssl = pytest.importorskip("_ssl")

pytestmark = pytest.mark.own("asyncio has one way")

ECHO = """
import asyncio, ssl, sys, _ssl, ringport
from ringport import tls
{prepare}

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data)

async def main():
    loop = asyncio.get_running_loop()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*sys.argv[1:])
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context)
    context = ssl.create_default_context(cafile=sys.argv[1])
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=context)
    writer.write(bytes(100_000))
    await reader.readexactly(100_000)
    stats = loop.stats()
    print(stats["tls"], stats["tls_fallback_reason"], type(writer.transport).__name__, sep="; ")
    writer.close()
    await writer.wait_closed()
    server.close()

ringport.run(main())
"""


def echo(certificate, prepare="", **environment):
    """What a process of its own says of its engine, after it has had something echoed."""
    program = ECHO.format(prepare=prepare)
    told = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), sys.executable, "-c", program, *certificate],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.stderr == "", told.stderr
    return told.stdout.strip().split("; ")


def has_library():
    """Whether this Python's `_ssl` is a file of its own, linked with an OpenSSL that others can use."""
    with contextlib.suppress(AttributeError, OSError):
        return hasattr(ctypes.CDLL(_ssl.__file__), "SSL_read_ex")
    return False


def test_best_engine(certificate):
    if has_library():
        assert echo(certificate) == ["openssl", "None", "SSLTransport"]
    else:
        assert echo(certificate)[::2] == ["memory", "SSLTransport"]


PART = "_ssl is a part of the interpreter, and so is its OpenSSL"
HIDDEN = "_ssl does not show the functions of its OpenSSL"
LAYOUT = "the SSL in an SSLObject of _ssl's is not found"


@pytest.mark.skipif(not has_library(), reason="there is nothing to hide")
@pytest.mark.parametrize("prepare, reason", [
    ("del _ssl.__file__", PART),
    ("_ssl.__file__ = None", PART),
    ("_ssl.__file__ = 'none such'", PART),
    ("import _ctypes; _ssl.__file__ = _ctypes.__file__", HIDDEN),
    ("_ssl._SSLSocket = ssl.MemoryBIO", LAYOUT),
    ("ssl.SSLObject.read = lambda self, *args, read=ssl.SSLObject.read: read(self, *args)", None),
])  # fmt: skip
def test_what_it_needs_is_hidden(certificate, prepare, reason):
    if reason is None:  # whoever replaces a method of the class before us is followed in any case
        assert echo(certificate, prepare)[2] == "SSLTransport"
        return
    assert echo(certificate, prepare) == ["memory", reason, "SSLTransport"]


def test_handshake_that_cannot_be_tried(certificate):
    engine, reason, transport = echo(certificate, "tls.TRIAL_CIPHER = 'none such'")
    assert (engine, transport) == ("memory", "SSLTransport") and reason.startswith("a handshake in memory cannot be tried: ")


def test_handshake_that_fails(certificate):
    prepare = "tls.trial_object = lambda protocol, make=tls.trial_object: make(ssl.PROTOCOL_TLS_CLIENT)"
    assert echo(certificate, prepare) == ["memory", "a handshake in memory has failed", "SSLTransport"]


def test_chosen_by_the_environment(certificate):
    assert echo(certificate, RINGPORT_TLS="memory") == ["memory", "RINGPORT_TLS=memory", "SSLTransport"]
    assert echo(certificate, RINGPORT_TLS="asyncio") == ["asyncio", "RINGPORT_TLS=asyncio", "_SSLProtocolTransport"]
    assert echo(certificate, RINGPORT_TLS="none such") == echo(certificate)


def test_protocol_of_asyncios_that_is_replaced(certificate):
    prepare = """from asyncio import sslproto
class Other(sslproto.SSLProtocol): pass
sslproto.SSLProtocol = Other"""
    assert echo(certificate, prepare)[2] == "_SSLProtocolTransport"


@pytest.mark.skipif(not has_library(), reason="OpenSSL cannot be asked")
async def test_errors_that_others_have_left(loop, server_context, client_context):
    library = ctypes.CDLL(_ssl.__file__)
    accepting = Accepting()
    server = await loop.create_server(accepting, "127.0.0.1", 0, ssl=server_context)
    address = server.sockets[0].getsockname()
    _, client = await loop.create_connection(Recorder, *address, ssl=client_context)
    (peer,) = await accepting.count(1)
    for method in client.transport.write, peer.transport.write:
        library.ERR_new()
        library.ERR_set_error(20, 1, None)  # of libssl's
        method(b"data")
        library.ERR_new()
        library.ERR_set_error(20, 1, None)
    assert await client.received(4) == await peer.received(4) == b"data"
    library.ERR_new()
    library.ERR_set_error(20, 1, None)
    await end(client)
    assert await peer.ended is None
    library.ERR_clear_error()
    server.close()
    await server.wait_closed()


def test_bad_arguments(loop):
    for call in loop._try_tls, loop._make_tls_transport:
        with pytest.raises(TypeError):
            call()
    assert isinstance(loop._try_tls(1, 2), str)
    arguments = [None, None, object(), (None, None, None), None, {}, False, True, (1, 1), True, b""]
    with pytest.raises(TypeError, match="is not supported by start_tls"):
        loop._make_tls_transport(*arguments)
