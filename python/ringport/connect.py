"""Connections: to names, addresses and paths, of sockets that are given, and by TLS.

Whatever fails or is cancelled leaves nothing open: a socket that was made here is closed unless a transport has it. From
Python 3.14 on so is one that was given.
Sockets are made by what asyncio.base_events has as `socket`: whoever replaces that, as tests do, replaces it here, too.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from asyncio import base_events
from asyncio.log import logger

from . import _core

try:
    import ssl as ssl_module
except ImportError:  # a Python without it
    ssl_module = None


PLAIN_PROTOCOLS = {0, socket.IPPROTO_TCP}
CLOSES_GIVEN_SOCKETS = sys.version_info >= (3, 14)  # those that get no transport


def connects_itself(loop):
    """Whether sock_connect() is ours: neither a subclass nor the loop itself has another one. Nor are sockets replaced."""
    if base_events.socket is not socket:
        return False
    return type(loop).sock_connect is _core.Loop.sock_connect and "sock_connect" not in loop.__dict__


def check_stream_socket(sock, family=None):
    """Raise what asyncio raises for a socket that no stream can have."""
    if ssl_module is not None and isinstance(sock, ssl_module.SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")
    if family is not None and (sock.family != family or sock.type != socket.SOCK_STREAM):
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")


def check_tls_timeouts(tls, handshake_timeout, shutdown_timeout):
    """Refuse time limits of TLS where there is none."""
    if handshake_timeout is not None and not tls:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout is not None and not tls:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")


def discard(sock):
    """Close the socket of what has failed: that is told, and not what closing it says."""
    with contextlib.suppress(OSError):
        sock.close()


def interleave_families(infos, first):
    """Take addresses from each family in turn, after so many of the first one."""
    families = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    lists = list(families.values())
    head = lists[0][: first - 1]
    lists[0] = lists[0][first - 1 :]
    rounds = itertools.zip_longest(*lists)
    return head + [info for info in itertools.chain.from_iterable(rounds) if info is not None]


def bind_to_first(sock, local_infos, errors):
    """Bind to the first address of the socket's family that can be had."""
    for family, _, _, _, address in local_infos:
        if family != sock.family:
            continue
        try:
            sock.bind(address)
            return
        except OSError as error:
            text = f"error while attempting to bind on address {address!r}: {str(error).lower()}"
            errors.append(OSError(error.errno, text))
    if errors:
        raise errors.pop()
    raise OSError(f"no matching local address with family={sock.family!r} found")


def combine(errors, all_errors):
    """The exception that tells of all attempts."""
    if all_errors:
        return ExceptionGroup("create_connection failed", errors)
    if not errors:
        return TimeoutError("create_connection failed")
    texts = [str(error) for error in errors]
    if all(text == texts[0] for text in texts):
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(texts)}")


def close_result(task):
    """Close the socket of an attempt that was made for nothing."""
    if not task.cancelled() and task.exception() is None:
        discard(task.result())


async def first_success(loop, attempts, delay, started):
    """The first attempt that succeeds: a task of those in `started`. None: all have failed."""
    waiting = set()
    for attempt in attempts:
        last = loop.create_task(attempt)
        started.append(last)
        waiting.add(last)
        until = loop.time() + delay
        left = delay
        while left > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if winner := next(filter(succeeded, done), None):
                return winner
            left = 0 if last.done() else until - loop.time()
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if winner := next(filter(succeeded, done), None):
            return winner
    return None


def succeeded(task):
    """Whether an attempt has a socket. Errors that say nothing about an address are raised."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, OSError):
        raise error
    return error is None and not task.cancelled()


async def race(loop, attempts, delay):
    """
    Happy eyeballs: start the next attempt when the last one has failed, or after a delay.

    Return the socket of the first one that succeeds, or None. The others have ended by then.
    """
    started = []
    winner = None
    try:
        winner = await first_success(loop, attempts, delay, started)
    finally:
        losers = [task for task in started if task is not winner]
        for task in losers:
            task.cancel()
            task.add_done_callback(close_result)
        try:
            if losers:
                await asyncio.wait(losers)
        except BaseException:
            if winner is not None:
                close_result(winner)
            raise
        finally:
            del started, losers
    return winner and winner.result()


class Connecting:
    """What Loop has for those who connect."""

    async def create_connection(
        self,
        protocol_factory,
        host=None,
        port=None,
        *,
        ssl=None,
        family=0,
        proto=0,
        flags=0,
        sock=None,
        local_addr=None,
        server_hostname=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
        happy_eyeballs_delay=None,
        interleave=None,
        all_errors=False,
    ):
        """
        Connect to host:port, or use a socket that is connected. Return (transport, protocol).

        The addresses of a name are tried one after the other; with happy_eyeballs_delay, also beside each other.
        """
        if server_hostname is not None and not ssl:
            raise ValueError("server_hostname is only meaningful with ssl")
        if server_hostname is None and ssl:
            if not host:
                raise ValueError("You must set server_hostname when using ssl without a host")
            server_hostname = host
        check_tls_timeouts(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        given = sock is not None
        begun = None
        plain = not given and not ssl and local_addr is None and not all_errors
        if plain and proto in PLAIN_PROTOCOLS and connects_itself(self):
            begun = _core.connect(self, protocol_factory, host, port, family)
        if type(begun) is tuple:
            transport, protocol, waiter = begun
            try:
                await waiter
            except BaseException:
                transport.close()
                raise
        else:
            if begun is not None:
                sock = await self._go_on_connecting(begun, (host, port))
            elif host is not None or port is not None:
                if given:
                    raise ValueError("host/port and sock can not be specified at the same time")
                if happy_eyeballs_delay is not None and interleave is None:
                    interleave = 1
                hints = {"family": family, "type": socket.SOCK_STREAM, "proto": proto, "flags": flags}
                sock = await self._connect_to_name(
                    (host, port), local_addr, hints, happy_eyeballs_delay, interleave, all_errors
                )
            elif given:
                check_stream_socket(sock)
            else:
                raise ValueError("host and port was not specified and no sock specified")
            transport, protocol = await self._use_socket(
                sock,
                given,
                protocol_factory,
                ssl,
                server_side=False,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        if self._debug:
            sock = transport.get_extra_info("socket")
            logger.debug("%r connected to %s:%r: (%r, %r)", sock, host, port, transport, protocol)
        return transport, protocol

    async def _go_on_connecting(self, descriptor, address):
        """The socket, when it is connected."""
        sock = socket.socket(fileno=descriptor)
        try:
            sock.setblocking(False)
            await self.sock_connect(sock, address)
            return sock
        except BaseException:
            discard(sock)
            raise

    async def _connect_to_name(self, address, local_address, hints, delay, interleave, all_errors):
        """A socket that is connected to one of a name's addresses."""
        infos = await self._resolve(address, hints)
        local_infos = None if local_address is None else await self._resolve(local_address, hints)
        if interleave:
            infos = interleave_families(infos, interleave)
        errors = [[] for _ in infos]  # of each attempt, in their order
        attempts = (self._connect_to_address(info, local_infos, kept) for info, kept in zip(infos, errors))
        try:
            if delay is None:
                sock = await self._first_in_order(attempts)
            else:
                sock = await race(self, attempts, delay)
            if sock is None:
                raise combine(list(itertools.chain.from_iterable(errors)), all_errors)
            return sock
        finally:
            del errors, attempts  # tracebacks refer to this frame

    async def _resolve(self, address, hints):
        infos = await self._ensure_resolved(address, **hints, loop=self)
        if not infos:
            raise OSError("getaddrinfo() returned empty list")
        return infos

    @staticmethod
    async def _first_in_order(attempts):
        for attempt in attempts:
            try:
                return await attempt
            except OSError:
                pass
        return None

    async def _connect_to_address(self, info, local_infos, errors):
        """A socket that is connected to one address. OSErrors are appended to `errors`, too."""
        family, kind, proto, _, address = info
        sock = None
        try:
            sock = base_events.socket.socket(family=family, type=kind, proto=proto)
            sock.setblocking(False)
            if local_infos is not None:
                bind_to_first(sock, local_infos, errors)
            await self.sock_connect(sock, address)
            return sock
        except BaseException as error:
            if sock is not None:
                discard(sock)
            if isinstance(error, OSError):
                errors.append(error)
            raise
        finally:
            del errors

    async def _use_socket(self, sock, given, protocol_factory, ssl, **options):
        """Make protocol and transport of a socket, and await connection_made or the handshake."""
        try:
            sock.setblocking(False)
            protocol = protocol_factory()
            waiter = self.create_future()
            if ssl:
                context = None if isinstance(ssl, bool) else ssl
                transport = self._make_ssl_transport(sock, protocol, context, waiter, **options)
            else:
                transport = self._make_socket_transport(sock, protocol, waiter)
        except BaseException:
            if not given or CLOSES_GIVEN_SOCKETS:
                discard(sock)
            raise
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        finally:
            del waiter
        return transport, protocol

    async def connect_accepted_socket(
        self, protocol_factory, sock, *, ssl=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None
    ):
        """Make protocol and transport of a connection that was accepted elsewhere. Return (transport, protocol)."""
        check_stream_socket(sock)
        check_tls_timeouts(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        transport, protocol = await self._use_socket(
            sock,
            True,
            protocol_factory,
            ssl,
            server_side=True,
            server_hostname="",
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        if self._debug:
            logger.debug("%r handled: (%r, %r)", transport.get_extra_info("socket"), transport, protocol)
        return transport, protocol

    async def create_unix_connection(
        self,
        protocol_factory,
        path=None,
        *,
        ssl=None,
        sock=None,
        server_hostname=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        """Connect to a Unix socket's path, or use one that is connected. Return (transport, protocol)."""
        if ssl and server_hostname is None:
            raise ValueError("you have to pass server_hostname when using ssl")
        if server_hostname is not None and not ssl:
            raise ValueError("server_hostname is only meaningful with ssl")
        check_tls_timeouts(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        given = sock is not None
        if path is not None:
            if given:
                raise ValueError("path and sock can not be specified at the same time")
            info = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", os.fspath(path))
            sock = await self._connect_to_address(info, None, [])
        elif given:
            check_stream_socket(sock, socket.AF_UNIX)
        else:
            raise ValueError("no path and sock were specified")
        return await self._use_socket(
            sock,
            given,
            protocol_factory,
            ssl,
            server_side=False,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
