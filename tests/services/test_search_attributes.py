"""Definitions of search attributes: repeated, limited, believed for a while."""

from __future__ import annotations

import pytest

from dwserver.runtime.clock import ManualClock
from dwserver.services.search_attributes import (
    Defined,
    DefineOutcome,
    SearchAttributes,
)
from dwserver.store.api import Store
from tests.support.builders import NOON, SECOND
from tests.support.faulty_store import FaultyStore

TTL = 5 * SECOND
CREATED = Defined(DefineOutcome.CREATED, "keyword")


class Process:
    def __init__(self, store: Store) -> None:
        self.clock = ManualClock(NOON)
        self.faults = FaultyStore(store)
        self.attributes = SearchAttributes(
            self.faults.store, now=self.clock.now, max_defined=3, cache_ttl=TTL
        )

    async def define(self, name: str, value_type: str = "keyword") -> Defined:
        return await self.attributes.define("default", name, value_type=value_type)


@pytest.fixture
async def process(sqlite_store: Store) -> Process:
    return Process(sqlite_store)


async def test_three_times_the_same_definition_is_one(process: Process) -> None:
    assert await process.define("Region") == CREATED
    for value_type in ("keyword", "int"):
        defined = await process.define("Region", value_type)
        assert defined == Defined(DefineOutcome.EXISTS, "keyword")
    assert await process.attributes.types("default") == {"Region": "keyword"}


async def test_types_are_listed_by_name(process: Process) -> None:
    for name in ("b", "B", "a"):
        await process.define(name)
    assert list(await process.attributes.types("default")) == ["B", "a", "b"]


async def test_the_limit_is_of_one_namespace(process: Process) -> None:
    for name in ("a", "b", "c"):
        assert await process.define(name) == CREATED
    refused = await process.define("d")
    assert refused.outcome is DefineOutcome.LIMIT_REACHED
    # What exists is still found to exist, and another namespace is empty.
    assert (await process.define("a")).outcome is DefineOutcome.EXISTS
    elsewhere = await process.attributes.define("other", "d", value_type="int")
    assert elsewhere.outcome is DefineOutcome.CREATED
    assert await process.attributes.remove("default", "a")
    assert await process.define("d") == CREATED


async def test_a_removal_is_told_once(process: Process) -> None:
    await process.define("a")
    assert not await process.attributes.remove("other", "a")
    assert await process.attributes.remove("default", "a")
    assert not await process.attributes.remove("default", "a")
    assert await process.attributes.types("default") == {}


async def test_known_types_are_believed_for_a_while(
    process: Process, sqlite_store: Store
) -> None:
    other = Process(sqlite_store)
    for _ in range(3):
        assert await process.attributes.known_types("default") == {}
    assert process.faults.calls == {"search_attribute_types": 1}
    await other.define("a")
    assert await process.attributes.known_types("default") == {}
    process.clock.advance(microseconds=TTL)
    assert await process.attributes.known_types("default") == {"a": "keyword"}


async def test_own_changes_are_known_at_once(process: Process) -> None:
    await process.attributes.known_types("default")
    await process.define("a")
    assert await process.attributes.known_types("default") == {"a": "keyword"}
    await process.attributes.remove("default", "a")
    assert await process.attributes.known_types("default") == {}
