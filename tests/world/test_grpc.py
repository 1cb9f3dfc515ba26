"""grpc.aio: calls of each kind, streams both ways, deadlines, cancellation on either side, errors, 200 calls at once.

Messages are bytes: what generated code would do to them does not concern the loop.
"""

import asyncio
import contextlib

import grpc
import pytest
from cases import on_loop, until
from grpc import aio
from loops import check, size

PACKAGES = ["grpcio"]


class Service:
    """The handlers, and what became of the calls that wait."""

    def __init__(self):
        self.waiting = 0
        self.cancelled = 0

    async def upper(self, request, context):
        check()
        await asyncio.sleep(0)
        return request.upper()

    async def refuse(self, request, context):
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")

    async def wait(self, request, context):
        self.waiting += 1
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def count(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    async def add(self, requests, context):
        return b"%d" % sum([int(request) async for request in requests])

    async def echo(self, requests, context):
        async for request in requests:
            yield request


HANDLERS = {
    "upper": grpc.unary_unary_rpc_method_handler,
    "refuse": grpc.unary_unary_rpc_method_handler,
    "wait": grpc.unary_unary_rpc_method_handler,
    "count": grpc.unary_stream_rpc_method_handler,
    "add": grpc.stream_unary_rpc_method_handler,
    "echo": grpc.stream_stream_rpc_method_handler,
}


@contextlib.asynccontextmanager
async def connected():
    """A server, and a client's channel to it."""
    service, server = Service(), aio.server()
    methods = {name: make(getattr(service, name)) for name, make in HANDLERS.items()}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield service, channel
    finally:
        await server.stop(None)


@on_loop
async def test_unary():
    async with connected() as (_, channel):
        upper = channel.unary_unary("/test/upper")
        assert await asyncio.gather(*(upper(b"a%d" % n) for n in range(200))) == [b"A%d" % n for n in range(200)]


@on_loop
async def test_streams():
    count = size(5000, 500)

    async def numbers():
        for number in range(count):
            yield b"%d" % number

    async with connected() as (_, channel):
        seen = [int(number) async for number in channel.unary_stream("/test/count")(b"%d" % count)]
        assert seen == list(range(count))
        assert int(await channel.stream_unary("/test/add")(numbers())) == sum(range(count))
        assert [int(number) async for number in channel.stream_stream("/test/echo")(numbers())] == seen


@on_loop
async def test_one_message_after_the_other():
    async with connected() as (_, channel):
        call = channel.stream_stream("/test/echo")()
        for n in range(100):
            await call.write(b"x" * n * 1000)
            assert len(await call.read()) == n * 1000
        await call.done_writing()
        assert await call.read() is aio.EOF and await call.code() == grpc.StatusCode.OK


@on_loop
async def test_an_error():
    async with connected() as (_, channel):
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary("/test/refuse")(b"")
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION and caught.value.details() == "not now"


@on_loop
async def test_a_deadline():
    async with connected() as (service, channel):
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary("/test/wait")(b"", timeout=0.2)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: service.cancelled == service.waiting)


@on_loop
async def test_a_call_is_cancelled():
    async with connected() as (service, channel):
        call = channel.unary_unary("/test/wait")(b"")
        await until(lambda: service.waiting == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: service.cancelled == 1)


@on_loop
async def test_a_task_that_calls_is_cancelled():
    async with connected() as (service, channel):

        async def ask():
            await channel.unary_unary("/test/wait")(b"")

        task = asyncio.create_task(ask())
        await until(lambda: service.waiting == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: service.cancelled == 1)


@on_loop
async def test_nobody_serves():
    async with aio.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary("/test/upper")(b"")
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
