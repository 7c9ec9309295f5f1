"""A database that is away, slow, restarted, read-only or behind a pooler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from dwserver.store.api import StoreError, StoreUnavailable
from dwserver.store.postgres import PostgresStore, bootstrap, connections
from tests.store.one_activity_run import OneActivityRun
from tests.support.faulty_link import faulty_link
from tests.support.ports import free_port

TIMEOUT = 30.0

Open = Callable[..., PostgresStore]


@pytest.fixture
async def dsn(empty_postgres_url: str) -> str:
    await bootstrap(empty_postgres_url)
    return empty_postgres_url


@asynccontextmanager
async def opened(
    dsn: str, *, timeout_seconds: float = TIMEOUT, cache: int = 100
) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(
        dsn,
        pool_size=2,
        writers=1,
        statement_cache_size=cache,
        command_timeout_seconds=timeout_seconds,
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def locked_run(dsn: str, run_id: str) -> AsyncIterator[asyncpg.Connection]:
    """Another session holds the run; yields a third connection to look around."""
    holder, observer = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        async with holder.transaction():
            await holder.execute("select from runs where id = $1 for update", run_id)
            yield observer
    finally:
        await holder.close()
        await observer.close()


async def waiting_backend(observer: asyncpg.Connection) -> int:
    """Process id of the session that waits for a lock."""
    while True:
        pid = await observer.fetchval("select pid from pg_locks where not granted")
        if pid is not None:
            return int(pid)


async def test_no_server_is_unavailable_and_nothing_was_written() -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    async with opened(nowhere) as store:
        with pytest.raises(StoreUnavailable) as commit:
            await store.commit(OneActivityRun("a").start())
        with pytest.raises(StoreUnavailable):
            await store.ping()
    assert not commit.value.is_applied_unknown


async def test_a_session_lost_during_a_write_leaves_the_outcome_unknown(
    dsn: str,
) -> None:
    run = OneActivityRun("a")
    async with opened(dsn) as store:
        await store.commit(run.start())
        async with locked_run(dsn, run.run.id) as observer:
            commit = asyncio.create_task(store.commit(run.schedule()))
            pid = await waiting_backend(observer)
            await observer.execute("select pg_terminate_backend($1)", pid)
            with pytest.raises(StoreUnavailable) as lost:
                await commit
        assert lost.value.is_applied_unknown
        # The next commit makes a new connection.
        assert await store.commit(run.schedule())


async def test_a_write_that_takes_too_long_is_given_up(dsn: str) -> None:
    run = OneActivityRun("a")
    async with opened(dsn) as patient:
        await patient.commit(run.start())
    async with opened(dsn, timeout_seconds=0.5) as store:
        await store.ping()
        async with locked_run(dsn, run.run.id):
            with pytest.raises(StoreUnavailable) as slow:
                await store.commit(run.schedule())
        assert slow.value.is_applied_unknown


async def test_connections_that_the_server_closed_are_replaced(dsn: str) -> None:
    async with opened(dsn) as store:
        await store.ping()
        await store.commit(OneActivityRun("a").start())
        other = await asyncpg.connect(dsn)
        await other.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()"""
        )
        # A session that is gone shows in the first statement, or before it.
        while True:
            try:
                await store.ping()
                await store.commit(OneActivityRun("b").start())
                break
            except StoreUnavailable:
                continue
        assert await store.load_run("run-b") is not None
        await other.close()


@pytest.mark.parametrize("cache", [100, 0], ids=["direct", "pooler"])
async def test_a_read_only_server_has_certainly_not_written(
    dsn: str, cache: int
) -> None:
    other = await asyncpg.connect(dsn)
    database = await other.fetchval("select current_database()")
    await other.execute(
        f'alter database "{database}" set default_transaction_read_only = on'
    )
    async with opened(dsn, cache=cache) as store:
        with pytest.raises(StoreUnavailable):
            await store.ping()
        with pytest.raises(StoreUnavailable) as refused:
            await store.commit(OneActivityRun("a").start())
        assert not refused.value.is_applied_unknown
        await other.execute("set default_transaction_read_only = off")
        await other.execute(
            f'alter database "{database}" reset default_transaction_read_only'
        )
        assert await store.commit(OneActivityRun("a").start())
    await other.close()


async def test_a_process_that_freezes_behind_a_pooler_keeps_no_locks(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = connections.BEGIN_POOLED.replace("5s", "500ms")
    monkeypatch.setattr(connections, "BEGIN_POOLED", begin)
    run, place = OneActivityRun("a"), urlsplit(dsn)
    assert place.hostname is not None
    assert place.port is not None
    async with opened(dsn) as other, faulty_link(place.hostname, place.port) as link:
        await other.commit(run.start())
        far = dsn.replace(f":{place.port}/", f":{link.port}/")
        async with opened(far, cache=0) as frozen:
            async with locked_run(dsn, run.run.id) as observer:
                commit = asyncio.create_task(frozen.commit(run.schedule()))
                await waiting_backend(observer)
                link.freeze()
            # The statement has run now, and its answer never arrives.
            assert await other.commit(run.schedule())
            link.mend()
            with pytest.raises(StoreUnavailable):
                await commit


async def test_whoever_gives_up_on_a_silent_server_is_not_held_up(dsn: str) -> None:
    """A probe of two seconds must not take the thirty that a statement may take."""
    place = urlsplit(dsn)
    assert place.hostname is not None
    assert place.port is not None

    async def probe(store: PostgresStore) -> None:
        async with asyncio.timeout(0.2):
            await store.ping()

    async with faulty_link(place.hostname, place.port) as link:
        far = dsn.replace(f":{place.port}/", f":{link.port}/")
        async with opened(far) as store:
            await store.ping()
            link.freeze()
            probing = asyncio.create_task(probe(store))
            done, _ = await asyncio.wait((probing,), timeout=TIMEOUT / 3)
            link.mend()
            assert done
            assert isinstance(probing.exception(), TimeoutError)
            await store.ping()


async def test_a_statement_error_is_not_a_lost_database(dsn: str) -> None:
    async with opened(dsn) as store:
        with pytest.raises(StoreError) as caught:
            await store.find_run_view("default", "\0")
        assert not isinstance(caught.value, StoreUnavailable)
        await store.ping()


async def test_pooler_mode_keeps_nothing_in_the_session(dsn: str) -> None:
    """Each statement is a transaction of its own, without prepared statements."""
    run = OneActivityRun("a")
    async with opened(dsn, cache=0) as store:
        for transition in run.transitions():
            assert await store.commit(transition)
        loaded = await store.load_run(run.run.id)
        assert loaded is not None
        assert loaded.run.version == 4
        assert await store.commit(run.schedule()) is False


async def test_two_bootstraps_at_once_apply_each_migration_once(
    empty_postgres_url: str,
) -> None:
    planned = await bootstrap(empty_postgres_url, plan=True)
    assert planned.pending
    assert planned.applied == planned.present == ()
    first, second = await asyncio.gather(
        bootstrap(empty_postgres_url), bootstrap(empty_postgres_url)
    )
    assert sorted([first.applied, second.applied]) == [(), planned.pending]
    async with opened(empty_postgres_url) as store:
        report = await store.migration_report()
    assert report.applied == planned.pending
    assert report.pending == report.missing_tables == ()
    assert report.has_ledger


async def test_the_report_names_what_is_missing(empty_postgres_url: str) -> None:
    async with opened(empty_postgres_url) as store:
        before = await store.migration_report()
        assert not before.has_ledger
        assert before.pending
        await bootstrap(empty_postgres_url)
        other = await asyncpg.connect(empty_postgres_url)
        await other.execute("drop table outbox")
        await other.execute(
            "delete from schema_migrations where name = $1", before.pending[0]
        )
        await other.close()
        after = await store.migration_report()
    assert after.pending == before.pending[:1]
    assert after.missing_tables == ("outbox",)
