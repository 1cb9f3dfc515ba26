"""Its asyncio engine and ORM over asyncpg, psycopg and aiosqlite: sessions, streams, cancellation, a server killed."""

import asyncio
import contextlib

import pytest
from cases import on_loop
from loops import size
from postgres import DATABASE, PASSWORD, USER, timed_out_after
from sqlalchemy import URL, ForeignKey, event, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

PACKAGES = ["SQLAlchemy", "greenlet", "asyncpg", "psycopg", "aiosqlite"]
SERVERS = ["postgresql"]
DRIVERS = pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg", "sqlite+aiosqlite"])
POSTGRES = pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    read: Mapped[int] = mapped_column(default=0)
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@contextlib.asynccontextmanager
async def engine_of(driver, server, folder, **more):
    """An engine with a pool of 20, and empty tables."""
    url = URL.create(driver, USER, PASSWORD, "127.0.0.1", server.port, DATABASE)
    if "sqlite" in driver:
        url = URL.create(driver, database=str(folder / "database"))
    engine = create_async_engine(url, **{"pool_size": 20, "max_overflow": 0, "pool_timeout": 120} | more)
    if "sqlite" in driver:

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection, _):
            connection.execute("pragma busy_timeout = 120000")
            connection.execute("pragma synchronous = off")

    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        yield engine
    finally:
        await engine.dispose()


async def until_sleeping(engine, count):
    """Waits until that many queries sleep in the server. Within one transaction it would always say the same."""
    query = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep%'"
    async with engine.connect() as connection:
        while await connection.scalar(text(query + " and pid <> pg_backend_pid()")) != count:
            await connection.rollback()
            await asyncio.sleep(0.01)


async def sleep(engine):
    """A query that takes long."""
    async with engine.connect() as connection:
        await connection.execute(text("select pg_sleep(3600)"))


async def echo(engine, number):
    async with engine.connect() as connection:
        return (await connection.execute(text("select :number + 0"), {"number": number})).scalar()


@DRIVERS
@on_loop
async def test_objects(driver, server, tmp_path):
    async with engine_of(driver, server, tmp_path) as engine:
        session_of = async_sessionmaker(engine, expire_on_commit=False)
        async with session_of.begin() as session:
            for number in range(50):
                books = [Book(title=f"book {n} of {number}") for n in range(number)]
                session.add(Author(name=f"author {number}", books=books))
        async with session_of() as session:
            authors = await session.scalars(select(Author).options(selectinload(Author.books)).order_by(Author.id))
            for number, author in enumerate(authors):
                assert author.name == f"author {number}"
                assert [book.title for book in author.books] == [f"book {n} of {number}" for n in range(number)]
            book = await session.scalar(select(Book).where(Book.title == "book 3 of 7"))
            await session.refresh(book, ["author"])
            assert book.author.name == "author 7"
            assert await session.scalar(select(func.count()).select_from(Book)) == 49 * 50 // 2


@DRIVERS
@on_loop
async def test_transactions(driver, server, tmp_path):
    async with engine_of(driver, server, tmp_path) as engine:
        session_of = async_sessionmaker(engine)
        async with session_of.begin() as session:
            session.add(Author(name="a"))
        with pytest.raises(IntegrityError):
            async with session_of.begin() as session:
                session.add_all([Author(name="b"), Author(name="a")])
        with pytest.raises(ZeroDivisionError):
            async with session_of.begin() as session:
                session.add(Author(name="c"))
                await session.flush()
                raise ZeroDivisionError
        async with session_of.begin() as session:
            session.add(Author(name="d"))
            with pytest.raises(ZeroDivisionError):
                async with session.begin_nested():
                    session.add(Author(name="e"))
                    await session.flush()
                    raise ZeroDivisionError
        async with session_of() as session:
            assert list(await session.scalars(select(Author.name).order_by(Author.name))) == ["a", "d"]


@DRIVERS
@on_loop
async def test_hundreds_of_sessions(driver, server, tmp_path):
    async with engine_of(driver, server, tmp_path) as engine:
        session_of = async_sessionmaker(engine)
        async with session_of.begin() as session:
            session.add_all(Author(id=number, name=f"{number}") for number in range(10))
        tasks, turns = (20, size(20, 3)) if "sqlite" in driver else (300, size(10, 1))

        async def work(number):
            for _ in range(turns):
                async with session_of.begin() as session:
                    await session.execute(update(Author).where(Author.id == number % 10).values(read=Author.read + 1))
                    assert (await session.get(Author, number % 10)).name == f"{number % 10}"

        await asyncio.gather(*(work(number) for number in range(tasks)))
        async with session_of() as session:
            assert await session.scalar(select(func.sum(Author.read))) == tasks * turns


@DRIVERS
@on_loop
async def test_streams(driver, server, tmp_path):
    count = size(20000, 2000)
    async with engine_of(driver, server, tmp_path) as engine:
        async with engine.begin() as connection:
            await connection.execute(Author.__table__.insert(), [{"name": f"{n}"} for n in range(count)])
        async with engine.connect() as connection:
            rows = await connection.stream(select(Author.name).order_by(Author.id))
            assert [name async for (name,) in rows] == [f"{n}" for n in range(count)]
            rows = await connection.stream_scalars(select(Author.id))
            assert len(await rows.fetchmany(10)) == 10
            await rows.close()
        assert await asyncio.gather(*(echo(engine, number) for number in range(100))) == list(range(100))


@DRIVERS
@on_loop
async def test_a_pool_that_is_too_small_times_out(driver, server, tmp_path):
    async with engine_of(driver, server, tmp_path, pool_size=1, pool_timeout=0.05) as engine:
        async with engine.connect():
            with pytest.raises(PoolTimeout):
                await echo(engine, 1)
        assert await echo(engine, 1) == 1


@POSTGRES
@on_loop
async def test_cancellation(driver, server, tmp_path):
    """A query that is given up ends at the server too, and the pool has all its connections again."""
    async with engine_of(driver, server, tmp_path) as engine:
        for _ in range(size(10, 2)):
            tasks = [asyncio.create_task(sleep(engine)) for _ in range(15)]
            await until_sleeping(engine, 15)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
            await until_sleeping(engine, 0)
            async with timed_out_after(until_sleeping(engine, 1)):
                await sleep(engine)
            await until_sleeping(engine, 0)
            assert engine.pool.checkedout() == 0
            assert await asyncio.gather(*(echo(engine, number) for number in range(40))) == list(range(40))


@POSTGRES
@on_loop
async def test_a_server_that_is_killed_and_restarted(driver, server, tmp_path):
    async with engine_of(driver, server, tmp_path, pool_pre_ping=True) as engine:
        for _ in range(size(5, 2)):
            tasks = [asyncio.create_task(sleep(engine)) for _ in range(15)]
            await until_sleeping(engine, 15)
            await asyncio.to_thread(server.kill)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, DBAPIError) and end.connection_invalidated for end in ends), ends
            with pytest.raises((OperationalError, InterfaceError, OSError)):
                await echo(engine, 1)
            await asyncio.to_thread(server.start)
            assert await asyncio.gather(*(echo(engine, number) for number in range(100))) == list(range(100))
