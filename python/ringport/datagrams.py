"""Datagram endpoints: their arguments and sockets. Whatever fails or is cancelled leaves none open."""

import os
import socket
import stat
import sys
from asyncio import base_events
from asyncio.log import logger

from .connect import discard

EXPECTED = "A datagram socket" if sys.version_info >= (3, 13) else "A UDP Socket"  # in asyncio's words


def check_given_socket(sock, options):
    """Raise what asyncio raises for a socket that cannot be an endpoint's, or goes with no such options."""
    if sock.type == socket.SOCK_STREAM:
        raise ValueError(f"{EXPECTED} was expected, got {sock!r}")
    if any(options.values()):
        problems = ", ".join(f"{name}={value}" for name, value in options.items() if value)
        raise ValueError(f"socket modifier keyword arguments can not be used when sock is specified. ({problems})")


def remove_stale(path):
    """Remove the Unix socket that lies at a path, if it can be."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.error("Unable to check or remove stale UNIX socket %r: %r", path, error)


class Datagrams:
    """What Loop has of datagrams."""

    async def create_datagram_endpoint(
        self,
        protocol_factory,
        local_addr=None,
        remote_addr=None,
        *,
        family=0,
        proto=0,
        flags=0,
        reuse_port=None,
        allow_broadcast=None,
        sock=None,
    ):
        """
        Make a socket for datagrams, bound to local_addr and connected to remote_addr, or use one that is given.

        Return (transport, protocol).
        """
        given = sock is not None
        address = None
        if given:
            options = {
                "local_addr": local_addr,
                "remote_addr": remote_addr,
                "family": family,
                "proto": proto,
                "flags": flags,
                "reuse_port": reuse_port,
                "allow_broadcast": allow_broadcast,
            }
            check_given_socket(sock, options)
            sock.setblocking(False)
        else:
            pairs = await self._datagram_addresses(local_addr, remote_addr, family, proto, flags)
            sock, address = await self._first_datagram_socket(pairs, local_addr, remote_addr, reuse_port, allow_broadcast)
        try:
            protocol = protocol_factory()
            waiter = self.create_future()
            transport = self._make_datagram_transport(sock, protocol, address, waiter)
        except BaseException:
            if not given:
                discard(sock)
            raise
        if self._debug:
            if local_addr:
                logger.info(
                    "Datagram endpoint local_addr=%r remote_addr=%r created: (%r, %r)",
                    local_addr,
                    remote_addr,
                    transport,
                    protocol,
                )
            else:
                logger.debug("Datagram endpoint remote_addr=%r created: (%r, %r)", remote_addr, transport, protocol)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        finally:
            del waiter
        return transport, protocol

    async def _datagram_addresses(self, local_addr, remote_addr, family, proto, flags):
        """What is to be tried: ((family, protocol), (local address, remote address)), one after the other."""
        if not (local_addr or remote_addr):
            if family == 0:
                raise ValueError("unexpected address family")
            return [((family, proto), (None, None))]
        if family == socket.AF_UNIX:
            for address in local_addr, remote_addr:
                if address is not None and not isinstance(address, str):
                    raise TypeError("string is expected")
            if local_addr and local_addr[0] not in (0, "\x00"):
                remove_stale(local_addr)
            return [((family, proto), (local_addr, remote_addr))]
        found = {}
        for place, address in enumerate((local_addr, remote_addr)):
            if address is None:
                continue
            if not (isinstance(address, tuple) and len(address) == 2):
                raise TypeError("2-tuple is expected")
            infos = await self._ensure_resolved(
                address, family=family, type=socket.SOCK_DGRAM, proto=proto, flags=flags, loop=self
            )
            if not infos:
                raise OSError("getaddrinfo() returned empty list")
            for found_family, _, found_proto, _, resolved in infos:
                found.setdefault((found_family, found_proto), [None, None])[place] = resolved
        pairs = [
            (key, pair)
            for key, pair in found.items()
            if not ((local_addr and pair[0] is None) or (remote_addr and pair[1] is None))
        ]
        if not pairs:
            raise ValueError("can not get address information")
        return pairs

    async def _first_datagram_socket(self, pairs, local_addr, remote_addr, reuse_port, allow_broadcast):
        """The first socket that can be had, and the address that it is to send to, or None."""
        first = None
        try:
            for (family, proto), (local_address, remote_address) in pairs:
                sock = None
                try:
                    sock = base_events.socket.socket(family=family, type=socket.SOCK_DGRAM, proto=proto)
                    if reuse_port:
                        base_events._set_reuseport(sock)
                    if allow_broadcast:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                    sock.setblocking(False)
                    if local_addr:
                        sock.bind(local_address)
                    if not remote_addr:
                        return sock, None
                    if not allow_broadcast:
                        await self.sock_connect(sock, remote_address)
                    return sock, remote_address
                except BaseException as error:
                    if sock is not None:
                        discard(sock)
                    if not isinstance(error, OSError):
                        raise
                    first = first or error
            raise first
        finally:
            del first  # its traceback refers to this frame
