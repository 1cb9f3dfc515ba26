"""Queries, transactions, backups, interrupted queries and hundreds of tasks: a thread for each connection, and one loop."""

import asyncio
import sqlite3

import aiosqlite
import pytest
from cases import on_loop
from loops import size

PACKAGES = ["aiosqlite"]


@on_loop
async def test_queries():
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute("create table words (id integer primary key, word text)")
        count = size(20000, 5000)
        for number in range(count):
            await connection.execute("insert into words (word) values (?)", [str(number)])
        await connection.executemany("insert into words (word) values (?)", ([str(count + n)] for n in range(count)))
        connection.row_factory = aiosqlite.Row
        seen = 0
        async with connection.execute("select id, word from words order by id") as cursor:
            async for row in cursor:
                assert (row["id"], row["word"]) == (seen + 1, str(seen))
                seen += 1
        assert seen == 2 * count
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await connection.execute("select * from nowhere")
        with pytest.raises(sqlite3.IntegrityError):
            await connection.execute("insert into words values (1, 'again')")
        await connection.create_function("twice", 1, lambda value: 2 * value)
        assert tuple(await (await connection.execute("select twice(21)")).fetchone()) == (42,)


@on_loop
async def test_many_tasks_on_one_connection():
    async with aiosqlite.connect(":memory:") as connection:

        async def work(number):
            for turn in range(size(300, 50)):
                cursor = await connection.execute("select ?, ?", [number, turn])
                assert await cursor.fetchone() == (number, turn)
                await cursor.close()

        await asyncio.gather(*(work(number) for number in range(100)))


@on_loop
async def test_many_connections_to_one_file(tmp_path):
    """Writers take turns, and each transaction is there whole or not at all."""
    path = tmp_path / "database"
    async with aiosqlite.connect(path) as connection:
        await connection.execute("pragma journal_mode = wal")
        await connection.execute("create table counter (id integer primary key, value integer)")
        await connection.execute("insert into counter values (1, 0), (2, 0)")
        await connection.commit()

        async def work(number):
            async with aiosqlite.connect(path, timeout=120, isolation_level=None) as own:
                await own.execute("pragma synchronous = off")
                for turn in range(size(100, 20)):
                    await own.execute("begin immediate")
                    await own.execute("update counter set value = value + 1")
                    await own.execute("rollback" if (number + turn) % 2 else "commit")
                    (first,), (second,) = await own.execute_fetchall("select value from counter")
                    assert first == second

        await asyncio.gather(*(work(number) for number in range(20)))
        rows = await connection.execute_fetchall("select value from counter")
        assert list(rows) == [(20 * size(100, 20) // 2 + odd,) for odd in [0, 0]]


@on_loop
async def test_a_query_that_is_interrupted():
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n where step(x)"
    async with aiosqlite.connect(":memory:") as connection:
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def step(value):
            if value == 1:
                loop.call_soon_threadsafe(begun.set)
            return 1

        await connection.create_function("step", 1, step)
        query = asyncio.create_task(connection.execute_fetchall(endless))
        await begun.wait()
        await connection.interrupt()
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            await query

        begun.clear()
        query = asyncio.create_task(connection.execute_fetchall(endless))
        await begun.wait()
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query
        await connection.interrupt()
        assert list(await connection.execute_fetchall("select 1")) == [(1,)]


@on_loop
async def test_tasks_that_are_cancelled():
    """Whose turn had not come yet, or whose answer comes too late: the connection works on."""
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute("create table words (word text)")
        for turn in range(size(500, 100)):
            tasks = [asyncio.create_task(connection.execute("insert into words values (?)", [str(n)])) for n in range(50)]
            await asyncio.sleep(0)
            for task in tasks[turn % 5 :: 5]:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(end, asyncio.CancelledError) for end in ends) == 10
            assert list(await connection.execute_fetchall("select ?", [turn])) == [(turn,)]


@on_loop
async def test_backups(tmp_path):
    async with aiosqlite.connect(":memory:") as connection, aiosqlite.connect(tmp_path / "copy") as copy:
        await connection.execute("create table blocks (block blob)")
        await connection.executemany("insert into blocks values (zeroblob(?))", ([100000 + n] for n in range(size(200, 30))))
        await connection.commit()
        progress = []
        await connection.backup(copy, pages=50, progress=lambda *state: progress.append(state))
        query = "select count(*), sum(length(block)) from blocks"
        assert await copy.execute_fetchall(query) == await connection.execute_fetchall(query)
        assert progress[-1][1] == 0
        statements = [line async for line in connection.iterdump()]
        assert len(statements) == size(200, 30) + 3


@on_loop
async def test_many_connections_open_and_close():
    for _ in range(size(50, 10)):
        connections = await asyncio.gather(*(aiosqlite.connect(":memory:") for _ in range(50)))
        answers = await asyncio.gather(*(each.execute_fetchall("select 1") for each in connections))
        assert all(list(rows) == [(1,)] for rows in answers)
        await asyncio.gather(*(each.close() for each in connections))
    with pytest.raises(ValueError, match="no active connection"):
        await connections[0].execute("select 1")
