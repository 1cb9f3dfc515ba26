"""Pipelines, publishing, blocking pops, a pool of 100, a server that is killed and restarted, TLS, Unix sockets."""

import asyncio
import contextlib
import random
import subprocess

import payload
import pytest
import redis.asyncio as redis
from cases import on_loop
from loops import size
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError, WatchError
from servers import free_port, started, tool
from tls import Certificate

PACKAGES = ["redis"]
SERVERS = ["redis-server"]
WHERE = pytest.mark.parametrize("where", ["tcp", "tls", "unix"])


class Redis:
    """A server that keeps nothing. start() and close() wait."""

    def __init__(self, folder):
        self.certificate = Certificate(folder)
        self.port, self.secure_port, self.socket = free_port(), free_port(), folder / "socket"
        self.running = None
        options = {
            "bind": "127.0.0.1",
            "port": self.port,
            "tls-port": self.secure_port,
            "tls-cert-file": self.certificate.certificate,
            "tls-key-file": self.certificate.key,
            "tls-auth-clients": "no",
            "unixsocket": self.socket,
            "dir": folder,
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.command = [tool("redis-server"), *words]
        self.addresses = ("127.0.0.1", self.port), ("127.0.0.1", self.secure_port), self.socket

    def start(self):
        """Has it serve, if it does not."""
        if not self.running:
            self.running = contextlib.ExitStack()
            self.running.enter_context(started(self.command, *self.addresses))

    def close(self):
        """Kills it, if it serves."""
        if self.running:
            self.running.close()
            self.running = None

    def options(self, where="tcp"):
        """Arguments of redis.Redis(). Nothing is tried twice."""
        found = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 60, "decode_responses": True}
        if where == "unix":
            return found | {"unix_socket_path": str(self.socket)}
        if where == "tls":
            secure = {"ssl": True, "ssl_ca_certs": str(self.certificate.certificate)}
            return found | {"host": "127.0.0.1", "port": self.secure_port} | secure
        return found | {"host": "127.0.0.1", "port": self.port}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with contextlib.closing(Redis(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def server(shared):
    """It serves, even if the test before has killed it, and is empty."""
    shared.start()
    subprocess.run([tool("redis-cli"), "-p", str(shared.port), "flushall"], check=True, stdout=subprocess.DEVNULL)
    return shared


@contextlib.asynccontextmanager
async def connected(server, where="tcp", **more):
    """A client with a pool of its own."""
    async with redis.Redis(**server.options(where) | more) as client:
        yield client


def many(where, count):
    """How many connections. Over TLS redis-py reads all of the system's certificates for each, so that there are few."""
    return count // 10 if where == "tls" else count


async def blocked(client):
    """How many clients wait within a blocking command."""
    return (await client.info("clients"))["blocked_clients"]


async def until_blocked(client, count):
    while await blocked(client) != count:
        await asyncio.sleep(0.005)


@WHERE
@on_loop
async def test_commands(server, where):
    async with connected(server, where) as client:
        for number in range(size(3000, 300)):
            assert await client.set(f"key {number % 10}", number)
            assert await client.get(f"key {number % 10}") == str(number)
        assert await client.hset("hash", mapping={"a": 1, "b": 2}) == 2
        assert await client.hgetall("hash") == {"a": "1", "b": "2"}
        assert await client.zadd("set", {"x": 1.5, "y": 0.5}) == 2
        assert await client.zrange("set", 0, -1, withscores=True) == [("y", 0.5), ("x", 1.5)]
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await client.incr("hash")
        script = client.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
        assert await script(keys=["sum"], args=[40]) == 40
        assert await script(keys=["sum"], args=[2]) == 42


@WHERE
@on_loop
async def test_large_values(server, where):
    async with connected(server, where, decode_responses=False) as client:
        for length in (0, 1, 65535, 1 << 20, size(64, 8) << 20):
            value = (payload.BLOCK * (length // len(payload.BLOCK) + 1))[:length]
            await client.set("value", value)
            assert await client.get("value") == value
        await client.delete("value")
        await client.rpush("list", *(str(number) for number in range(size(200000, 20000))))
        assert await client.lrange("list", 0, -1) == [b"%d" % number for number in range(size(200000, 20000))]


@WHERE
@pytest.mark.parametrize("length", [1, 50, 5000])
@on_loop
async def test_pipelines(server, where, length):
    async with connected(server, where) as client:
        for turn in range(size(5000, 500) // length + 1):
            async with client.pipeline(transaction=False) as pipeline:
                for number in range(length):
                    pipeline.set(f"key {number}", turn).get(f"key {number}")
                assert await pipeline.execute() == [True, str(turn)] * length


@on_loop
async def test_pipelines_at_once(server):
    """Each of many tasks has its own answers."""
    async with connected(server) as client:

        async def work(name):
            for turn in range(size(100, 10)):
                async with client.pipeline(transaction=turn % 2 == 0) as pipeline:
                    for _ in range(50):
                        pipeline.incr(name)
                    assert await pipeline.execute() == list(range(50 * turn + 1, 50 * turn + 51))

        await asyncio.gather(*(work(f"counter {number}") for number in range(50)))


@on_loop
async def test_transactions(server):
    """Tasks that add to a number only if no other has done so meanwhile."""
    async with connected(server) as client:
        retries = 0

        async def add():
            nonlocal retries
            for _ in range(size(20, 3)):
                async with client.pipeline() as pipeline:
                    while True:
                        try:
                            await pipeline.watch("sum")
                            found = int(await pipeline.get("sum") or 0)
                            pipeline.multi()
                            pipeline.set("sum", found + 1)
                            await pipeline.execute()
                            break
                        except WatchError:
                            retries += 1

        await asyncio.gather(*(add() for _ in range(10)))
        assert int(await client.get("sum")) == 10 * size(20, 3)
        assert retries
        async with client.pipeline() as pipeline:
            pipeline.set("word", "x").incr("word").get("word")
            answers = await pipeline.execute(raise_on_error=False)
            assert isinstance(answers[1], ResponseError) and answers[2] == "x"


@WHERE
@on_loop
async def test_publishing(server, where):
    """Each of many subscribers hears all that is published, in order."""
    count = size(3000, 300)
    async with connected(server, where) as client:

        async def listen(ready):
            heard = []
            async with client.pubsub() as subscription:
                await subscription.subscribe("news")
                await subscription.psubscribe("other.*")
                async for message in subscription.listen():
                    if message["type"] == "psubscribe":
                        ready.set()
                    elif message["type"] == "message":
                        heard.append(message["data"])
                    elif message["type"] == "pmessage":
                        await subscription.unsubscribe()
                        await subscription.punsubscribe()
            return heard

        listening = many(where, 20)
        ready = [asyncio.Event() for _ in range(listening)]
        listeners = [asyncio.create_task(listen(each)) for each in ready]
        await asyncio.gather(*(each.wait() for each in ready))
        for number in range(count):
            assert await client.publish("news", f"{number} " + "x" * (number % 3000)) == listening
        assert await client.publish("other.end", "") == listening
        expected = [f"{number} " + "x" * (number % 3000) for number in range(count)]
        assert all(heard == expected for heard in await asyncio.gather(*listeners))


@on_loop
async def test_a_subscriber_that_waits_in_vain(server):
    async with connected(server) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe("news")
        assert await subscription.get_message(timeout=1) is None
        assert await subscription.get_message(timeout=0.05) is None
        waiting = asyncio.create_task(subscription.get_message(timeout=None))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.publish("news", "later")
        assert (await subscription.get_message(timeout=60))["data"] == "later"


@WHERE
@on_loop
async def test_blocking_pops(server, where):
    """Workers wait for jobs, and each job is done once."""
    count = size(5000, 500)
    async with connected(server, where) as client, connected(server) as watcher:
        done = []

        async def work():
            while True:
                _, job = await client.blpop(["jobs", "ends"])
                if job == "end":
                    return
                done.append(int(job))

        working = many(where, 30)
        workers = [asyncio.create_task(work()) for _ in range(working)]
        await until_blocked(watcher, working)
        for number in range(count):
            await client.rpush("jobs", number)
        await client.rpush("ends", *["end"] * working)
        await asyncio.gather(*workers)
        assert sorted(done) == list(range(count))
        assert await client.blpop("jobs", timeout=0.01) is None


@WHERE
@on_loop
async def test_blocking_pops_that_are_cancelled(server, where):
    """The server has no client that waits, no job is lost to one, and the client works on."""
    dice = random.Random(3)
    async with connected(server, where) as client, connected(server) as watcher:
        waiting = many(where, 20)
        for _ in range(size(20, 3)):
            waiters = [asyncio.create_task(client.blpop("nothing")) for _ in range(waiting)]
            await until_blocked(watcher, waiting)
            for waiter in dice.sample(waiters, len(waiters)):
                waiter.cancel()
            ends = await asyncio.gather(*waiters, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends)
            await until_blocked(watcher, 0)
            if where != "tls":  # redis-py may lose it in the handshake of a new connection, on asyncio's loop too
                with pytest.raises(asyncio.TimeoutError):
                    async with asyncio.timeout(0.01):
                        await client.brpop("nothing")
            assert await asyncio.gather(*(client.echo(str(number)) for number in range(waiting))) == [
                str(n) for n in range(waiting)
            ]
            await until_blocked(watcher, 0)


@WHERE
@on_loop
async def test_a_pool_of_100(server, where):
    """Hundreds of tasks, some of them cancelled, share a hundred connections, and none is lost."""
    dice = random.Random(5)
    async with connected(server, where) as template:
        pool = redis.BlockingConnectionPool(
            max_connections=many(where, 100), timeout=60, connection_class=template.connection_pool.connection_class,
            **template.connection_pool.connection_kwargs,
        )  # fmt: skip
    async with redis.Redis.from_pool(pool) as client, connected(server) as watcher:

        async def work(number):
            for turn in range(size(50, 3)):
                assert await client.echo(f"{number} {turn}") == f"{number} {turn}"

        waiting = many(where, 50)
        waiters = [asyncio.create_task(client.blpop("nothing")) for _ in range(waiting)]
        await until_blocked(watcher, waiting)
        workers = [asyncio.create_task(work(number)) for number in range(500)]
        for waiter in dice.sample(waiters, len(waiters)):
            waiter.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*workers)
        await asyncio.gather(*waiters, return_exceptions=True)
        await until_blocked(watcher, 0)
        assert (await watcher.info("clients"))["connected_clients"] <= many(where, 100) + 1


@on_loop
async def test_a_pool_that_is_too_small_times_out(server):
    pool = redis.BlockingConnectionPool(max_connections=1, timeout=0.05, **server.options())
    async with redis.Redis.from_pool(pool) as client, connected(server) as watcher:
        waiter = asyncio.create_task(client.blpop("list"))
        await until_blocked(watcher, 1)
        with pytest.raises(ConnectionError, match="No connection available"):
            await client.ping()
        await watcher.rpush("list", "x")
        assert await waiter == ("list", "x")
        assert await client.ping()


@WHERE
@on_loop
async def test_a_server_that_is_killed_and_restarted(server, where):
    """All that is asked of it fails by a clear error. Then the same client works on, and connects anew where it has to."""
    once_more = Retry(NoBackoff(), 1)
    async with connected(server, where, retry=once_more) as client, connected(server) as watcher:
        for _ in range(size(5, 2)):

            async def ask(number):
                while True:
                    assert await client.echo(str(number)) == str(number)

            half = many(where, 20)
            tasks = [asyncio.create_task(client.blpop("nothing")) for _ in range(half)]
            await until_blocked(watcher, half)
            tasks += [asyncio.create_task(ask(number)) for number in range(half)]
            subscription = client.pubsub()
            await subscription.subscribe("news")
            assert (await subscription.get_message(timeout=60))["type"] == "subscribe"
            tasks.append(asyncio.create_task(subscription.get_message(timeout=60)))
            await asyncio.to_thread(server.close)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, ConnectionError) for end in ends), ends
            with pytest.raises(ConnectionError):
                await client.ping()
            await subscription.aclose()
            await watcher.connection_pool.disconnect()
            await asyncio.to_thread(server.start)
            words = [str(number) for number in range(many(where, 100))]
            assert await asyncio.gather(*map(client.echo, words)) == words


@on_loop
async def test_subscribers_and_retries_outlive_a_restart(server):
    """A client that may try again does so, and subscribes again."""
    retry = Retry(ConstantBackoff(0.05), 500)
    async with connected(server, retry=retry, retry_on_error=[ConnectionError]) as client:
        async with client.pubsub() as subscription:
            await subscription.subscribe("news")
            assert (await subscription.get_message(timeout=60))["type"] == "subscribe"
            waiting = asyncio.create_task(anext(subscription.listen()))
            await asyncio.to_thread(server.close)
            asking = asyncio.create_task(client.set("key", "value"))
            await asyncio.to_thread(server.start)
            assert await asking
            assert (await waiting)["type"] == "subscribe"
            await client.publish("news", "again")
            assert (await subscription.get_message(timeout=60))["data"] == "again"


@on_loop
async def test_a_server_that_ends_connections(server):
    async with connected(server) as client, connected(server) as watcher:
        waiters = [asyncio.create_task(client.blpop("nothing")) for _ in range(20)]
        await until_blocked(watcher, 20)
        await watcher.client_kill_filter(_type="normal", skipme=True)
        ends = await asyncio.gather(*waiters, return_exceptions=True)
        assert all(isinstance(end, ConnectionError) for end in ends)
        assert await client.ping()


@on_loop
async def test_timeouts(server):
    async with connected(server, socket_timeout=0.1) as client, connected(server) as watcher:
        await watcher.client_pause(60000, all=False)
        try:
            with pytest.raises(TimeoutError):
                await client.set("key", "value")
        finally:
            await watcher.client_unpause()
        assert await client.ping()


@on_loop
async def test_streams(server):
    """A consumer group: each entry is read by one of its members."""
    count = size(3000, 300)
    async with connected(server) as client:
        await client.xgroup_create("events", "group", mkstream=True)
        read = []

        async def consume(name):
            while len(read) < count:
                for _, entries in await client.xreadgroup("group", name, {"events": ">"}, count=10, block=100):
                    read.extend(int(fields["number"]) for _, fields in entries)
                    await client.xack("events", "group", *(entry for entry, _ in entries))

        consumers = [asyncio.create_task(consume(f"member {number}")) for number in range(10)]
        for number in range(count):
            await client.xadd("events", {"number": number})
        await asyncio.gather(*consumers)
        assert sorted(read) == list(range(count))
        assert (await client.xpending("events", "group"))["pending"] == 0


@on_loop
async def test_scans(server):
    async with connected(server) as client:
        await client.mset({f"key {number}": number for number in range(size(20000, 2000))})
        found = {key async for key in client.scan_iter(match="key *", count=100)}
        assert len(found) == size(20000, 2000)


@on_loop
async def test_certificates_are_checked(server, tmp_path):
    strange = {"ssl_ca_certs": str(Certificate(tmp_path).certificate)}
    async with connected(server, "tls", **strange) as client:
        with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.ping()
