"""COPY each way, LISTEN, cancellation, hundreds of tasks on a pool of 20, a server killed and restarted, TLS."""

import asyncio
import contextlib
import datetime
import decimal
import hashlib
import json
import random
import ssl
import uuid

import asyncpg
import payload
import pytest
from cases import on_loop, until
from loops import size
from postgres import timed_out_after
from tls import Certificate

PACKAGES = ["asyncpg"]
SERVERS = ["postgresql"]
WHERE = pytest.mark.parametrize("where", ["tcp", "tls", "unix"])
# What a query may raise while its server dies, and until it serves again.
LOST = (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError, OSError)


def options(server, where="tcp"):
    """Arguments of asyncpg.connect()."""
    return server.login(where) | {"ssl": server.certificate.client() if where == "tls" else False}


@contextlib.asynccontextmanager
async def connected(server, where="tcp", **more):
    connection = await asyncpg.connect(**options(server, where), **more)
    try:
        yield connection
    finally:
        await connection.close(timeout=60)


def pooled(server, where="tcp", **more):
    return asyncpg.create_pool(**options(server, where), **{"min_size": 2, "max_size": 20} | more)


async def busy(connection):
    """How many queries of others run."""
    return await connection.fetchval(
        "select count(*) from pg_stat_activity where state = 'active' and backend_type = 'client backend'"
        " and pid <> pg_backend_pid()"
    )


async def until_busy(connection, count):
    """Waits until that many queries run. asyncpg itself asks for nothing then."""
    while await busy(connection) != count:
        await asyncio.sleep(0.01)


@WHERE
@on_loop
async def test_queries(server, where):
    async with connected(server, where) as connection:
        assert (connection._transport.get_extra_info("ssl_object") is not None) == (where == "tls")
        for number in range(size(5000, 500)):
            assert await connection.fetchval("select $1::int + 1", number) == number + 1
        rows = await connection.fetch("select n, n::text as word from generate_series(1, $1) n", size(200000, 10000))
        assert all(row["word"] == str(row["n"]) for row in rows)
        for length in (0, 1, 8191, 65536, 1 << 20, size(32, 8) << 20):
            data = random.Random(length).randbytes(length)
            assert await connection.fetchval("select $1::bytea", data) == data


@on_loop
async def test_types(server):
    async with connected(server) as connection:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        for kind, value in {
            "int8[]": [1, None, -(2**63)],
            "numeric": decimal.Decimal("1234567890.0987654321"),
            "timestamptz": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
            "interval": datetime.timedelta(days=3, microseconds=1),
            "uuid": uuid.UUID(int=1 << 100),
            "jsonb": {"a": [1, None, {"b": "ü"}]},
            "point": asyncpg.Point(1.5, -2),
            "int4range": asyncpg.Range(1, 10),
            "text": "\N{SNOWMAN} " * 1000,
        }.items():
            assert await connection.fetchval(f"select $1::{kind}", value) == value


@on_loop
async def test_prepared_statements(server):
    async with connected(server) as connection:
        statement = await connection.prepare("select $1::int * $2::int")
        for number in range(size(3000, 300)):
            assert await statement.fetchval(number, 3) == 3 * number
        many = [await connection.prepare(f"select {number}") for number in range(200)]
        assert [await one.fetchval() for one in many] == list(range(200))
        with pytest.raises(asyncpg.PostgresSyntaxError, match="selct"):
            await connection.prepare("selct 1")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetch("select 1 / $1::int", 0)
        assert await statement.fetchval(2, 3) == 6


@on_loop
async def test_cursors(server):
    async with connected(server) as connection, connection.transaction():
        count = size(50000, 5000)
        seen = 0
        async for row in connection.cursor("select n from generate_series(0, $1 - 1) n", count, prefetch=100):
            assert row["n"] == seen
            seen += 1
        assert seen == count
        cursor = await connection.cursor("select n from generate_series(1, 100) n")
        assert await cursor.forward(10) == 10
        assert [row["n"] for row in await cursor.fetch(3)] == [11, 12, 13]


@on_loop
async def test_transactions(server):
    async with connected(server) as connection, connected(server) as other:
        await connection.execute("create table account (name text primary key, amount int check (amount >= 0))")
        try:
            async with connection.transaction():
                await connection.executemany("insert into account values ($1, $2)", [("a", 100), ("b", 0)])
                assert await other.fetchval("select count(*) from account") == 0
            with pytest.raises(asyncpg.CheckViolationError):
                async with connection.transaction():
                    await connection.execute("update account set amount = amount + 200 where name = 'b'")
                    await connection.execute("update account set amount = amount - 200 where name = 'a'")
            async with connection.transaction():
                with pytest.raises(ZeroDivisionError):
                    async with connection.transaction():
                        await connection.execute("delete from account")
                        raise ZeroDivisionError
                await connection.execute("update account set amount = 7 where name = 'b'")
            rows = await other.fetch("select * from account order by name")
            assert [tuple(row) for row in rows] == [("a", 100), ("b", 7)]

            with pytest.raises(asyncpg.SerializationError):
                async with connection.transaction(isolation="repeatable_read"):
                    await connection.fetch("select * from account")
                    await other.execute("update account set amount = 8 where name = 'b'")
                    await connection.execute("update account set amount = 9 where name = 'b'")
            assert await connection.fetchval("select amount from account where name = 'b'") == 8

            with pytest.raises(ZeroDivisionError):
                async with connection.transaction():
                    await connection.execute("select * from account for update")
                    waiter = asyncio.create_task(other.execute("update account set amount = 5"))
                    await until_waiting(server)
                    raise ZeroDivisionError
            assert await waiter == "UPDATE 2"
        finally:
            await connection.execute("drop table account")


async def until_waiting(server):
    """Waits until some query waits for a lock."""
    async with connected(server) as connection:
        while not await connection.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.01)


@WHERE
@on_loop
async def test_copy(server, where):
    """A large table in, out and in again: by records, by text, by an asynchronous generator."""
    async with connected(server, where) as connection:
        await connection.execute("create temp table source (id int, body bytea)")
        records = [(number, block) for number, block in enumerate(payload.blocks())]
        assert await connection.copy_records_to_table("source", records=records) == f"COPY {payload.BLOCKS}"
        del records

        received = hashlib.sha256()
        length = 0

        async def take(data):
            nonlocal length
            received.update(data)
            length += len(data)

        await connection.copy_from_query("select body from source order by id", output=take, format="binary")
        assert length > payload.SIZE
        expected = hashlib.sha256(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for block in payload.blocks():
            expected.update(b"\0\1" + len(block).to_bytes(4) + block)
        expected.update(b"\xff\xff")
        assert received.digest() == expected.digest()

        async def lines():
            for number, block in enumerate(payload.blocks()):
                yield f"{number}\t\\\\x{block.hex()}\n".encode()

        await connection.execute("create temp table sink (id int, body bytea)")
        assert await connection.copy_to_table("sink", source=lines()) == f"COPY {payload.BLOCKS}"
        same = "select count(*) from source join sink using (id) where source.body = sink.body"
        assert await connection.fetchval(same) == payload.BLOCKS

        count = size(1000000, 50000)
        await connection.execute("create temp table small (id int, word text)")
        await connection.copy_records_to_table("small", records=((number, str(number)) for number in range(count)))
        assert tuple(await connection.fetchrow("select count(*), sum(id), sum(word::int) from small")) == (
            count, count * (count - 1) // 2, count * (count - 1) // 2,
        )  # fmt: skip


@on_loop
async def test_copy_that_fails(server):
    async with connected(server) as connection:
        await connection.execute("create temp table target (id int primary key)")

        async def bad():
            for block in range(100):
                yield b"1\n2\n3\n" * 1000

        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.copy_to_table("target", source=bad())

        async def broken():
            yield b"1\n"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await connection.copy_to_table("target", source=broken())
        assert await connection.fetchval("select count(*) from target") == 0


@on_loop
async def test_copy_that_is_cancelled(server):
    async with connected(server) as connection:
        begun = asyncio.Event()

        async def take(data):
            begun.set()
            await asyncio.Event().wait()

        copying = asyncio.create_task(connection.copy_from_query("select generate_series(1, 1000000000)", output=take))
        await begun.wait()
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        assert await connection.fetchval("select 1") == 1


@WHERE
@on_loop
async def test_notifications(server, where):
    """Each of many listeners hears all that others say, in order, while it asks for other things."""
    count, heard = size(2000, 200), {}
    async with contextlib.AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(connected(server, where)) for _ in range(10)]
        for listener in listeners:
            words = heard[listener] = []
            await listener.add_listener("news", lambda _, pid, *news, words=words: words.append(news))
        speaker = await stack.enter_async_context(connected(server, where))

        async def ask(connection):
            for number in range(50):
                assert await connection.fetchval("select $1::int", number) == number

        async def speak():
            for number in range(count):
                await speaker.execute("select pg_notify('news', $1)", f"{number} " + "x" * (number % 2000))

        await asyncio.gather(speak(), *(ask(listener) for listener in listeners[:5]))
        expected = [("news", f"{number} " + "x" * (number % 2000)) for number in range(count)]
        await until(lambda: all(len(words) == count for words in heard.values()))
        assert all(words == expected for words in heard.values())

        ended = []
        listeners[0].add_termination_listener(ended.append)
        await speaker.execute("select pg_terminate_backend($1)", listeners[0].get_server_pid())
        await until(lambda: ended)
        assert ended == [listeners[0]] and listeners[0].is_closed()


@WHERE
@on_loop
async def test_cancellation(server, where):
    """A query that is given up ends at the server too, and its connection can be used again."""
    async with connected(server) as watcher, connected(server, where) as connection:
        for number in range(size(50, 10)):
            query = asyncio.create_task(connection.execute("select pg_sleep(3600)"))
            await until_busy(watcher, 1)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await connection.fetchval("select $1::int", number) == number
            await until_busy(watcher, 0)

            async with timed_out_after(until_busy(watcher, 1)):
                await connection.execute("select pg_sleep(3600)")
            assert await connection.fetchval("select $1::int", number) == number
        await until_busy(watcher, 0)

        async with connection.transaction():
            await connection.execute("create temp table kept (id int)")
            with pytest.raises(TimeoutError):
                await connection.execute("select pg_sleep(3600)", timeout=1)
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                async with connection.transaction():
                    await connection.execute("insert into kept values (1)")
        assert await connection.fetchval("select to_regclass('kept')") is None


@on_loop
async def test_two_queries_at_once(server):
    async with connected(server) as watcher, connected(server) as connection:
        query = asyncio.create_task(connection.execute("select pg_sleep(3600)"))
        await until_busy(watcher, 1)
        with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress"):
            await connection.fetchval("select 1")
        query.cancel()
        await asyncio.gather(query, return_exceptions=True)
        assert await connection.fetchval("select 1") == 1


@on_loop
async def test_a_server_that_ends_a_connection(server):
    async with connected(server) as watcher:
        connection = await asyncpg.connect(**options(server))
        query = asyncio.create_task(connection.execute("select pg_sleep(3600)"))
        await until_busy(watcher, 1)
        await watcher.execute("select pg_terminate_backend($1)", connection.get_server_pid())
        with pytest.raises(asyncpg.PostgresError, match="terminating connection due to administrator command"):
            await query
        with pytest.raises(asyncpg.InterfaceError, match="connection is closed"):
            await connection.fetchval("select 1")


@WHERE
@on_loop
async def test_a_pool_with_hundreds_of_tasks(server, where):
    """None of the pool's 20 connections is lost, though one in five of the tasks is cancelled."""
    dice = random.Random(7)
    async with pooled(server, where) as pool, connected(server) as watcher:
        await watcher.execute("create table counter (id int primary key, value int)")
        await watcher.execute("insert into counter select n, 0 from generate_series(0, 9) n")
        added, names = [], set()

        async def work(number):
            for _ in range(size(20, 2)):
                async with pool.acquire() as connection:
                    names.add(await connection.fetchval("select pg_backend_pid()"))
                    async with connection.transaction():
                        sql = "update counter set value = value + 1 where id = $1"
                        assert await connection.execute(sql, number % 10) == "UPDATE 1"
                        assert await connection.fetchval("select $1::text", f"{number}") == f"{number}"
                    added.append(number)

        async def sleep():
            await pool.execute("select pg_sleep(3600)")

        tasks = [asyncio.create_task(work(number)) for number in range(400)]
        sleepers = [asyncio.create_task(sleep()) for _ in range(100)]
        for sleeper in dice.sample(sleepers, len(sleepers)):
            sleeper.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        ends = await asyncio.gather(*sleepers, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends)
        assert await watcher.fetchval("select sum(value) from counter") == len(added) == 400 * size(20, 2)
        await until_busy(watcher, 0)
        assert pool.get_size() == pool.get_idle_size() <= 20
        await watcher.execute("drop table counter")


@on_loop
async def test_a_pool_whose_tasks_are_cancelled_within_queries(server):
    dice = random.Random(8)
    async with pooled(server) as pool, connected(server) as watcher:
        for _ in range(size(20, 3)):
            tasks = [asyncio.create_task(pool.execute("select pg_sleep(3600)")) for _ in range(40)]
            await until_busy(watcher, 20)
            for task in dice.sample(tasks, len(tasks)):
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends)
            await until_busy(watcher, 0)
            assert await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(40))) == list(range(40))


@on_loop
async def test_a_pool_that_is_too_small_times_out(server):
    async with pooled(server, min_size=1, max_size=1) as pool:
        async with pool.acquire():
            with pytest.raises(asyncio.TimeoutError):
                await pool.acquire(timeout=0.05)
        assert await pool.fetchval("select 1") == 1


@WHERE
@on_loop
async def test_a_server_that_is_killed_and_restarted(server, where):
    """All that is asked of it fails at once and by a clear error. Then the same pool works on."""
    async with pooled(server, where) as pool:
        lost = []

        async def ask(number):
            try:
                while True:
                    assert await pool.fetchval("select $1::int", number) == number
            except LOST as error:
                lost.append(error)

        for _ in range(size(5, 2)):
            lost.clear()
            sleepers = [asyncio.create_task(pool.execute("select pg_sleep(3600)")) for _ in range(10)]
            askers = [asyncio.create_task(ask(number)) for number in range(10)]
            async with connected(server) as watcher:
                query = "select count(*) from pg_stat_activity where query like '%pg_sleep%'"
                while await watcher.fetchval(query) < 11:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(server.kill)
            ends = await asyncio.gather(*sleepers, return_exceptions=True)
            assert all(isinstance(end, asyncpg.ConnectionDoesNotExistError | OSError) for end in ends), ends
            await asyncio.gather(*askers)
            assert len(lost) == 10
            with pytest.raises(OSError):
                await pool.fetchval("select 1")
            await asyncio.to_thread(server.start)
            assert await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(100))) == list(range(100))


@on_loop
async def test_a_server_that_is_killed_amid_copies(server):
    connection, other = [await asyncpg.connect(**options(server)) for _ in range(2)]
    await connection.execute("create temp table sink (id int)")
    begun, killed = asyncio.Event(), asyncio.Event()

    async def give():
        yield b"1\n" * 100000
        await killed.wait()
        yield b"2\n"

    async def take(data):
        begun.set()

    copies = [
        asyncio.create_task(connection.copy_to_table("sink", source=give())),
        asyncio.create_task(other.copy_from_query("select generate_series(1, 1000000000)", output=take)),
    ]
    await begun.wait()
    await asyncio.to_thread(server.kill)
    killed.set()
    for end in await asyncio.gather(*copies, return_exceptions=True):
        assert isinstance(end, LOST), end
    assert connection.is_closed() and other.is_closed()


@on_loop
async def test_logins_that_are_refused(server, tmp_path):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(**server.login() | {"password": "wrong"})
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(**server.login() | {"database": "nowhere"})
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(**server.login(), ssl=Certificate(tmp_path).client())
    await asyncio.to_thread(server.kill)
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(**server.login())
    with pytest.raises(OSError):
        await asyncpg.connect(**server.login("unix"))


@on_loop
async def test_a_server_that_says_nothing():
    """Connecting times out, and can be cancelled."""

    connections = []

    def accept(reader, writer):
        connections.append(writer)

    mute = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = mute.sockets[0].getsockname()
    with pytest.raises(TimeoutError):
        await asyncpg.connect(host=host, port=port, user="nobody", timeout=0.1)
    connecting = asyncio.create_task(asyncpg.connect(host=host, port=port, user="nobody"))
    await until(lambda: len(connections) == 2)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    for writer in connections:
        writer.close()
    mute.close()


@on_loop
async def test_many_connections_at_once(server):
    for where in ("tcp", "tls", "unix"):
        connections = await asyncio.gather(*(asyncpg.connect(**options(server, where)) for _ in range(size(100, 20))))
        assert await asyncio.gather(*(each.fetchval("select 1") for each in connections)) == [1] * len(connections)
        await asyncio.gather(*(each.close() for each in connections))
