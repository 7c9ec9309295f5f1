"""The shared transaction: who fails with whom, and what is written then."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dwserver.store.api import StoreError, StoreUnavailable
from dwserver.store.sqlite.connections import connect_writer
from dwserver.store.sqlite.thread import DatabaseThread, Job
from dwserver.store.sqlite.transaction import run_in_transaction

SCHEMA = (
    "create table numbers (n integer primary key check (n > 0)) strict",
    "create table promises (n integer references numbers (n)"
    " deferrable initially deferred) strict",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.sqlite"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect_writer(path)) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        yield connection


def inserting(*numbers: int) -> Callable[[sqlite3.Connection], int]:
    def insert(connection: sqlite3.Connection) -> int:
        for number in numbers:
            connection.execute("insert into numbers values (?)", (number,))
        return len(numbers)

    return insert


def promising(connection: sqlite3.Connection) -> None:
    """Nothing is wrong with it before the commit."""
    connection.execute("insert into promises values (404)")


def ending(connection: sqlite3.Connection) -> None:
    """As a full disk does: the transaction is gone, then the statement fails."""
    connection.execute("rollback")
    raise sqlite3.OperationalError("disk full")


async def run(connection: sqlite3.Connection, *calls: object) -> list[object]:
    """Results or errors of the calls that share a transaction."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in calls]
    jobs = [Job(c, f) for c, f in zip(calls, futures, strict=True)]  # type: ignore[arg-type]
    run_in_transaction(connection, jobs)
    for job in jobs:
        job.settle()
    return await asyncio.gather(*futures, return_exceptions=True)


def numbers(connection: sqlite3.Connection) -> list[int]:
    assert not connection.in_transaction
    rows = connection.execute("select n from numbers order by n").fetchall()
    return [row["n"] for row in rows]


async def test_job_that_fails_is_undone_alone(connection: sqlite3.Connection) -> None:
    results = await run(connection, inserting(1), inserting(2, 0), inserting(3))
    assert results[0] == 1
    assert type(results[1]) is StoreError
    assert results[2] == 1
    assert numbers(connection) == [1, 3]


async def test_fault_of_our_own_is_passed_on_and_undone(
    connection: sqlite3.Connection,
) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        inserting(2)(connection)
        raise KeyError("bug")

    results = await run(connection, inserting(1), broken)
    assert isinstance(results[1], KeyError)
    assert numbers(connection) == [1]


async def test_commit_that_fails_fails_all(connection: sqlite3.Connection) -> None:
    results = await run(connection, inserting(1), promising)
    for error in results:
        assert isinstance(error, StoreUnavailable)
        assert error.is_applied_unknown
    assert numbers(connection) == []
    assert await run(connection, inserting(2)) == [1]
    assert numbers(connection) == [2]


async def test_fault_that_ends_the_transaction_fails_all(
    connection: sqlite3.Connection,
) -> None:
    results = await run(connection, inserting(1), ending, inserting(3))
    for error in results:
        assert isinstance(error, StoreError)
        assert not error.is_applied_unknown
        assert "disk full" in str(error)
    assert numbers(connection) == []
    assert await run(connection, inserting(2)) == [1]


async def test_transaction_that_cannot_begin_fails_all(
    connection: sqlite3.Connection, path: Path
) -> None:
    connection.execute("pragma busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        results = await run(connection, inserting(1), inserting(2))
        for error in results:
            assert isinstance(error, StoreUnavailable)
            assert not error.is_applied_unknown
    assert await run(connection, inserting(3)) == [1]
    assert numbers(connection) == [3]


# the thread -------------------------------------------------------------------------
async def test_thread_leaves_nobody_waiting_when_it_breaks(path: Path) -> None:
    def broken(connection: sqlite3.Connection, jobs: object) -> None:
        raise RuntimeError("bug")

    thread = DatabaseThread("test", lambda: connect_writer(path), broken)
    await thread.start()
    with pytest.raises(RuntimeError, match="bug"):
        await thread.run(inserting(1))
    await thread.stop()
    with pytest.raises(StoreUnavailable):
        await thread.run(inserting(1))


async def test_thread_goes_on_when_a_caller_gives_up(
    connection: sqlite3.Connection, path: Path
) -> None:
    thread = DatabaseThread("test", lambda: connect_writer(path), run_in_transaction)
    await thread.start()
    given_up = asyncio.create_task(thread.run(inserting(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await thread.run(inserting(2)) == 1
    await thread.stop()
    assert given_up.cancelled()
    assert numbers(connection) == [1, 2]


async def test_thread_that_cannot_connect_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "test.sqlite"
    thread = DatabaseThread("test", lambda: connect_writer(missing), run_in_transaction)
    with pytest.raises(StoreUnavailable):
        await thread.start()
    await thread.stop()
