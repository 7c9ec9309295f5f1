"""The cache of what is read often and changes seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from dwserver.runtime.clock import ManualClock
from dwserver.services.fresh_cache import FreshCache
from dwserver.store.api import StoreUnavailable
from tests.support.waiting import eventually

TTL = 5_000_000


class Source:
    """``rows``: what a read finds. Reads can be held."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.reads = 0
        self.errors: list[Exception] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.clock = ManualClock()
        self.cache = FreshCache(self.read, now=self.clock.now, ttl=TTL, max_entries=2)

    async def read(self, key: str) -> str | None:
        self.reads += 1
        found = self.rows.get(key)
        await self.may_answer.wait()
        if self.errors:
            raise self.errors.pop()
        return found


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_it_reads_once_in_its_time(source: Source) -> None:
    source.rows["a"] = "1"
    assert await source.cache.get("a") == "1"
    source.rows["a"] = "2"
    source.clock.advance(microseconds=TTL - 1)
    assert await source.cache.get("a") == "1"
    source.clock.advance(microseconds=1)
    assert await source.cache.get("a") == "2"
    assert source.reads == 2


async def test_callers_share_a_read(source: Source) -> None:
    source.rows["a"] = "1"
    source.may_answer.clear()
    callers = [asyncio.create_task(source.cache.get("a")) for _ in range(5)]
    await eventually(lambda: source.reads)
    source.may_answer.set()
    assert await asyncio.gather(*callers) == ["1"] * 5
    assert source.reads == 1


async def test_a_caller_that_goes_away_does_not_stop_the_read(source: Source) -> None:
    source.rows["a"] = "1"
    source.may_answer.clear()
    gone, stays = (asyncio.create_task(source.cache.get("a")) for _ in range(2))
    await eventually(lambda: source.reads)
    gone.cancel()
    source.may_answer.set()
    assert await stays == "1"


async def test_what_is_not_found_is_asked_for_again(source: Source) -> None:
    assert await source.cache.get("a") is None
    source.rows["a"] = "1"
    assert await source.cache.get("a") == "1"


async def test_what_has_gone_is_not_believed_longer_than_its_time(
    source: Source,
) -> None:
    source.rows["a"] = "1"
    await source.cache.get("a")
    del source.rows["a"]
    source.clock.advance(microseconds=TTL)
    assert await source.cache.get("a") is None
    assert source.cache.fresh("a") is None


async def test_a_failed_read_reaches_all_and_is_repeated(source: Source) -> None:
    source.rows["a"] = "1"
    source.errors = [StoreUnavailable("gone")]
    source.may_answer.clear()
    callers = [asyncio.create_task(source.cache.get("a")) for _ in range(2)]
    await eventually(lambda: source.reads)
    source.may_answer.set()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 2
    assert await source.cache.get("a") == "1"


def _put(source: Source) -> None:
    source.cache.put("a", "new")


def _forget(source: Source) -> None:
    source.cache.forget("a")


@pytest.mark.parametrize(("change", "known"), [(_put, "new"), (_forget, None)])
async def test_a_change_during_a_read_is_newer_than_the_read(
    source: Source, change: Callable[[Source], None], known: str | None
) -> None:
    source.rows["a"] = "old"
    source.may_answer.clear()
    reading = asyncio.create_task(source.cache.get("a"))
    await eventually(lambda: source.reads)
    change(source)
    source.may_answer.set()
    await reading
    assert source.cache.fresh("a") == known


async def test_it_is_bounded(source: Source) -> None:
    source.rows = {"a": "1", "b": "2", "c": "3"}
    for key in "abc":
        await source.cache.get(key)
    assert [source.cache.fresh(key) for key in "abc"] == [None, "2", "3"]


async def test_what_is_renewed_is_remembered_until_it_is_read(source: Source) -> None:
    source.rows["a"] = "1"
    assert await source.cache.get("a") == "1"
    source.rows["a"] = "2"
    source.may_answer.clear()
    source.cache.renew("a")
    assert source.cache.remembered("a") == "1"
    asking = asyncio.create_task(source.cache.get("a"))
    await eventually(lambda: source.reads == 2)
    source.may_answer.set()
    assert await asking == "2"
    assert source.cache.remembered("a") == "2"
    assert source.reads == 2


async def test_what_cannot_be_renewed_is_forgotten(source: Source) -> None:
    source.rows["a"] = "1"
    await source.cache.get("a")
    source.errors = [StoreUnavailable("gone")]
    source.cache.renew("a")
    await eventually(lambda: source.cache.remembered("a") is None)
    source.cache.renew("b")
    assert source.reads == 2
