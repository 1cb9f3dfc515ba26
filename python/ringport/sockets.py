"""Operations on the program's own sockets: what is in Python of them. The rest is in C."""

import asyncio
import errno
import os
import socket

from asyncio import base_events


class Sockets:
    """What Loop has of sock_connect() and sock_sendfile()."""

    async def _sock_connect(self, sock, address):
        """sock_connect() where it is no matter of a moment in C."""
        base_events._check_ssl_socket(sock)
        self._check_blocking(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            infos = await self._ensure_resolved(address, family=sock.family, type=sock.type, proto=sock.proto, loop=self)
            if not infos:
                raise OSError(f"getaddrinfo({address[0]!r}) returned empty list")
            address = infos[0][4]
        return await self._sock_connect_resolved(sock, address)

    def _check_blocking(self, sock):
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def _sock_sendfile_native(self, sock, file, offset, count):
        """sock_sendfile() by os.sendfile(), or SendfileNotAvailableError."""
        self._ensure_fd_no_transport(sock)
        return await self._sendfile_by_kernel(sock, file, offset, count)

    async def _sendfile_native(self, transp, file, offset, count):
        """sendfile() by os.sendfile(), when what was written before has gone."""
        resume = transp.is_reading()
        transp.pause_reading()
        try:
            await transp._make_empty_waiter()
            sock = transp.get_extra_info("socket")._sock
            return await self._sendfile_by_kernel(sock, file, offset, count)
        except OSError as exc:
            if exc.errno == errno.EBADF and transp.is_closing():
                raise ConnectionError("Connection is closed by peer") from exc
            raise
        finally:
            transp._reset_empty_waiter()
            if resume:
                transp.resume_reading()

    async def _sendfile_by_kernel(self, sock, file, offset, count):
        try:
            fileno = file.fileno()
            size = os.fstat(fileno).st_size
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError, too
            raise asyncio.SendfileNotAvailableError("not a regular file") from None
        if not (count or size):
            return 0
        timeout = sock.gettimeout()
        if timeout is None:
            sock.setblocking(False)  # sendfile() knows no other way not to block
        operation = self._sock_sendfile(sock, (fileno, offset, count or -1, min(count or size, 1 << 30)))
        try:
            return await operation
        except OSError as exc:
            if operation.done == 0:
                raise asyncio.SendfileNotAvailableError("os.sendfile call failed") from exc
            raise
        finally:
            if timeout is None and sock.fileno() >= 0:
                sock.settimeout(None)
            if operation.done > 0:
                os.lseek(fileno, offset + operation.done, os.SEEK_SET)
