"""COPY each way, LISTEN, cancellation, pipelines, hundreds of tasks on a pool of 20, a server killed, TLS."""

import asyncio
import random

import payload
import psycopg
import pytest
from cases import on_loop, until
from loops import size
from postgres import DATABASE, PASSWORD, USER, timed_out_after
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from tls import Certificate

PACKAGES = ["psycopg", "psycopg-binary", "psycopg-pool"]
SERVERS = ["postgresql"]
WHERE = pytest.mark.parametrize("where", ["tcp", "tls", "unix"])


def options(server, where="tcp"):
    """Arguments of psycopg's connect(), by libpq's names."""
    found = server.address(where) | {"user": USER, "password": PASSWORD, "dbname": DATABASE, "sslmode": "disable"}
    if where == "tls":
        found |= {"sslmode": "verify-full", "sslrootcert": str(server.certificate.certificate)}
    return found


async def connected(server, where="tcp", **more):
    """A connection that commits by itself."""
    return await psycopg.AsyncConnection.connect(**options(server, where), **{"autocommit": True} | more)


def pooled(server, where="tcp", **more):
    kwargs = options(server, where) | {"autocommit": True}
    more = {"min_size": 2, "max_size": 20, "timeout": 60, "open": False} | more
    return AsyncConnectionPool(kwargs=kwargs, **more)


async def one(connection, query, *values):
    """The only value of the first row."""
    return (await (await connection.execute(query, values)).fetchone())[0]


async def until_busy(connection, count):
    """Waits until that many queries of others run."""
    query = "select count(*) from pg_stat_activity where state = 'active' and backend_type = 'client backend'"
    while await one(connection, query + " and pid <> pg_backend_pid()") != count:
        await asyncio.sleep(0.01)


@WHERE
@on_loop
async def test_queries(server, where):
    async with await connected(server, where) as connection:
        assert connection.pgconn.ssl_in_use == (where == "tls")
        for number in range(size(3000, 300)):
            assert await one(connection, "select %s::int + 1", number) == number + 1
        cursor = await connection.execute("select n, n::text from generate_series(1, %s) n", [size(200000, 10000)])
        assert all(word == str(number) for number, word in await cursor.fetchall())
        for length in (0, 1, 8191, 65536, 1 << 20, size(32, 8) << 20):
            data = random.Random(length).randbytes(length)
            assert await one(connection, "select %b::bytea", data) == data


@on_loop
async def test_prepared_statements_and_errors(server):
    async with await connected(server, row_factory=dict_row) as connection:
        for number in range(20):
            cursor = await connection.execute("select %s::int * 3 as product", [number], prepare=True)
            assert await cursor.fetchone() == {"product": 3 * number}
        cursor = connection.cursor(binary=True)
        await cursor.executemany("select %s::int as n", [(n,) for n in range(size(2000, 300))], returning=True)
        found = []
        while True:
            found += await cursor.fetchall()
            if not cursor.nextset():
                break
        assert [row["n"] for row in found] == list(range(size(2000, 300)))
        with pytest.raises(errors.SyntaxError):
            await connection.execute("selct 1")
        with pytest.raises(errors.DivisionByZero):
            await connection.execute("select 1 / %s::int", [0])
        assert await (await connection.execute("select 1 as n")).fetchone() == {"n": 1}


@on_loop
async def test_cursors_of_the_server(server):
    count = size(50000, 5000)
    async with await connected(server, autocommit=False) as connection:
        async with connection.cursor(name="many") as cursor:
            await cursor.execute("select n from generate_series(0, %s) n", [count - 1])
            assert [row[0] async for row in cursor] == list(range(count))
        async with connection.cursor() as cursor:
            rows = cursor.stream("select n from generate_series(1, %s) n", [count])
            assert sum([row[0] async for row in rows]) == count * (count + 1) // 2


@WHERE
@on_loop
async def test_pipelines(server, where):
    """Many queries on the way at once."""
    count = size(5000, 500)
    async with await connected(server, where) as connection:
        async with connection.pipeline():
            query = "select %s::int, repeat('x', 1000)"
            cursors = [await connection.execute(query, [number]) for number in range(count)]
        assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(count))
        with pytest.raises(errors.DivisionByZero):
            async with connection.pipeline():
                await connection.execute("select 1")
                await connection.execute("select 1 / 0")
        assert await one(connection, "select 1") == 1


@on_loop
async def test_transactions(server):
    async with await connected(server) as connection, await connected(server) as other:
        await connection.execute("create table account (name text primary key, amount int check (amount >= 0))")
        try:
            async with connection.transaction():
                await connection.execute("insert into account values ('a', 100), ('b', 0)")
                assert await one(other, "select count(*) from account") == 0
            with pytest.raises(errors.CheckViolation):
                async with connection.transaction():
                    await connection.execute("update account set amount = amount + 200 where name = 'b'")
                    await connection.execute("update account set amount = amount - 200 where name = 'a'")
            async with connection.transaction():
                with pytest.raises(ZeroDivisionError):
                    async with connection.transaction():
                        await connection.execute("delete from account")
                        raise ZeroDivisionError
                await connection.execute("update account set amount = 7 where name = 'b'")
                raise psycopg.Rollback
            cursor = await other.execute("select * from account order by name")
            assert await cursor.fetchall() == [("a", 100), ("b", 0)]

            async with connection.transaction():
                await connection.execute("select * from account for update")
                waiter = asyncio.create_task(other.execute("update account set amount = 5"))
                while not await one(connection, "select count(*) from pg_locks where not granted"):
                    await asyncio.sleep(0.01)
            assert (await waiter).rowcount == 2
        finally:
            await connection.execute("drop table account")


@WHERE
@on_loop
async def test_copy(server, where):
    """A large table in, out and in again, while it is read."""
    async with await connected(server, where) as connection, await connected(server, where) as other:
        await connection.execute("create table source (id int, body bytea)")
        await connection.execute("create table sink (id int, body bytea)")
        try:
            async with connection.cursor() as cursor:
                async with cursor.copy("copy source from stdin (format binary)") as copy:
                    copy.set_types(["int4", "bytea"])
                    for number, block in enumerate(payload.blocks()):
                        await copy.write_row((number, block))
                assert cursor.rowcount == payload.BLOCKS
            async with connection.cursor() as cursor, other.cursor() as target:
                async with (
                    cursor.copy("copy source to stdout (format binary)") as copy,
                    target.copy("copy sink from stdin (format binary)") as sink,
                ):
                    async for block in copy:
                        await sink.write(block)
            async with other.cursor() as cursor:
                async with cursor.copy("copy (select body from sink order by id) to stdout (format binary)") as copy:
                    copy.set_types(["bytea"])
                    assert payload.digest([row[0] async for row in copy.rows()]) == payload.DIGEST

            count = size(200000, 10000)
            await connection.execute("create temp table small (id int, word text)")
            async with connection.cursor() as cursor, cursor.copy("copy small from stdin") as copy:
                for number in range(count):
                    await copy.write_row((number, str(number)))
            query = "select sum(word::int) from small where id::text = word"
            assert await one(connection, query) == count * (count - 1) // 2
        finally:
            await connection.execute("drop table source, sink")


@on_loop
async def test_copies_that_fail_or_are_cancelled(server):
    async with await connected(server) as connection:
        await connection.execute("create temp table target (id int primary key)")
        with pytest.raises(errors.UniqueViolation):
            async with connection.cursor() as cursor, cursor.copy("copy target from stdin") as copy:
                for _ in range(100):
                    await copy.write("1\n2\n3\n" * 1000)
        with pytest.raises(ZeroDivisionError):
            async with connection.cursor() as cursor, cursor.copy("copy target from stdin") as copy:
                await copy.write("1\n")
                raise ZeroDivisionError
        assert await one(connection, "select count(*) from target") == 0

        begun = asyncio.Event()

        async def read():
            async with connection.cursor() as cursor:
                async with cursor.copy("copy (select generate_series(1, 1000000000)) to stdout") as copy:
                    async for _ in copy:
                        begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await one(connection, "select 1") == 1


@WHERE
@on_loop
async def test_notifications(server, where):
    """Each of many listeners hears all that another says, in order."""
    count = size(2000, 200)
    expected = [f"{number} " + "x" * (number % 2000) for number in range(count)]
    async with await connected(server) as speaker:

        async def listen(ready):
            async with await connected(server, where) as connection:
                await connection.execute("listen news")
                ready.set()
                heard = []
                async for notice in connection.notifies(stop_after=count):
                    heard.append(notice.payload)
                return heard[:count] == expected

        ready = [asyncio.Event() for _ in range(10)]
        listeners = [asyncio.create_task(listen(each)) for each in ready]
        await asyncio.gather(*(each.wait() for each in ready))
        for word in expected:
            await speaker.execute("select pg_notify('news', %s)", [word])
        assert all(await asyncio.gather(*listeners))


@on_loop
async def test_notifications_that_do_not_come(server):
    async with await connected(server) as connection, await connected(server) as speaker:
        await connection.execute("listen news")
        assert [notice async for notice in connection.notifies(timeout=0.05)] == []
        waiting = asyncio.create_task(anext(connection.notifies()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await speaker.execute("notify news, 'later'")
        assert [notice.payload async for notice in connection.notifies(stop_after=1)] == ["later"]


@WHERE
@on_loop
async def test_cancellation(server, where):
    """A query that is given up ends at the server too, and its connection can be used again."""
    async with await connected(server) as watcher, await connected(server, where) as connection:
        for number in range(size(50, 10)):
            query = asyncio.create_task(connection.execute("select pg_sleep(3600)"))
            await until_busy(watcher, 1)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await one(connection, "select %s::int", number) == number

            async with timed_out_after(until_busy(watcher, 1)):
                await connection.execute("select pg_sleep(3600)")
            assert await one(connection, "select %s::int", number) == number

            query = asyncio.create_task(connection.execute("select pg_sleep(3600)"))
            await until_busy(watcher, 1)
            await connection.cancel_safe()
            with pytest.raises(errors.QueryCanceled):
                await query
        await until_busy(watcher, 0)


@WHERE
@on_loop
async def test_a_pool_with_hundreds_of_tasks(server, where):
    """None of the pool's 20 connections is lost, though some of the tasks are cancelled."""
    dice = random.Random(7)
    async with pooled(server, where) as pool, await connected(server) as watcher:
        await watcher.execute("create table counter as select n as id, 0 as value from generate_series(0, 9) n")
        try:
            done = 0

            async def work(number):
                nonlocal done
                for _ in range(size(20, 2)):
                    async with pool.connection() as connection:
                        async with connection.transaction():
                            query = "update counter set value = value + 1 where id = %s"
                            await connection.execute(query, [number % 10])
                            assert await one(connection, "select %s::int", number) == number
                        done += 1

            async def sleep():
                async with pool.connection() as connection:
                    await connection.execute("select pg_sleep(3600)")

            sleepers = [asyncio.create_task(sleep()) for _ in range(10)]
            await until_busy(watcher, 10)
            tasks = [asyncio.create_task(work(number)) for number in range(300)]
            sleepers += [asyncio.create_task(sleep()) for _ in range(40)]
            for sleeper in dice.sample(sleepers, len(sleepers)):
                sleeper.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
            ends = await asyncio.gather(*sleepers, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends)
            assert await one(watcher, "select sum(value) from counter") == done == 300 * size(20, 2)
            await until_busy(watcher, 0)
            assert pool.get_stats()["pool_size"] <= 20
        finally:
            await watcher.execute("drop table counter")


@on_loop
async def test_a_pool_that_is_too_small_times_out(server):
    async with pooled(server, min_size=1, max_size=1) as pool:
        async with pool.connection():
            with pytest.raises(PoolTimeout):
                async with pool.connection(timeout=0.05):
                    pass
        async with pool.connection() as connection:
            assert await one(connection, "select 1") == 1


@WHERE
@on_loop
async def test_a_server_that_is_killed_and_restarted(server, where):
    """All that is asked of it fails by a clear error. Then the same pool works on."""
    async with pooled(server, where, check=AsyncConnectionPool.check_connection) as pool:

        async def sleep():
            async with pool.connection() as connection:
                await connection.execute("select pg_sleep(3600)")

        async def ask(connection):
            while True:
                assert await one(connection, "select 1") == 1

        async def answer(number):
            async with pool.connection() as connection:
                return await one(connection, "select %s::int", number)

        for _ in range(size(5, 2)):
            sleepers = [asyncio.create_task(sleep()) for _ in range(10)]
            async with await connected(server) as watcher:
                await until_busy(watcher, 10)
            asked = [await connected(server, where) for _ in range(10)]
            tasks = sleepers + [asyncio.create_task(ask(connection)) for connection in asked]
            await asyncio.to_thread(server.kill)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, psycopg.OperationalError) for end in ends), ends
            assert all(connection.broken for connection in asked)
            with pytest.raises(psycopg.OperationalError):
                await connected(server, where)
            await asyncio.to_thread(server.start)
            assert await asyncio.gather(*(answer(number) for number in range(100))) == list(range(100))


@on_loop
async def test_a_server_that_ends_a_connection(server):
    async with await connected(server) as watcher:
        connection = await connected(server)
        query = asyncio.create_task(connection.execute("select pg_sleep(3600)"))
        await until_busy(watcher, 1)
        await watcher.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(errors.AdminShutdown):
            await query
        with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
            await connection.execute("select 1")


@on_loop
async def test_logins_that_are_refused(server, tmp_path):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await psycopg.AsyncConnection.connect(**options(server) | {"password": "wrong"})
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        await psycopg.AsyncConnection.connect(**options(server) | {"dbname": "nowhere"})
    strange = {"sslrootcert": str(Certificate(tmp_path).certificate)}
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        await psycopg.AsyncConnection.connect(**options(server, "tls") | strange)
    await asyncio.to_thread(server.kill)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        await psycopg.AsyncConnection.connect(**options(server))


@on_loop
async def test_a_server_that_says_nothing():
    """Connecting times out, and can be cancelled."""
    connections = []

    def accept(reader, writer):
        connections.append(writer)

    mute = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = mute.sockets[0].getsockname()
    address = {"host": host, "port": port, "user": USER, "sslmode": "disable"}
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        await psycopg.AsyncConnection.connect(**address, connect_timeout=2)
    connecting = asyncio.create_task(psycopg.AsyncConnection.connect(**address))
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
        connections = await asyncio.gather(*(connected(server, where) for _ in range(size(100, 20))))
        assert await asyncio.gather(*(one(each, "select 1") for each in connections)) == [1] * len(connections)
        for each in connections:
            await each.close()
