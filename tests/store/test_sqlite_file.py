"""What is particular to a SQLite file: one server, durability, faults of the file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from dwserver.store.api import StoreError, StoreUnavailable
from dwserver.store.sqlite import SqliteStore
from dwserver.store.sqlite.connections import connect_reader, connect_writer
from tests.store.raw_sql import execute
from tests.support.builders import a_run, a_start_transition
from tests.support.source_tree import ROOT

HOLDER = """
import asyncio, sys
from dwserver.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


# one server -------------------------------------------------------------------------
async def test_second_store_on_a_file_is_refused(
    store: SqliteStore, path: Path
) -> None:
    second = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match=f"served by process {os.getpid()};"):
        await second.open()
    await second.close()
    assert await store.commit(a_start_transition())
    await store.close()
    await second.open()
    await second.close()


async def test_file_of_another_process_is_refused_until_that_dies(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(path), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    store = SqliteStore(path)
    try:
        assert await process.stdout.readline() == b"open\n"
        with pytest.raises(StoreUnavailable, match=str(process.pid)):
            await store.open()
    finally:
        process.kill()
        await process.wait()
    await store.open()
    assert await store.commit(a_start_transition())
    await store.close()


def test_database_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="file"):
        SqliteStore(":memory:")


async def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dw.sqlite"
    path.write_text("This is not a database. " * 100)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.open()
    # The lock is free again.
    path.unlink()
    await store.open()
    await store.close()


async def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await SqliteStore(tmp_path / "none" / "dw.sqlite").open()


# durability -------------------------------------------------------------------------
def test_connections_are_durable_and_readers_cannot_write(path: Path) -> None:
    def pragma(connection: sqlite3.Connection, name: str) -> object:
        [row] = connection.execute(f"pragma {name}").fetchall()
        return next(iter(row.values()))

    with closing(connect_writer(path)) as writer:
        assert pragma(writer, "journal_mode") == "wal"
        assert pragma(writer, "synchronous") == 2
        assert pragma(writer, "foreign_keys") == 1
        assert pragma(writer, "busy_timeout") == 5000
        with (
            closing(connect_reader(path)) as reader,
            pytest.raises(sqlite3.OperationalError, match="readonly"),
        ):
            reader.execute("delete from runs")


async def test_all_tables_are_strict(sqlite_url: str) -> None:
    rows = await execute(
        sqlite_url,
        "select name from pragma_table_list where type = 'table' and strict = 0"
        " and name not like 'sqlite_%'",
    )
    assert rows == []


async def test_transitions_that_wait_share_a_transaction(path: Path) -> None:
    batches: list[int] = []
    store = SqliteStore(path, observe=lambda size, seconds: batches.append(size))
    await store.open()
    starts = [a_start_transition() for _ in range(64)]
    assert all(await asyncio.gather(*map(store.commit, starts)))
    await store.close()
    assert sum(batches) == 64
    assert len(batches) <= 4


async def test_a_served_file_can_be_read_and_not_written(
    store: SqliteStore, path: Path
) -> None:
    run = a_run()
    assert await store.commit(a_start_transition(run))
    reading = SqliteStore(path, reads_only=True)
    await reading.open()
    try:
        await reading.ping()
        assert await reading.load_run(run.id) is not None
        with pytest.raises(StoreUnavailable):
            await reading.commit(a_start_transition())
    finally:
        await reading.close()
    assert await store.commit(a_start_transition())


async def test_a_file_that_is_not_there_is_not_made_by_reading(path: Path) -> None:
    missing = path.with_name("missing.sqlite")
    with pytest.raises(StoreError):
        await SqliteStore(missing, reads_only=True).open()
    assert not missing.exists()
