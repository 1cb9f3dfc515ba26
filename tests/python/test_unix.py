"""create_unix_connection() and create_unix_server(): paths and what becomes of them, abstract names, given sockets."""

import asyncio
import errno
import os
import pathlib
import re
import socket

import pytest

from peers import Accepting, Recorder, end

since_313 = pytest.mark.own("asyncio removes the path since 3.13")


async def ended(server):
    server.close()
    await server.wait_closed()


async def exchange(loop, accepting, path):
    """One connection, both ways."""
    transport, client = await loop.create_unix_connection(Recorder, path)
    protocols = await accepting.count(1)
    transport.write(b"hello")
    assert await protocols[0].received(5) == b"hello"
    protocols[0].transport.write(b"back")
    assert await client.received(4) == b"back"
    transport.close()
    await client.ended
    await protocols[0].ended
    assert protocols[0].events == ["made", "eof", "lost"]


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
async def test_path(loop, tmp_path, kind):
    path = kind(str(tmp_path / "socket"))
    accepting = Accepting()
    server = await loop.create_unix_server(accepting, path)
    assert server.is_serving() and server.sockets[0].family == socket.AF_UNIX
    await exchange(loop, accepting, path)
    await ended(server)


@pytest.mark.parametrize("bytes_", [False, True])
async def test_abstract_name(loop, bytes_):
    name = f"\0ringport-test-{os.getpid()}"
    name = name.encode() if bytes_ else name
    accepting = Accepting()
    server = await loop.create_unix_server(accepting, name)
    await exchange(loop, accepting, name)
    await ended(server)


@since_313
async def test_path_is_removed(loop, tmp_path):
    path = str(tmp_path / "socket")
    server = await loop.create_unix_server(Recorder, path)
    assert os.path.exists(path)
    await ended(server)
    assert not os.path.exists(path)


@since_313
async def test_path_of_a_given_socket_is_removed(loop, tmp_path):
    path = str(tmp_path / "socket")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    await ended(await loop.create_unix_server(Recorder, sock=sock))
    assert not os.path.exists(path)


@since_313
async def test_path_is_left_if_asked(loop, tmp_path):
    path = str(tmp_path / "socket")
    await ended(await loop.create_unix_server(Recorder, path, cleanup_socket=False))
    assert os.path.exists(path)


@since_313
async def test_path_that_is_somebody_elses_by_now_is_left(loop, tmp_path):
    path = str(tmp_path / "socket")
    server = await loop.create_unix_server(Recorder, path)
    os.rename(path, path + ".old")  # else its inode might be used again
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        await ended(server)
        assert os.path.exists(path)


@since_313
async def test_path_that_has_gone(loop, tmp_path):
    path = str(tmp_path / "socket")
    server = await loop.create_unix_server(Recorder, path)
    os.unlink(path)
    await ended(server)


async def test_stale_socket_is_replaced(loop, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    accepting = Accepting()
    server = await loop.create_unix_server(accepting, path)
    await exchange(loop, accepting, path)
    await ended(server)


async def test_other_files_are_not_replaced(loop, tmp_path):
    path = str(tmp_path / "file")
    pathlib.Path(path).write_text("precious")
    with pytest.raises(OSError, match=re.escape(f"Address {path!r} is already in use")) as caught:
        await loop.create_unix_server(Recorder, path)
    assert caught.value.errno == errno.EADDRINUSE
    assert pathlib.Path(path).read_text() == "precious"


async def test_path_that_cannot_be(loop, tmp_path):
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_server(Recorder, str(tmp_path / "no" / "socket"))
    with pytest.raises(OSError, match="AF_UNIX path too long"):
        await loop.create_unix_server(Recorder, str(tmp_path / ("long" * 50)))
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, str(tmp_path / "socket"))


async def test_nobody_listens(loop, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, path)


async def test_given_sockets(loop, tmp_path):
    path = str(tmp_path / "socket")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    accepting = Accepting()
    server = await loop.create_unix_server(accepting, sock=sock, start_serving=False)
    await server.start_serving()
    assert sock.gettimeout() == 0
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    _, protocol = await loop.create_unix_connection(Recorder, sock=client)
    (peer,) = await accepting.count(1)
    await end(protocol, peer)
    await ended(server)
    assert sock.fileno() == client.fileno() == -1


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({}, "no path and sock were specified"),
        ({"path": "p", "server_hostname": "h"}, "server_hostname is only meaningful with ssl"),
        ({"path": "p", "ssl": True}, "you have to pass server_hostname when using ssl"),
        ({"path": "p", "ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only meaningful with ssl"),
        ({"path": "p", "ssl_shutdown_timeout": 1}, "ssl_shutdown_timeout is only meaningful with ssl"),
    ],
)
async def test_arguments_of_a_connection(loop, arguments, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        await loop.create_unix_connection(Recorder, **arguments)


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ({}, ValueError, "path was not specified, and no sock specified"),
        ({"path": "p", "ssl": True}, TypeError, "ssl argument must be an SSLContext or None"),
        ({"path": "p", "ssl_handshake_timeout": 1}, ValueError, "ssl_handshake_timeout is only meaningful with ssl"),
        ({"path": "p", "ssl_shutdown_timeout": 1}, ValueError, "ssl_shutdown_timeout is only meaningful with ssl"),
    ],
)
async def test_arguments_of_a_server(loop, arguments, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        await loop.create_unix_server(Recorder, **arguments)


async def test_sockets_that_will_not_do(loop):
    for sock in socket.socket(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM):
        with sock:
            text = re.escape(f"A UNIX Domain Stream Socket was expected, got {sock!r}")
            with pytest.raises(ValueError, match=text):
                await loop.create_unix_connection(Recorder, sock=sock)
            with pytest.raises(ValueError, match=text):
                await loop.create_unix_server(Recorder, sock=sock)
            text = "^path and sock can not be specified at the same time$"
            with pytest.raises(ValueError, match=text):
                await loop.create_unix_connection(Recorder, "p", sock=sock)
            with pytest.raises(ValueError, match=text):
                await loop.create_unix_server(Recorder, "p", sock=sock)


async def test_cancelled_connection(loop, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        task = asyncio.ensure_future(loop.create_unix_connection(Recorder, path))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_streams(loop, tmp_path):
    async def echo(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    path = str(tmp_path / "socket")
    server = await asyncio.start_unix_server(echo, path)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    await ended(server)


@pytest.mark.own("asyncio's loop is known to make these calls")
async def test_calls_that_block_are_bound_early(loop, monkeypatch, tmp_path):
    """A test suite may replace those of os by functions that refuse to be called inside a loop."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    with monkeypatch.context() as patch:
        for name in "stat", "remove", "unlink":
            patch.setattr(os, name, None)
        server = await loop.create_unix_server(Recorder, path)
        await ended(server)
    assert not os.path.exists(path)


async def test_stale_socket_that_cannot_be_removed(loop, monkeypatch, reports, tmp_path):
    def refuse(path):
        raise PermissionError(errno.EPERM, "not here")

    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    monkeypatch.setattr("ringport.server.remove", refuse)
    monkeypatch.setattr(os, "remove", refuse)  # asyncio's
    with pytest.raises(OSError, match="is already in use"):
        await loop.create_unix_server(Recorder, path)
    assert reports.pop().startswith(f"Unable to check or remove stale UNIX socket {path!r}: PermissionError(")
