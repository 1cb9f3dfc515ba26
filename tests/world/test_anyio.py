"""AnyIO's task groups, cancellation, threads, sockets, TLS, processes and signals, with the loop as its backend's option."""

import contextlib
import functools
import math
import os
import signal
import ssl
import sys

import anyio
import anyio.from_thread
import anyio.to_thread
import payload
import pytest
from anyio.streams.tls import TLSListener, TLSStream
from loops import LOOP, check
from tls import Certificate

PACKAGES = ["anyio"]


def on_loop(test):
    """Makes a test of a coroutine: by a loop factory."""

    @functools.wraps(test)
    def run(**arguments):
        async def limited():
            check()
            with anyio.fail_after(120):
                await test(**arguments)

        options = {}
        if LOOP == "ringport":
            import ringport

            options["loop_factory"] = ringport.new_event_loop
        anyio.run(limited, backend="asyncio", backend_options=options)

    return run


@on_loop
async def test_task_groups():
    seen, errors = [], []

    async def fail(number):
        try:
            await anyio.sleep(math.inf if number else 0)
            raise ValueError(number)
        finally:
            seen.append(number)

    try:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(fail, number)
    except* ValueError as group:
        errors = group.exceptions
    assert [str(error) for error in errors] == ["0"] and sorted(seen) == list(range(50))


@on_loop
async def test_cancellation():
    """Of scopes within scopes, with shields, at each kind of suspension."""
    with anyio.move_on_after(0.01) as outer:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.02)
            saved = True
        await anyio.sleep_forever()
    assert outer.cancelled_caught and saved
    lock, event, condition = anyio.Lock(), anyio.Event(), anyio.Condition()
    send, receive = anyio.create_memory_object_stream(0)
    async with send, receive, lock, condition:
        for wait in event.wait, receive.receive, lambda: send.send(1), anyio.Semaphore(0).acquire, condition.wait:
            with anyio.move_on_after(0.005) as scope:
                await wait()
            assert scope.cancelled_caught


@on_loop
async def test_threads():
    async def double(number):
        return 2 * number

    def work(number):
        return anyio.from_thread.run(double, number) + anyio.from_thread.run_sync(abs, -number)

    found = []

    async def ask(number):
        found.append(await anyio.to_thread.run_sync(work, number))

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(ask, number)
    assert sorted(found) == [3 * number for number in range(100)]


async def echo(stream):
    async with stream:
        with contextlib.suppress(anyio.BrokenResourceError):
            async for data in stream:
                await stream.send(data)


async def exchange(stream):
    """Sends the block, and has it come back."""
    received = bytearray()

    async def take():
        async for data in stream:
            received.extend(data)
            if len(received) == len(payload.BLOCK):
                return

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await stream.send(payload.BLOCK)
    await stream.aclose()
    assert received == payload.BLOCK


@on_loop
async def test_sockets(tmp_path):
    async with anyio.create_task_group() as group:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        group.start_soon(listener.serve, echo)
        unix = await anyio.create_unix_listener(tmp_path / "socket")
        group.start_soon(unix.serve, echo)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as clients:
            for _ in range(5):
                clients.start_soon(exchange, await anyio.connect_tcp("127.0.0.1", port))
                clients.start_soon(exchange, await anyio.connect_unix(tmp_path / "socket"))
        group.cancel_scope.cancel()
    await listener.aclose()
    await unix.aclose()


@on_loop
async def test_tls(tmp_path):
    certificate = Certificate(tmp_path)
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(plain, certificate.server(), standard_compatible=False)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        port = plain.extra(anyio.abc.SocketAttribute.local_port)
        stream = await anyio.connect_tcp("127.0.0.1", port)
        stream = await TLSStream.wrap(
            stream, hostname="127.0.0.1", ssl_context=certificate.client(), standard_compatible=False
        )
        await exchange(stream)
        with pytest.raises(ssl.SSLCertVerificationError):
            stream = await anyio.connect_tcp("127.0.0.1", port)
            await TLSStream.wrap(stream, hostname="elsewhere", ssl_context=certificate.client())
        group.cancel_scope.cancel()
    await listener.aclose()


@on_loop
async def test_datagrams():
    async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
        address = server.extra(anyio.abc.SocketAttribute.local_address)
        async with await anyio.create_connected_udp_socket(*address) as client:
            for n in range(100):
                await client.send(b"%d" % n)
                data, back = await server.receive()
                await server.sendto(data * 2, *back)
                assert await client.receive() == b"%d" % n * 2


@on_loop
async def test_processes():
    done = await anyio.run_process([sys.executable, "-c", "print(input()[::-1])"], input=b"abc")
    assert done.stdout.strip() == b"cba"
    with anyio.move_on_after(0.1):
        async with await anyio.open_process([sys.executable, "-c", "input()"]) as child:
            await child.wait()
    assert child.returncode is not None


@on_loop
async def test_signals():
    with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
        for number in signal.SIGUSR1, signal.SIGUSR2:
            os.kill(os.getpid(), number)
            assert await anext(signals) == number


@on_loop
async def test_files(tmp_path):
    async with await anyio.open_file(tmp_path / "file", "w") as file:
        await file.write("one\ntwo\n")
    assert [line async for line in await anyio.open_file(tmp_path / "file")] == ["one\n", "two\n"]


def test_a_portal():
    """A loop in a thread that is called from this one."""
    with anyio.from_thread.start_blocking_portal(backend="asyncio") as portal:
        portal.call(async_check)
        futures = [portal.start_task_soon(anyio.sleep, 0.001) for _ in range(100)]
        assert [future.result() for future in futures] == [None] * 100


async def async_check():
    check()
