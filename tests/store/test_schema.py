"""Bootstrapping and what the Store reports of its schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dwserver.store.api import MigrationReport, Store, StoreError
from dwserver.store.migrations import BootstrapReport
from dwserver.store.opening import bootstrap, open_store
from tests.store.raw_sql import execute, forget_migration
from tests.support.builders import a_namespace, a_start_transition


@pytest.fixture
async def empty_store(empty_store_url: str) -> AsyncIterator[Store]:
    """An open store on a database without tables."""
    store = open_store(empty_store_url)
    await store.open()
    yield store
    await store.close()


async def names_of_all(url: str) -> tuple[str, ...]:
    return (await bootstrap(url, plan=True)).pending


async def test_report_of_an_empty_database(
    empty_store: Store, empty_store_url: str
) -> None:
    names = await names_of_all(empty_store_url)
    assert names
    assert await empty_store.migration_report() == MigrationReport(
        has_ledger=False, applied=(), pending=names, missing_tables=()
    )
    await empty_store.ping()


async def test_report_of_a_current_database(store: Store, store_url: str) -> None:
    report = await store.migration_report()
    assert report.has_ledger
    assert report.applied
    assert (report.pending, report.missing_tables) == ((), ())
    assert await names_of_all(store_url) == ()


async def test_report_of_a_partial_database(store: Store, store_url: str) -> None:
    current = await store.migration_report()
    last = current.applied[-1]
    await forget_migration(store_url, last)
    await execute(store_url, "drop table failures")
    assert await store.migration_report() == MigrationReport(
        has_ledger=True,
        applied=current.applied[:-1],
        pending=(last,),
        missing_tables=("failures",),
        adoptable=(last,),
    )


async def test_migration_of_a_newer_release_is_no_fault(
    store: Store, store_url: str
) -> None:
    before = await store.migration_report()
    await execute(
        store_url, "insert into schema_migrations values ('9999_pre_later', 0)"
    )
    after = await store.migration_report()
    assert after == replace(before, unknown=("9999_pre_later",))
    assert (after.blocking, after.missing_tables) == ((), ())
    assert (await bootstrap(store_url)).applied == ()


async def test_bootstrap_applies_everything_once(empty_store_url: str) -> None:
    names = await names_of_all(empty_store_url)
    first = await bootstrap(empty_store_url)
    assert first == BootstrapReport(present=(), pending=names, applied=names)
    second = await bootstrap(empty_store_url)
    assert second == BootstrapReport(present=names, pending=(), applied=())


async def test_bootstrap_plan_changes_nothing(empty_store_url: str) -> None:
    plan = await bootstrap(empty_store_url, plan=True)
    assert plan.applied == ()
    assert plan.pending
    assert await bootstrap(empty_store_url, plan=True) == plan


async def test_bootstraps_at_once_apply_everything_once(empty_store_url: str) -> None:
    reports = await asyncio.gather(*(bootstrap(empty_store_url) for _ in range(4)))
    names = max(report.applied for report in reports)
    assert names
    assert sorted(report.applied for report in reports) == [(), (), (), names]
    store = open_store(empty_store_url)
    await store.open()
    try:
        assert (await store.migration_report()).applied == names
        assert await store.commit(a_start_transition())
    finally:
        await store.close()


async def test_what_exists_is_adopted_into_the_ledger(
    store: Store, store_url: str
) -> None:
    names = (await bootstrap(store_url, plan=True)).present
    lost = (names[0], names[-1])
    for name in lost:
        await forget_migration(store_url, name)
    before = await store.migration_report()
    assert (before.pending, before.adoptable, before.blocking) == (lost, lost, ())
    assert (await bootstrap(store_url, plan=True)).pending == lost
    report = await bootstrap(store_url)
    assert (report.adopted, report.applied) == (lost, ())
    assert (await store.migration_report()).pending == ()


async def test_what_exists_in_part_is_not_touched(store_url: str) -> None:
    names = (await bootstrap(store_url, plan=True)).present
    await forget_migration(store_url, names[0])
    await execute(store_url, "drop table failures")
    # What is left of that migration stands in the way of applying it again.
    with pytest.raises(StoreError):
        await bootstrap(store_url)
    report = await bootstrap(store_url, plan=True)
    assert (report.present, report.pending) == (names[1:], (names[0],))


async def test_bootstrap_creates_the_namespace_unless_it_exists(
    empty_store_url: str,
) -> None:
    namespace = a_namespace("default", description="first")
    await bootstrap(empty_store_url, namespace=namespace, plan=True)
    await bootstrap(empty_store_url, namespace=namespace)
    again = replace(namespace, description="second")
    await bootstrap(empty_store_url, namespace=again)
    store = open_store(empty_store_url)
    await store.open()
    try:
        assert await store.list_namespaces() == [namespace]
    finally:
        await store.close()


async def test_bootstrap_runs_beside_an_open_store(
    empty_store: Store, empty_store_url: str
) -> None:
    with pytest.raises(StoreError):
        await empty_store.commit(a_start_transition())
    await bootstrap(empty_store_url)
    assert (await empty_store.migration_report()).pending == ()
    assert await empty_store.commit(a_start_transition())
