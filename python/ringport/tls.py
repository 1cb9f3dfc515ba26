"""Connections by TLS: SSLObjects of the program's own contexts, which the core drives in C.

There are two ways to drive them, and asyncio's own way. The environment's RINGPORT_TLS may choose one by its name:

openssl: records and plaintext go by the OpenSSL that `_ssl` has loaded, without Python's objects. Whether this works
    with this Python is tried out at first use, by a handshake in memory.
memory: they go by the SSLObject's methods, and its ssl.MemoryBIOs.
asyncio: asyncio.sslproto.SSLProtocol does it all. So it also does for a context that is no ssl.SSLContext, for a
    transport that is not ours, and if the program has replaced it.
"""

import asyncio
import os
from asyncio import base_events, constants, sslproto

from . import _core

try:
    import ssl
except ImportError:  # a Python without it
    ssl = None

ENGINES = "openssl", "memory", "asyncio"
TRIAL_CIPHER = "AECDH-AES128-SHA:@SECLEVEL=0"  # it needs no certificate
SSLProtocol = sslproto.SSLProtocol

_chosen = None  # the engine's name, and why it is not the first one


def trial_object(protocol):
    """An SSLObject of a client or a server that needs no certificate."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TRIAL_CIPHER)
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=protocol == ssl.PROTOCOL_TLS_SERVER)


def try_out(loop):
    """Why the engine "openssl" cannot be had, or None."""
    try:
        return loop._try_tls(trial_object(ssl.PROTOCOL_TLS_CLIENT), trial_object(ssl.PROTOCOL_TLS_SERVER))
    except (ssl.SSLError, ValueError) as error:
        return f"a handshake in memory cannot be tried: {error}"


def choose(loop):
    """The name of the engine of this process, and why it is not the first one, or None."""
    global _chosen
    if _chosen is None:
        wanted = os.environ.get("RINGPORT_TLS", "")
        if ssl is None:
            _chosen = None, "this Python has no module ssl"
        elif wanted in ENGINES[1:]:
            _chosen = wanted, f"RINGPORT_TLS={wanted}"
        else:
            refused = try_out(loop)
            _chosen = "memory" if refused else "openssl", refused
    return _chosen


class TLSProtocol(asyncio.Protocol):
    """What a connection that TLS stands on has as its protocol, and the TLS transport as `_ssl_protocol`.

    It is made as an asyncio.sslproto.SSLProtocol, and shows what programs look for in one. The core does the work.
    """

    def __init__(
        self,
        loop,
        app_protocol,
        sslcontext,
        waiter,
        server_side=False,
        server_hostname=None,
        call_connection_made=True,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        self._limits = (
            check_limit("ssl_handshake_timeout", ssl_handshake_timeout, constants.SSL_HANDSHAKE_TIMEOUT),
            check_limit("ssl_shutdown_timeout", ssl_shutdown_timeout, constants.SSL_SHUTDOWN_TIMEOUT),
        )
        if not sslcontext:
            sslcontext = sslproto._create_transport_context(server_side, server_hostname)
        self._loop = loop
        self._sslcontext = sslcontext
        self._server_side = server_side
        self._server_hostname = None if server_side else server_hostname or None
        self._extra = {"sslcontext": sslcontext}
        self._waiter = waiter
        self._made = call_connection_made
        self._first_protocol = app_protocol
        self._transport = None
        self._app_transport = None
        bios = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._sslobj = sslcontext.wrap_bio(*bios, server_side=server_side, server_hostname=self._server_hostname)
        self._objects = self._sslobj, *bios

    def connection_made(self, transport):
        """Begin the handshake, unless that was done before."""
        if self._app_transport is None:
            try:
                self._begin(transport)
            except BaseException:
                transport.abort()
                raise

    def _begin(self, transport, received=b""):
        engine, _ = choose(self._loop)
        if self._loop.get_debug():
            base_events.logger.debug("%r starts SSL handshake", self)
        self._app_transport = self._loop._make_tls_transport(
            transport,
            self,
            self._first_protocol,
            self._objects,
            self._waiter,
            self._extra,
            self._server_side,
            self._made,
            self._limits,
            engine == "openssl",
            received,
        )
        self._transport = transport
        del self._objects, self._first_protocol, self._waiter

    @property
    def _app_protocol(self):
        transport = self._app_transport
        return self._first_protocol if transport is None else transport.get_protocol()

    def _get_extra_info(self, name, default=None):
        return self._app_transport.get_extra_info(name, default)


def check_limit(name, seconds, default):
    """Seconds of a time limit, as asyncio checks them."""
    if seconds is None:
        return default
    if seconds <= 0:
        raise ValueError(f"{name} should be a positive number, got {seconds}")
    return seconds


def unread(protocol):
    """The buffer of a stream that is read ahead, if there is one."""
    reader = protocol._stream_reader if isinstance(protocol, asyncio.StreamReaderProtocol) else None
    return reader and getattr(reader, "_buffer", None)


class Secure:
    """What Loop has for those who use TLS."""

    def _may_drive(self, context):
        """Whether the core does TLS with this context; None: the default one."""
        if sslproto.SSLProtocol is not SSLProtocol or ssl is None or choose(self)[0] == "asyncio":
            return False
        return context is None or isinstance(context, ssl.SSLContext)

    def _tls_protocol_type(self, context):
        """What is made for a connection by TLS with this context."""
        return TLSProtocol if self._may_drive(context) else sslproto.SSLProtocol

    def _make_ssl_transport(
        self,
        rawsock,
        protocol,
        sslcontext,
        waiter=None,
        *,
        server_side=False,
        server_hostname=None,
        extra=None,
        server=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        """TLS over the transport of a socket."""
        tls = self._tls_protocol_type(sslcontext)(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        transport = self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        if isinstance(tls, TLSProtocol):
            tls.connection_made(transport)
        return tls._app_transport

    async def start_tls(
        self,
        transport,
        protocol,
        sslcontext,
        *,
        server_side=False,
        server_hostname=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        """
        Put TLS over a transport. Return a new transport, which the protocol has from then on.

        What a server's StreamReader has read ahead is the client's first record: it is never read as what TLS brought.
        """
        options = {
            "server_side": server_side,
            "server_hostname": server_hostname,
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        ours = isinstance(transport, (_core.SocketTransport, _core.SSLTransport))
        if not ours or sslcontext is None or not self._may_drive(sslcontext):
            return await super().start_tls(transport, protocol, sslcontext, **options)
        waiter = self.create_future()
        tls = TLSProtocol(self, protocol, sslcontext, waiter, call_connection_made=False, **options)
        ahead = unread(protocol) if server_side else None
        tls._begin(transport, bytes(ahead or b""))
        if ahead:
            ahead.clear()
        transport.set_protocol(tls)
        above = tls._app_transport
        try:
            await waiter
        except BaseException:
            above.abort()
            raise
        finally:
            del waiter, tls
        return above
