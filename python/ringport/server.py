"""Servers: sockets that listen. What is accepted on them is made into protocols and transports in C (_core.Server)."""

import asyncio
import collections.abc
import errno
import functools
import itertools
import os
import socket
import stat
import sys
from asyncio import base_events, trsock
from asyncio.log import logger

from . import _core
from .connect import check_stream_socket, check_tls_timeouts, discard

# Whoever finds calls that block by replacing those of os, as test suites do, knows that asyncio's loop makes these.
look_at, remove = os.stat, os.remove

OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Server(_core.Server, base_events.Server):
    """A server that create_server() has made. It behaves as in Python 3.14, but for wait_closed()."""

    _path = None  # of a Unix socket that is removed with the server, and its inode
    _inode = None
    _shared = False  # the program has made the socket, and may have other processes accept on it
    _waits_for_connections = sys.version_info >= (3, 12)  # in wait_closed(), when the server is closed already

    def _start_serving(self):
        if self._serving:
            return
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        inherited = True
        for sock in self._sockets:
            inherited &= set_nodelay(sock)
            sock.listen(self._backlog)
        factory = self._protocol_factory
        if self._ssl_context is not None:
            factory = functools.partial(
                make_tls_protocol,
                self._loop,
                factory,
                self._ssl_context,
                self._ssl_handshake_timeout,
                self._ssl_shutdown_timeout,
            )
        self._serve(self._loop, [sock.fileno() for sock in self._sockets], factory, not inherited)
        self._serving = True

    def close(self):
        """Stop listening. Connections go on."""
        sockets = self._sockets
        if sockets is None:
            return
        self._sockets = None
        self._serving = False
        self._stop()
        for sock in sockets:
            sock.close()
        self._remove_path()
        waiting = self._serving_forever_fut
        if waiting is not None and not waiting.done():
            waiting.cancel()
            self._serving_forever_fut = None
        if self._connections() == 0:
            self._wakeup()

    def close_clients(self):
        """Close the transports of all connections: what they have buffered is sent first."""
        self._waits_for_connections = True
        for transport in self._transports():
            transport.close()

    def abort_clients(self):
        """Close the transports of all connections at once."""
        self._waits_for_connections = True
        for transport in self._transports():
            transport.abort()

    async def serve_forever(self):
        """Serve until this is cancelled, or the server is closed: the connections are closed then, too."""
        if self._serving_forever_fut is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        self._start_serving()
        self._serving_forever_fut = self._loop.create_future()
        try:
            await self._serving_forever_fut
        except asyncio.CancelledError:
            self.close()
            self.close_clients()
            await self.wait_closed()
            raise
        finally:
            self._serving_forever_fut = None

    async def wait_closed(self):
        """Wait until the server is closed, and its last connection has ended.

        Before Python 3.12 asyncio does not wait for connections once the server is closed, and programs rely on it.
        Those that close the connections by methods of later versions mean to wait for them.
        """
        if self._waiters is not None and (self._waits_for_connections or self._sockets is not None):
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def _wakeup(self):
        """The server is closed, and its last connection has ended."""
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _accept_failed(self, index, error):
        """Report that nothing can be accepted now: called by _core.Server, which tries again in a second."""
        message = "socket.accept() out of system resource"
        if not isinstance(error, MemoryError) and error.errno not in OUT_OF_RESOURCES:
            message = "socket.accept() has failed"
        sock = trsock.TransportSocket(self._sockets[index])
        self._loop.call_exception_handler({"message": message, "exception": error, "socket": sock})

    def _note_path(self):
        """Have the path of a Unix socket removed with the server."""
        name = self._sockets[0].getsockname()
        try:
            if is_path(name):
                self._path, self._inode = name, look_at(name).st_ino
        except OSError:
            pass  # it is not to be found: somebody else sees to it

    def _remove_path(self):
        """Remove the path of a Unix socket, unless somebody else's socket is there by now."""
        if self._path is None:
            return
        try:
            if look_at(self._path).st_ino == self._inode:
                remove(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.error("Unable to clean up listening UNIX socket %r: %r", self._path, error)


def set_nodelay(sock):
    """Have a socket that is going to listen hand TCP_NODELAY on to what it accepts. Whether all of that will have it."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return not listens  # else there may be connections that were made before


def make_tls_protocol(loop, protocol_factory, context, handshake_timeout, shutdown_timeout):
    """The protocol of a connection that was accepted for TLS. In debug mode a handshake that fails is reported."""
    protocol = protocol_factory()
    waiter = loop.create_future() if loop.get_debug() else None
    tls = loop._tls_protocol_type(context)(
        loop,
        protocol,
        context,
        waiter,
        server_side=True,
        ssl_handshake_timeout=handshake_timeout,
        ssl_shutdown_timeout=shutdown_timeout,
    )
    if waiter is not None:
        waiter.add_done_callback(functools.partial(report_handshake, tls, loop, protocol))
    return tls


def report_handshake(tls, loop, protocol, waiter):
    error = None if waiter.cancelled() else waiter.exception()
    if error is not None:
        loop.call_exception_handler(
            {
                "message": "Error on transport creation for incoming connection",
                "exception": error,
                "protocol": protocol,
                "transport": tls._app_transport,
            }
        )


def bind_socket(info, reuse_address, reuse_port, keep_alive):
    """A socket that is bound to an address, or None if this machine has no such socket."""
    family, kind, proto, _, address = info
    try:
        sock = base_events.socket.socket(family, kind, proto)
    except OSError:
        return None
    try:
        if reuse_address:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        if reuse_port and family in (socket.AF_INET, socket.AF_INET6):
            set_reuse_port(sock)
        if keep_alive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
        if family == socket.AF_INET6:  # else it would take the port of the other family, too
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
        sock.bind(address)
    except OSError as error:
        discard(sock)
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        text = f"error while attempting to bind on address {address!r}: {str(error).lower()}"
        raise OSError(error.errno, text) from None
    except BaseException:
        discard(sock)
        raise
    return sock


def set_reuse_port(sock):
    if not hasattr(base_events.socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port not supported by socket module")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        raise ValueError("reuse_port not supported by socket module, SO_REUSEPORT defined but not implemented.")


def bind_sockets(infos, *options):
    """Sockets that are bound to all of these addresses that this machine has."""
    sockets = []
    try:
        for info in infos:
            sock = bind_socket(info, *options)
            if sock is not None:
                sockets.append(sock)
        if not sockets:
            raise OSError(f"could not bind on any address out of {[info[4] for info in infos]!r}")
    except BaseException:
        for sock in sockets:
            discard(sock)
        raise
    return sockets


def is_path(name):
    """Whether a Unix socket's name is a path: not an abstract one, and not none at all."""
    return bool(name) and name[0] not in (0, "\0")


def bind_path(path):
    """A Unix socket that is bound to a path. A socket that is left over there is removed first."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_path(path):
            remove_stale_socket(path)
        sock.bind(path)
    except OSError as error:
        discard(sock)
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
    except BaseException:
        discard(sock)
        raise
    return sock


def remove_stale_socket(path):
    try:
        if stat.S_ISSOCK(look_at(path).st_mode):
            remove(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # the directory may permit no more than making a socket
        logger.error("Unable to check or remove stale UNIX socket %r: %r", path, error)


class Serving:
    """What Loop has for those who serve."""

    async def create_server(
        self,
        protocol_factory,
        host=None,
        port=None,
        *,
        family=socket.AF_UNSPEC,
        flags=socket.AI_PASSIVE,
        sock=None,
        backlog=100,
        ssl=None,
        reuse_address=None,
        reuse_port=None,
        keep_alive=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
        start_serving=True,
    ):
        """
        Listen on every address of host:port, or on a socket that is bound. Return a Server.

        The host may be a sequence of them; None or an empty one means all interfaces.
        """
        check_tls_server(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        if host is not None or port is not None:
            if sock is not None:
                raise ValueError("host/port and sock can not be specified at the same time")
            infos = await self._resolve_hosts(host, port, family, flags)
            if reuse_address is None:
                reuse_address = True
            sockets = bind_sockets(infos, reuse_address, reuse_port, keep_alive)
        elif sock is not None:
            check_stream_socket(sock)
            sockets = [sock]
        else:
            raise ValueError("Neither host/port nor sock were specified")
        server = Server(self, sockets, protocol_factory, ssl, backlog, ssl_handshake_timeout, ssl_shutdown_timeout)
        server._shared = sock is not None
        return await self._begin_serving(server, start_serving, given=sock is not None)

    async def _resolve_hosts(self, host, port, family, flags):
        """The addresses of all hosts, each once."""
        hosts = host
        if host == "":
            hosts = [None]
        elif isinstance(host, (str, bytes)) or not isinstance(host, collections.abc.Iterable):
            hosts = [host]
        lookups = [self._resolve_host(each, port, family, flags) for each in hosts]
        return dict.fromkeys(itertools.chain.from_iterable(await asyncio.gather(*lookups)))

    async def _resolve_host(self, host, port, family, flags):
        infos = await self._ensure_resolved((host, port), family=family, type=socket.SOCK_STREAM, flags=flags, loop=self)
        if not infos:
            raise OSError(f"getaddrinfo({host!r}) returned empty list")
        return infos

    async def _begin_serving(self, server, start_serving, given):
        """Have a new server begin. Unless that succeeds its sockets are closed, but for one that was given."""
        try:
            for sock in server._sockets:
                sock.setblocking(False)
            if start_serving:
                server._start_serving()
        except BaseException:
            if given:
                server._sockets = []
            server.close()
            raise
        if start_serving:
            await self._let_serve(server)
        if self._debug:
            logger.info("%r is serving", server)
        return server

    @staticmethod
    async def _let_serve(server):
        """A turn, after which the kernel accepts: connections wait for nobody."""
        try:
            await asyncio.sleep(0)
        except BaseException:
            server.close()
            raise

    async def create_unix_server(
        self,
        protocol_factory,
        path=None,
        *,
        sock=None,
        backlog=100,
        ssl=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
        start_serving=True,
        cleanup_socket=True,
    ):
        """Listen on a Unix socket: at a path, or on one that is bound. Return a Server."""
        check_tls_server(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        given = sock is not None
        if path is not None:
            if given:
                raise ValueError("path and sock can not be specified at the same time")
            sock = bind_path(os.fspath(path))
        elif given:
            check_stream_socket(sock, socket.AF_UNIX)
        else:
            raise ValueError("path was not specified, and no sock specified")
        server = Server(self, [sock], protocol_factory, ssl, backlog, ssl_handshake_timeout, ssl_shutdown_timeout)
        server._shared = given
        if cleanup_socket:
            server._note_path()
        return await self._begin_serving(server, start_serving, given)


def check_tls_server(ssl, handshake_timeout, shutdown_timeout):
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    check_tls_timeouts(ssl is not None, handshake_timeout, shutdown_timeout)
