"""Protocols and callbacks in C on Python's loop, by the capsule ringport.capi: examples/python, and capi_probe.c."""

import asyncio
import errno
import importlib
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.own("asyncio has no such thing")


@pytest.fixture
def probe(loop_factory):
    return importlib.import_module("capi_probe")


@pytest.fixture
def echo_protocol(loop_factory):
    return importlib.import_module("echo_protocol")


def listen():
    return socket.create_server(("127.0.0.1", 0))


def converse(port, message):
    """Sends, ends, and reads to the end, by a plain socket."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(message)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


async def test_protocol_in_c_serves_beside_python(loop, echo_protocol):
    ticks = []

    def tick():
        ticks.append(1)
        handle[0] = loop.call_soon(tick)

    handle = [loop.call_soon(tick)]
    with listen() as listening:
        port = listening.getsockname()[1]
        server = echo_protocol.serve(listening)
        listening.detach()
    assert server.connections == 0
    messages = [bytes([i]) * (1 + 9000 * i) for i in range(20)]
    answers = await asyncio.gather(*(loop.run_in_executor(None, converse, port, each) for each in messages))
    assert answers == messages
    assert len(ticks) > 1
    handle[0].cancel()
    server.close()
    with pytest.raises(ConnectionError):
        await loop.run_in_executor(None, converse, port, b"")
    await loop.shutdown_default_executor()


def test_server_in_c_outlives_its_loop(new_loop, echo_protocol):
    loop = new_loop()
    with listen() as listening:

        async def serve():
            return echo_protocol.serve(listening)

        server = loop.run_until_complete(serve())
        listening.detach()
    loop.close()
    assert server.connections == 0
    server.close()


async def test_listening_socket_stays_the_callers_if_it_is_refused(echo_protocol):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(OSError) as caught:
            echo_protocol.serve(datagrams)
        assert caught.value.errno == errno.EINVAL
        datagrams.getsockname()


async def test_client_in_c(loop, probe):
    done = loop.create_future()
    message = bytes(range(256)) * 4000
    with listen() as listening:

        def answer():
            with listening.accept()[0] as accepted:
                accepted.sendall(b"".join(iter(lambda: accepted.recv(65536), b"")))

        answered = loop.run_in_executor(None, answer)
        probe.exchange(listening.getsockname()[1], message, lambda *result: done.set_result(result))
        assert await done == (message, 0)
        await answered
    await loop.shutdown_default_executor()


async def test_callbacks_run_in_order_with_python_s(loop, probe):
    order = []
    done = loop.create_future()
    loop.call_soon(order.append, 1)
    probe.call_soon(lambda: order.append(2))
    loop.call_soon(order.append, 3)
    probe.call_soon(lambda: done.set_result(None))
    await done
    assert order == [1, 2, 3]


def test_timer_of_a_loop_that_does_not_run_yet(loop, probe):
    probe.call_later(loop, 0.001, loop.stop)
    loop.run_forever()


async def test_thread_without_the_gil_wakes_the_loop(loop, probe):
    for _ in range(100):
        done = loop.create_future()
        probe.call_from_thread(lambda done=done: done.set_result(None))
        await done


async def test_exception_in_a_callback_is_reported(loop, probe, monkeypatch):
    done = loop.create_future()
    monkeypatch.setattr(sys, "unraisablehook", lambda what: done.set_result(what.exc_value))
    probe.call_soon(lambda: 1 / 0)
    assert isinstance(await done, ZeroDivisionError)


def test_loops_and_what_are_none(loop, probe):
    assert probe.backend(loop) == loop.backend
    with pytest.raises(TypeError, match="a ringport.Loop is needed, not int"):
        probe.backend(1)
    with pytest.raises(RuntimeError, match="no event loop of ringport's is running in this thread"):
        probe.call_soon(print)
    with pytest.raises(RuntimeError, match="no event loop of ringport's"):
        asyncio.run(call_soon_on_asyncio(probe))
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        probe.call_later(loop, 0, print)


async def call_soon_on_asyncio(probe):
    probe.call_soon(print)


def test_errors(probe):
    for error, kind in (-errno.ENOENT, FileNotFoundError), (-errno.ENOMEM, MemoryError):
        with pytest.raises(kind):
            probe.fail(error)


def test_module_of_another_version_is_refused(probe):
    program = """if True:
        import ctypes, ringport
        class Table(ctypes.Structure):
            _fields_ = [("size", ctypes.c_size_t), ("major", ctypes.c_int), ("minor", ctypes.c_int)]
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        table, name = Table(1 << 20, 0, 99), b"ringport.capi"
        ringport.capi = new(ctypes.addressof(table), name, None)
        import capi_probe
    """
    refused = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: built for ringport" in refused.stderr and "but this is 0.99" in refused.stderr
