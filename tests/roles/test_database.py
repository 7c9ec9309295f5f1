"""The store as a service, and the preparation of its database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
from structlog.testing import capture_logs

from dwserver.config.settings import Settings, load_settings
from dwserver.roles.bootstrap import bootstrap_database
from dwserver.roles.database import DatabaseService
from dwserver.store.api import Store, StoreError, StoreUnavailable
from dwserver.store.opening import open_store
from tests.support.faulty_store import FaultyStore
from tests.support.ports import LOOPBACK, free_port


def settings_of(url: str, **env: str) -> Settings:
    return load_settings({"DW_DATABASE_URL": url, **env})


@pytest.fixture
async def unopened(sqlite_url: str) -> AsyncIterator[Store]:
    store = open_store(sqlite_url)
    yield store
    await store.close()


async def test_it_is_open_once_started(unopened: Store) -> None:
    service = DatabaseService(unopened)
    with capture_logs() as logs:
        await service.start()
    assert logs == []
    assert [each.name for each in await unopened.list_namespaces()] == ["default"]
    await service.drain()
    await service.stop()
    await service.stop()
    with pytest.raises(StoreError):
        await unopened.ping()


async def test_pending_migrations_are_told_but_it_starts(
    empty_sqlite_url: str,
) -> None:
    store = open_store(empty_sqlite_url)
    with capture_logs() as logs:
        await DatabaseService(store).start()
    [entry] = logs
    assert (entry["event"], entry["log_level"]) == ("migrations_pending", "error")
    assert "dwserver bootstrap" in entry["remediation"]
    await store.close()


async def test_a_database_that_does_not_answer_keeps_it_from_starting(
    unopened: Store,
) -> None:
    faults = FaultyStore(unopened)
    faults.fail_next("ping", StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        await DatabaseService(cast(Store, faults)).start()


async def test_bootstrap_makes_schema_and_namespace(empty_sqlite_url: str) -> None:
    settings = settings_of(empty_sqlite_url, DW_DEFAULT_NAMESPACE="Main")
    report = await bootstrap_database(settings)
    assert report.applied
    store = open_store(empty_sqlite_url)
    await store.open()
    assert [each.name for each in await store.list_namespaces()] == ["main"]
    assert (await store.migration_report()).pending == ()
    await store.close()


async def test_bootstrap_gives_up_after_its_retries() -> None:
    url = f"postgresql://dw:dw@{LOOPBACK}:{free_port()}/dw"
    settings = settings_of(
        url, DW_BOOTSTRAP_RETRIES="2", DW_BOOTSTRAP_DELAY_SECONDS="0"
    )
    with capture_logs() as logs, pytest.raises(StoreUnavailable):
        await bootstrap_database(settings)
    assert [entry["event"] for entry in logs] == ["database_unreachable"]
