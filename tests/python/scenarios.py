"""Short programs that use the Python face in many ways: each is run many times, and with allocations that fail.

A scenario is a function of a loop, not running, which is closed after it. It waits for nothing that may not come: with an
allocation failing, anything in it may raise.
"""

import asyncio
import contextlib
import contextvars
import functools
import gc
import importlib.util
import inspect
import logging
import os
import pathlib
import signal
import socket
import ssl
import tempfile
import threading
import warnings

SCENARIOS = {}


def scenario(function):
    """Takes a function of a loop, or a coroutine, which is run on it."""
    if inspect.iscoroutinefunction(function):

        def run(loop):
            loop.run_until_complete(function(loop))

        SCENARIOS[function.__name__] = run
    else:
        SCENARIOS[function.__name__] = function
    return function


@functools.cache
def certificates():
    """The contexts of a server and of a client that trusts it, by the certificate that CPython's tests have."""
    tests = pathlib.Path(importlib.util.find_spec("test").origin).parent
    path = next(path for path in (tests / "keycert3.pem", tests / "certdata/keycert3.pem") if path.exists())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


# ---- the loop ----


@scenario
def never_run(loop):
    loop.call_soon(print)
    loop.call_later(1000, print, 1, 2, 3)
    loop.create_future().add_done_callback(print)


@scenario
def callbacks(loop):
    context = contextvars.copy_context()
    for arguments in (), (1,), (1, 2), (1, 2, 3):
        loop.call_soon(lambda *_: None, *arguments)
        loop.call_soon(lambda *_: None, *arguments, context=context)
        loop.call_soon(lambda *_: None, *arguments).cancel()
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    repr(loop), loop.stats() if hasattr(loop, "stats") else None, loop.time(), loop.get_debug()
    loop.is_running(), loop.is_closed()


@scenario
def threadsafe(loop):
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
    thread.start()
    loop.call_later(5, loop.stop)  # the thread's call may be the one that fails
    loop.run_forever()
    thread.join()


@scenario
def timers(loop):
    handles = [loop.call_later(i / 1e6, lambda *_: None, i) for i in range(10)]
    handles += [loop.call_at(loop.time() + 1000, lambda *_: None) for i in range(10)]
    for handle in handles[::2]:
        handle.when(), repr(handle), hash(handle), handle < handles[0]
        handle.cancel()
    loop.call_later(1e-5, loop.stop)
    loop.run_forever()


@scenario
def failing_callbacks(loop):
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(repr(context)))
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0, lambda: 1 / 0)
    loop.call_soon(loop.call_soon, loop.call_soon, loop.stop)
    loop.run_forever()
    contexts.clear()


@scenario
def interrupted(loop):
    def interrupt():
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    loop.call_soon(print)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        pass


@scenario
async def tasks(loop):
    async def fail():
        await asyncio.sleep(0)
        raise ValueError

    async def forever():
        await loop.create_future()

    task = loop.create_task(forever(), name="forever")
    results = await asyncio.gather(asyncio.sleep(0, 1), fail(), asyncio.sleep(1e-6, 2), return_exceptions=True)
    assert isinstance(results[1], Exception)
    task.cancel()
    await asyncio.wait([task])
    try:
        async with asyncio.timeout(1e-5):
            await forever()
    except TimeoutError:
        pass
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        group.create_task(asyncio.sleep(0), context=contextvars.copy_context())


@scenario
def tasks_left(loop):
    async def forever():
        await loop.create_future()

    task = loop.create_task(forever())
    loop.set_exception_handler(lambda loop, context: None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    del task


@scenario
async def task_factory(loop):
    loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
    await loop.create_task(asyncio.sleep(0), name="made")
    loop.get_task_factory()
    loop.set_task_factory(None)


@scenario
async def debug(loop):
    logger = logging.getLogger("asyncio")
    logger.propagate = False  # slow callbacks are not for whoever reads this
    logger.addHandler(logging.NullHandler())
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    loop.set_exception_handler(lambda loop, context: repr(context))
    loop.call_soon(lambda: 1 / 0)
    repr(loop.call_later(1, print, 1)), repr(loop.call_soon(print))
    await loop.create_task(asyncio.sleep(1e-6))
    try:
        await asyncio.to_thread(loop.call_soon, print)
    except RuntimeError:
        pass
    finally:
        loop.slow_callback_duration = 1000
        logger.handlers.pop()
        logger.propagate = True
        await loop.shutdown_default_executor()


@scenario
async def executor(loop):
    assert await loop.run_in_executor(None, int, "7") == 7
    await loop.getaddrinfo("127.0.0.1", 80)
    await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    await loop.shutdown_default_executor()


@scenario
def generators(loop):
    async def numbers():
        yield 1
        yield 2

    async def main():
        async for _ in numbers():
            break
        left = numbers()
        await left.__anext__()
        return left

    left = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    del left


@scenario
async def signals(loop):
    got = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, got.set)
    try:
        signal.raise_signal(signal.SIGUSR1)
        async with asyncio.timeout(5):
            await got.wait()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


# ---- sockets ----


@scenario
async def watchers(loop):
    ours, theirs = pair()
    with ours, theirs:
        readable, writable = asyncio.Event(), asyncio.Event()
        loop.add_reader(ours, readable.set)
        loop.add_writer(ours, writable.set)
        theirs.send(b"x")
        try:
            async with asyncio.timeout(5):
                await readable.wait()
                await writable.wait()
            loop.add_reader(ours, print)
        finally:
            loop.remove_reader(ours)
            loop.remove_writer(ours)


@scenario
def watchers_left(loop):
    ours, theirs = pair()
    with ours, theirs:
        loop.add_reader(ours, print)
        loop.add_writer(theirs, loop.stop)
        loop.call_later(5, loop.stop)
        loop.run_forever()
        loop.close()


@scenario
async def sockets(loop):
    ours, theirs = pair()
    with ours, theirs:
        async with asyncio.timeout(5):
            await loop.sock_sendall(ours, b"hello")
            assert await loop.sock_recv(theirs, 100) == b"hello"
            buffer = bytearray(100)
            reader = asyncio.ensure_future(loop.sock_recv_into(theirs, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendall(ours, b"again")
            assert await reader == 5
            cancelled = asyncio.ensure_future(loop.sock_recv(theirs, 100))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
            big = asyncio.ensure_future(loop.sock_sendall(ours, bytes(1_000_000)))
            received = 0
            while received < 1_000_000:
                received += len(await loop.sock_recv(theirs, 1 << 20))
            await big


@scenario
async def datagram_sockets(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        for each in ours, theirs:
            each.setblocking(False)
            each.bind(("127.0.0.1", 0))
        async with asyncio.timeout(5):
            await loop.sock_sendto(ours, b"hello", theirs.getsockname())
            assert (await loop.sock_recvfrom(theirs, 100))[0] == b"hello"
            await loop.sock_sendto(ours, b"again", theirs.getsockname())
            assert (await loop.sock_recvfrom_into(theirs, bytearray(100)))[0] == 5


@scenario
async def accepts(loop):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        client.setblocking(False)
        async with asyncio.timeout(5):
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            server, _ = await accepting
            server.close()
    with socket.socket() as client:
        client.setblocking(False)
        try:
            await loop.sock_connect(client, ("127.0.0.1", 1))
        except OSError:
            pass


@scenario
def sockets_left(loop):
    ours, theirs = pair()
    with ours, theirs:
        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(loop.sock_recv(ours, 100))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        del task


@scenario
async def sendfile(loop):
    ours, theirs = pair()
    with ours, theirs, tempfile.TemporaryFile() as file:
        file.write(bytes(10_000))
        file.flush()
        async with asyncio.timeout(5):
            await loop.sock_sendfile(ours, file)
        assert len(theirs.recv(20_000)) > 0


class Child(asyncio.SubprocessProtocol):
    def __init__(self):
        self.data = b""
        self.lost = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd, data):
        self.data += data

    def connection_lost(self, exc):
        self.lost.set_result(None)


@scenario
async def processes(loop):
    async with asyncio.timeout(5):
        transport, protocol = await loop.subprocess_exec(Child, "cat", env={"PATH": "/bin"}, cwd="/")
        try:
            pipe = transport.get_pipe_transport(0)
            pipe.write(b"text")
            pipe.close()
            await protocol.lost
        finally:
            transport.close()
        assert protocol.data == b"text"


# ---- transports ----


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, exc):
        if not self.lost.done():
            self.lost.set_result(exc)


class Client(asyncio.Protocol):
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.got, self.lost = loop.create_future(), loop.create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"hello")
        transport.writelines([b", ", b"world"])

    def data_received(self, data):
        if not self.got.done():
            self.got.set_result(data)

    def connection_lost(self, exc):
        for future in self.got, self.lost:
            if not future.done():
                future.set_result(exc)


class Buffered(asyncio.BufferedProtocol):
    def __init__(self):
        self.buffer = bytearray(100)
        self.got, self.lost = (asyncio.get_running_loop().create_future() for _ in range(2))

    def get_buffer(self, hint):
        return self.buffer

    def buffer_updated(self, count):
        if not self.got.done():
            self.got.set_result(count)

    def connection_lost(self, exc):
        for future in self.got, self.lost:
            if not future.done():
                future.set_result(exc)


async def close(transport, lost):
    transport.close()
    async with asyncio.timeout(5):
        await lost


async def close_server(server):
    server.close()
    async with asyncio.timeout(5):
        await server.wait_closed()


@scenario
async def echo(loop):
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    try:
        transport, client = await loop.create_connection(Client, *server.sockets[0].getsockname())
        for name in "peername", "sockname", "socket", "nothing":
            transport.get_extra_info(name)
        repr(transport), repr(server)
        async with asyncio.timeout(5):
            await client.got
        await close(transport, client.lost)
    finally:
        await close_server(server)


@scenario
async def unix_echo(loop):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")
        server = await loop.create_unix_server(Echo, path)
        try:
            transport, client = await loop.create_unix_connection(Client, path)
            async with asyncio.timeout(5):
                await client.got
            await close(transport, client.lost)
        finally:
            await close_server(server)


async def connected(loop, factory):
    ours, theirs = pair()
    try:
        transport, protocol = await loop.create_connection(factory, sock=ours)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return transport, protocol, theirs


@scenario
async def buffered(loop):
    transport, protocol, theirs = await connected(loop, Buffered)
    with theirs:
        theirs.send(b"hello")
        async with asyncio.timeout(5):
            await protocol.got
        await close(transport, protocol.lost)


@scenario
async def flow(loop):
    transport, protocol, theirs = await connected(loop, Client)
    with theirs:
        transport.set_write_buffer_limits(100, 10)
        transport.write(bytes(1_000_000))
        transport.get_write_buffer_limits(), transport.get_write_buffer_size()
        transport.pause_reading()
        transport.is_reading()
        transport.resume_reading()
        transport.write_eof()
        theirs.setblocking(True)
        await asyncio.to_thread(lambda: [None for _ in iter(lambda: theirs.recv(1 << 20), b"")])
        await close(transport, protocol.lost)
    await loop.shutdown_default_executor()


@scenario
async def aborted(loop):
    transport, protocol, theirs = await connected(loop, Client)
    with theirs:
        transport.write(bytes(1_000_000))
        transport.abort()
        async with asyncio.timeout(5):
            await protocol.lost


@scenario
async def failing_protocol(loop):
    class Failing(Client):
        def data_received(self, data):
            raise ValueError

    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(repr(context)))
    transport, protocol, theirs = await connected(loop, Failing)
    with theirs:
        theirs.send(b"hello")
        async with asyncio.timeout(5):
            await protocol.lost


class Piped(Client):
    def connection_made(self, transport):
        self.transport = transport


class End(contextlib.AbstractContextManager):
    """One of a pipe: all that a loop asks of it."""

    __slots__ = ["number"]

    def __init__(self):
        self.number = None

    def fileno(self):
        return self.number

    def close(self):
        if self.number is not None:
            os.close(self.number)
            self.number = None

    def __exit__(self, *_):
        self.close()


def pipe_objects():
    """The ends of a pipe."""
    reader, writer = End(), End()
    reader.number, writer.number = os.pipe()
    return reader, writer


@scenario
async def pipes(loop):
    reader, writer = pipe_objects()
    with reader, writer:
        input, protocol = await loop.connect_read_pipe(Piped, reader)
        try:
            output, ending = await loop.connect_write_pipe(Piped, writer)
        except BaseException:
            input.close()
            raise
        for transport in input, output:
            transport.get_extra_info("pipe"), transport.get_extra_info("socket"), repr(transport)
        output.set_write_buffer_limits(100, 10)
        output.writelines([b"some", bytes(1_000_000)])
        async with asyncio.timeout(5):
            await protocol.got
        output.write_eof()
        async with asyncio.timeout(5):
            await protocol.lost
            await ending.lost


@scenario
async def pipe_that_nobody_reads(loop):
    reader, writer = pipe_objects()
    with reader, writer:
        output, protocol = await loop.connect_write_pipe(Piped, writer)
        output.write(bytes(1_000_000))
        reader.close()
        async with asyncio.timeout(5):
            await protocol.lost


@scenario
def pipes_left(loop):
    reader, writer = pipe_objects()
    with reader, writer:
        ends = [loop.connect_read_pipe(Piped, reader), loop.connect_write_pipe(Piped, writer)]
        transports = [loop.run_until_complete(end)[0] for end in ends]
        loop.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transports
            gc.collect()


@scenario
def transports_left(loop):
    transport, protocol, theirs = loop.run_until_complete(connected(loop, Client))
    with theirs:
        transport.write(bytes(1_000_000))
        loop.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # which is what it deserves
            del transport, protocol
            gc.collect()


@scenario
def server_left(loop):
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    loop.close()
    server.close()


@scenario
async def refused(loop):
    try:
        await loop.create_connection(Client, "127.0.0.1", 1)
    except OSError:
        pass


# ---- datagrams ----


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self):
        self.done = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data.startswith(b"ask"):
            self.transport.sendto(data[3:], addr)
        elif not self.done.done():
            self.done.set_result(data)

    def error_received(self, exc):
        if not self.done.done():
            self.done.set_exception(exc)

    def connection_lost(self, exc):
        if not self.lost.done():
            self.lost.set_result(exc)


@scenario
async def datagrams(loop):
    server, served = await loop.create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0))
    try:
        client, asked = await loop.create_datagram_endpoint(
            Mailbox, remote_addr=server.get_extra_info("sockname"), local_addr=("127.0.0.1", 0)
        )
        repr(client)
        for data in b"ask1", b"ask2", b"", b"ask3":
            client.sendto(data)
        server.sendto(b"x", client.get_extra_info("sockname"))
        server.sendto(b"x", ("localhost", client.get_extra_info("sockname")[1]))
        async with asyncio.timeout(5):
            await asked.done
        await close(client, asked.lost)
    finally:
        server.abort()
    await close(server, served.lost)


@scenario
async def datagram_errors(loop):
    transport, protocol = await loop.create_datagram_endpoint(Mailbox, family=socket.AF_INET)
    try:
        transport.sendto(b"x" * 70_000, ("127.0.0.1", 1))
        protocol.done.exception()
        transport.sendto(b"x", ("no such host", 1))
    finally:
        transport.abort()
    await close(transport, protocol.lost)


# ---- streams and TLS ----


async def answer(reader, writer):
    try:
        writer.write(await reader.readline())
        await writer.drain()
    finally:
        writer.close()


async def ask(address, **options):
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(*address, **options)
        try:
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            assert await reader.read() == b""
        finally:
            writer.close()
            await writer.wait_closed()


@scenario
async def streams(loop):
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        await ask(server.sockets[0].getsockname())
    finally:
        await close_server(server)


@scenario
async def stream_reads(loop):
    ours, theirs = pair()
    with theirs:
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=1000)
        except BaseException:
            ours.close()
            raise
        try:
            async with asyncio.timeout(5):
                theirs.send(b"12345\nabcd;" + bytes(3000))
                assert await reader.readline() == b"12345\n"
                assert await reader.readuntil(b";") == b"abcd;"
                assert len(await reader.readexactly(3000)) == 3000
                reading = asyncio.ensure_future(reader.read(10))
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
                theirs.shutdown(socket.SHUT_WR)
                assert await reader.read() == b""
        finally:
            writer.close()
            await writer.wait_closed()


@scenario
async def tls(loop):
    server_context, client_context = certificates()
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context)
    try:
        await ask(server.sockets[0].getsockname(), ssl=client_context)
    finally:
        await close_server(server)


@scenario
async def tls_started(loop):
    server_context, client_context = certificates()
    ours, theirs = pair()
    async with asyncio.timeout(20):
        transport, protocol = await loop.create_connection(lambda: asyncio.Protocol(), sock=ours)
        other, echo = await loop.create_connection(Echo, sock=theirs)
        upgraded = await asyncio.gather(
            loop.start_tls(transport, protocol, client_context),
            loop.start_tls(other, echo, server_context, server_side=True),
        )
        for each in upgraded:
            each.close()
        await asyncio.sleep(0)
        for each in upgraded:
            each.abort()
        await asyncio.sleep(0)


def tls_by_methods(scenario):
    """The same by the engine that calls the SSLObject's methods."""

    def run(loop):
        from ringport import tls

        chosen = tls._chosen
        tls._chosen = "memory", None
        try:
            scenario(loop)
        finally:
            tls._chosen = chosen

    return run


SCENARIOS["tls_by_methods"] = tls_by_methods(SCENARIOS["tls"])


@scenario
async def tls_refused(loop):
    loop.set_exception_handler(lambda loop, context: None)
    server_context, _ = certificates()
    ours, theirs = pair()
    async with asyncio.timeout(20):
        await asyncio.gather(
            loop.create_connection(asyncio.Protocol, sock=ours, ssl=True, server_hostname="localhost"),
            loop.connect_accepted_socket(asyncio.Protocol, theirs, ssl=server_context),
            return_exceptions=True,
        )


@scenario
async def tls_given_up(loop):
    _, client_context = certificates()
    ours, theirs = pair()
    with theirs:
        connecting = asyncio.ensure_future(
            loop.create_connection(asyncio.Protocol, sock=ours, ssl=client_context, server_hostname="localhost")
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])


class Ended(asyncio.Protocol):
    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()

    def connection_lost(self, error):
        self.ended.set_result(error)


@scenario
async def tls_over_tls(loop):
    server_context, client_context = certificates()
    ours, theirs = pair()
    async with asyncio.timeout(20):
        (transport, protocol), (other, peer) = await asyncio.gather(
            loop.create_connection(Ended, sock=ours, ssl=client_context, server_hostname="localhost"),
            loop.connect_accepted_socket(Ended, theirs, ssl=server_context),
        )
        above, _ = await asyncio.gather(
            loop.start_tls(transport, protocol, client_context),
            loop.start_tls(other, peer, server_context, server_side=True),
        )
        above.write(bytes(100_000))
        above.writelines([b"some", b"more"])
        await asyncio.sleep(0)
        above.get_extra_info("peername"), repr(above), above._ssl_protocol._app_protocol
        above.close()
        await protocol.ended
        await peer.ended
