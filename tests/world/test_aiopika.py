"""Publishers and consumers of RabbitMQ, confirmations, calls, cancellation, TLS, and a server killed and restarted."""

import asyncio
import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
import time

import aio_pika
import payload
import pytest
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.patterns import RPC
from cases import on_loop, until
from loops import size
from servers import free_port, serves, started
from tls import Certificate

PACKAGES = ["aio-pika", "aiormq"]
SERVERS = ["rabbitmq-server"]
PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Rabbit:
    """A RabbitMQ of the row's own, at `port`, and with TLS at `secure`. start() and kill() wait.

    Its Erlang needs a port mapper.
    """

    def __enter__(self):
        self.running = contextlib.ExitStack()
        self.server = contextlib.ExitStack()
        self.folder = pathlib.Path(self.running.enter_context(tempfile.TemporaryDirectory()))
        self.port, self.secure, distribution, mapper = (free_port() for _ in range(4))
        self.certificate = Certificate(self.folder)
        (self.folder / "rabbit.conf").write_text(
            f"listeners.ssl.1 = 127.0.0.1:{self.secure}\n"
            f"ssl_options.certfile = {self.certificate.certificate}\nssl_options.keyfile = {self.certificate.key}\n"
        )
        erlang = "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
        settings = {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": mapper,
            "HOME": self.folder,
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbit",
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_LOG_BASE": self.folder / "log",
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_NODENAME": "row@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang,
        }
        self.environment = os.environ | {name: str(value) for name, value in settings.items()}
        try:
            self.running.enter_context(started([shutil.which("epmd")], ("127.0.0.1", mapper), env=self.environment))
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with self.running:
            self.kill()

    def start(self):
        addresses = ("127.0.0.1", self.port), ("127.0.0.1", self.secure)
        self.server.enter_context(started([PROGRAM], *addresses, env=self.environment))

    def kill(self):
        """Erlang's machine is a child of the program that is waited for, and may end a little later."""
        self.server.close()
        end = time.monotonic() + 60
        while serves(("127.0.0.1", self.port)):
            assert time.monotonic() < end, "RabbitMQ is killed, and serves on"
            time.sleep(0.01)


@pytest.fixture(scope="module")
def server():
    with Rabbit() as running:
        yield running


@contextlib.asynccontextmanager
async def connected(server, connect=aio_pika.connect):
    async with await connect(host="127.0.0.1", port=server.port, timeout=60) as connection:
        yield connection


async def declare(channel, **options):
    """A queue that goes with its connection."""
    return await channel.declare_queue(exclusive=True, **options)


@on_loop
async def test_messages_in_order(server):
    count = size(5000, 500)
    async with connected(server) as connection, connection.channel() as channel:
        queue = await declare(channel)
        bodies = [f"{number} ".encode() * (number % 500 + 1) for number in range(count)]

        async def publish():
            for body in bodies:
                await channel.default_exchange.publish(Message(body), queue.name)

        publishing = asyncio.create_task(publish())
        found = []
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    found.append(message.body)
                if len(found) == count:
                    break
        await publishing
        assert found == bodies


@on_loop
async def test_large_messages(server):
    async with connected(server) as connection, connection.channel() as channel:
        queue = await declare(channel)
        body = payload.BLOCK * size(16, 4)
        for _ in range(3):
            await channel.default_exchange.publish(Message(body, headers={"a": 1}), queue.name)
            message = await queue.get(timeout=60)
            assert message.body == body and message.headers == {"a": 1}
            await message.ack()
        with pytest.raises(aio_pika.exceptions.QueueEmpty):
            await queue.get(timeout=60)


@on_loop
async def test_tls(server, tmp_path):
    def connect(certificate):
        where = {"host": "127.0.0.1", "port": server.secure, "ssl": True, "timeout": 60}
        return aio_pika.connect(**where, ssl_context=certificate.client())

    async with await connect(server.certificate) as connection, connection.channel() as channel:
        queue = await declare(channel)
        bodies = [b"%d" % number for number in range(size(500, 100))] + [payload.BLOCK * size(16, 4)]
        await asyncio.gather(*(channel.default_exchange.publish(Message(body), queue.name) for body in bodies))
        found = [(await queue.get(timeout=60, no_ack=True)).body for _ in bodies]
        assert sorted(found) == sorted(bodies)
    with pytest.raises(aio_pika.exceptions.AMQPConnectionError):
        await connect(Certificate(tmp_path))


@on_loop
async def test_workers_share_a_queue(server):
    """Each message is done once, and one that is refused comes again."""
    count = size(2000, 300)
    async with connected(server) as connection, connection.channel() as channel:
        queue = await declare(channel)
        done, again = [], []

        async def work(message):
            if not message.redelivered and int(message.body) % 10 == 0:
                again.append(message.body)
                await message.nack(requeue=True)
                return
            done.append(int(message.body))
            await message.ack()

        async with contextlib.AsyncExitStack() as stack:
            for _ in range(10):
                own = await stack.enter_async_context(connection.channel())
                await own.set_qos(prefetch_count=10)
                await (await own.get_queue(queue.name)).consume(work)
            messages = (channel.default_exchange.publish(Message(b"%d" % n), queue.name) for n in range(count))
            await asyncio.gather(*messages)
            await until(lambda: len(done) == count)
        assert sorted(done) == list(range(count)) and len(again) == count // 10


@on_loop
async def test_topics(server):
    async with connected(server) as connection, connection.channel() as channel:
        exchange = await channel.declare_exchange("topics", ExchangeType.TOPIC, auto_delete=True)
        heard = {}

        async def take(words, message):
            words.append(message.routing_key)
            await message.ack()

        for pattern in ("a.*", "*.b", "#"):
            queue = await declare(channel)
            await queue.bind(exchange, pattern)
            heard[pattern] = []
            await queue.consume(functools.partial(take, heard[pattern]))
        for key in ("a.x", "x.b", "a.b", "x.y"):
            await exchange.publish(Message(b"", delivery_mode=DeliveryMode.PERSISTENT), key)
        await until(lambda: len(heard["#"]) == 4 and len(heard["a.*"]) == len(heard["*.b"]) == 2)
        assert heard == {"a.*": ["a.x", "a.b"], "*.b": ["x.b", "a.b"], "#": ["a.x", "x.b", "a.b", "x.y"]}


@on_loop
async def test_calls(server):
    async def multiply(*, x, y):
        return x * y

    async with connected(server) as connection, connection.channel() as channel:
        calls = await RPC.create(channel)
        await calls.register("multiply", multiply, auto_delete=True)
        count = size(500, 100)
        results = await asyncio.gather(*(calls.proxy.multiply(x=number, y=3) for number in range(count)))
        assert results == [3 * number for number in range(count)]


@on_loop
async def test_errors(server):
    async with connected(server) as connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.get_queue("nowhere")
        async with connection.channel(on_return_raises=True) as other:
            with pytest.raises(aio_pika.exceptions.DeliveryError):
                await other.default_exchange.publish(Message(b""), "nowhere")
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        await aio_pika.connect(host="127.0.0.1", port=server.port, login="nobody", timeout=60)


@on_loop
async def test_waits_that_are_cancelled(server):
    async with connected(server) as connection, connection.channel() as channel:
        queue = await declare(channel)
        for number in range(size(50, 10)):
            messages = queue.iterator()
            await messages.consume()
            waiting = asyncio.create_task(anext(messages))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await messages.close()
            await channel.default_exchange.publish(Message(b"%d" % number), queue.name)
            assert (await queue.get(timeout=60, no_ack=True)).body == b"%d" % number


@on_loop
async def test_many_connections(server):
    async def ask(number):
        async with connected(server) as connection, connection.channel() as channel:
            queue = await declare(channel)
            await channel.default_exchange.publish(Message(b"%d" % number), queue.name)
            return int((await queue.get(timeout=60)).body)

    assert await asyncio.gather(*(ask(number) for number in range(size(100, 20)))) == list(range(size(100, 20)))


@on_loop
async def test_a_server_that_is_killed_and_restarted(server):
    """A plain connection ends by a clear error. A robust one connects, declares and consumes again."""
    async with connected(server, aio_pika.connect_robust) as robust:
        plain = await aio_pika.connect(host="127.0.0.1", port=server.port, timeout=60)
        ends = []
        plain.close_callbacks.add(lambda _, error: ends.append(error))
        robust.reconnect_interval = 0.1
        back = asyncio.Event()
        robust.reconnect_callbacks.add(lambda _: back.set())
        channel = await robust.channel()
        queue = await channel.declare_queue("lasting", auto_delete=True)
        heard = []

        async def take(message):
            heard.append(message.body)
            await message.ack()

        await queue.consume(take)
        await channel.default_exchange.publish(Message(b"before"), "lasting")
        await until(lambda: heard == [b"before"])
        await asyncio.to_thread(server.kill)
        await until(lambda: ends)
        assert isinstance(ends[0], (ConnectionError, aio_pika.exceptions.AMQPError)), ends
        await asyncio.to_thread(server.start)
        await back.wait()
        await channel.default_exchange.publish(Message(b"after"), "lasting")
        await until(lambda: heard == [b"before", b"after"])
