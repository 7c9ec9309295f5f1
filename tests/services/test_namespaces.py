"""Namespaces: created once, changed in part, believed for a while."""

from __future__ import annotations

import pytest

from dwserver.runtime.clock import ManualClock
from dwserver.services.namespaces import Namespaces
from dwserver.store.api import Store
from tests.support.builders import NOON, SECOND
from tests.support.faulty_store import FaultyStore

TTL = 5 * SECOND


class Process:
    def __init__(self, store: Store) -> None:
        self.clock = ManualClock(NOON)
        self.faults = FaultyStore(store)
        self.namespaces = Namespaces(
            self.faults.store, now=self.clock.now, cache_ttl=TTL
        )


@pytest.fixture
async def process(sqlite_store: Store) -> Process:
    return Process(sqlite_store)


async def test_a_name_is_created_once(process: Process) -> None:
    created = await process.namespaces.create(
        "billing", description="Bills", retention_days=7
    )
    assert created is not None
    assert created == await process.namespaces.find("billing")
    assert (created.created_at, created.updated_at) == (NOON, NOON)
    again = await process.namespaces.create(
        "billing", description=None, retention_days=9
    )
    assert again is None
    assert await process.namespaces.find("billing") == created


async def test_it_exists_as_soon_as_it_is_created(process: Process) -> None:
    assert not await process.namespaces.exists("billing")
    await process.namespaces.create("billing", description=None, retention_days=7)
    assert await process.namespaces.exists("billing")


async def test_asking_again_costs_no_query_for_a_while(process: Process) -> None:
    for _ in range(3):
        assert await process.namespaces.exists("default")
    assert process.faults.calls == {"find_namespace": 1}
    process.clock.advance(microseconds=TTL)
    assert await process.namespaces.exists("default")
    assert process.faults.calls == {"find_namespace": 2}


async def test_an_update_changes_only_what_is_given(process: Process) -> None:
    await process.namespaces.create("billing", description="Bills", retention_days=7)
    process.clock.advance(seconds=1)
    changed = await process.namespaces.update("billing", retention_days=9)
    assert changed is not None
    assert (changed.description, changed.retention_days) == ("Bills", 9)
    assert (changed.created_at, changed.updated_at) == (NOON, NOON + SECOND)
    changed = await process.namespaces.update("billing", description="Invoices")
    assert changed == await process.namespaces.find("billing")
    assert changed is not None
    assert (changed.description, changed.retention_days) == ("Invoices", 9)


async def test_an_update_of_nothing(process: Process) -> None:
    assert await process.namespaces.update("billing", retention_days=9) is None
    assert [each.name for each in await process.namespaces.find_all()] == ["default"]
