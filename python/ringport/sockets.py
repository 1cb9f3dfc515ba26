"""Operations on the program's own sockets: what is in Python of them. The rest is in C."""

import asyncio
import os
import socket
import stat

from asyncio import base_events

from . import _core


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
        """sock_sendfile() block by block: the next one is read while one is sent. Or SendfileNotAvailableError."""
        self._ensure_fd_no_transport(sock)
        fileno = _descriptor(file, count)
        if fileno is None:
            return 0
        blocks = self._read_blocks(fileno, offset, count or -1)
        sent = 0
        try:
            while (data := await _next_block(blocks)) is not None:
                operation = _core.Loop.sock_sendall(self, sock, data)
                try:
                    await operation
                finally:
                    data.release()
                    blocks.take(operation.done)
                    sent += operation.done
            return sent
        except OSError as exc:
            _check_sent(sent, exc)
            raise
        except asyncio.CancelledError:
            await _settle(blocks.close)
            raise
        finally:
            blocks.close()
            os.lseek(fileno, offset + sent, os.SEEK_SET)

    async def _sendfile_native(self, transp, file, offset, count):
        """sendfile() by the core, when what was written before has gone. Or SendfileNotAvailableError."""
        fileno = _descriptor(file, count)
        resume = transp.is_reading()
        transp.pause_reading()
        try:
            await transp._make_empty_waiter()
            return 0 if fileno is None else await self._sendfile_by_core(transp, fileno, offset, count or -1)
        except OSError as exc:
            if transp.is_closing() and not isinstance(exc, ConnectionError):
                raise ConnectionError("Connection is closed by peer") from exc
            raise
        finally:
            transp._reset_empty_waiter()
            if resume:
                transp.resume_reading()

    async def _sendfile_by_core(self, transp, fileno, offset, count):
        sending = transp._sendfile(fileno, offset, count)
        try:
            while (ended := sending.wait()) is not None:
                await ended
            return sending.result()
        except OSError as exc:
            if not transp.is_closing():
                _check_sent(sending.sent, exc)
            raise
        except asyncio.CancelledError:
            sending.cancel()
            await _settle(sending.wait)
            raise
        finally:
            sending.cancel()
            os.lseek(fileno, offset + sending.sent, os.SEEK_SET)


def _descriptor(file, count):
    """That of a file which sendfile() can send; None of an empty one."""
    try:
        fileno = file.fileno()
        status = os.fstat(fileno)
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError, too
        raise asyncio.SendfileNotAvailableError("not a regular file") from None
    if not (count or status.st_size):
        return None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise asyncio.SendfileNotAvailableError("os.sendfile call failed")
    return fileno


def _check_sent(sent, exc):
    """What fails before anything was sent may be the file's fault: the fallback will find out."""
    if sent == 0:
        raise asyncio.SendfileNotAvailableError("os.sendfile call failed") from exc


async def _next_block(blocks):
    if (ready := blocks.wait()) is not None:
        await ready
    return blocks.front()


async def _settle(wait):
    """Until nothing uses the file any more, however often the task is cancelled."""
    cancelled = None
    while (ended := wait()) is not None:
        try:
            await ended
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled:
        raise cancelled
