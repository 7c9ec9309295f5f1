"""What schedules did long ago is forgotten; what an operator may ask for is kept."""

from __future__ import annotations

from itertools import count

import pytest

from dwserver.engine.schedules.spec import timetable_of
from dwserver.services import schedule_retention
from dwserver.services.retention import REST
from dwserver.services.schedule_retention import ScheduleRetention
from dwserver.services.schedules import FireOutcome
from tests.services.test_schedules import create, fire_due, found, lead
from tests.support.builders import SECOND
from tests.support.small_server import NAMESPACE, SmallServer

DAYS = 30
DAY = 86_400
DAILY = {"intervals": [{"every": "P1D"}]}


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_retention, "KEEP_LEAST", 3)


async def fire_daily(node: SmallServer, days: int) -> None:
    term = await lead(node)
    for _ in range(days):
        node.clock.advance(seconds=DAY)
        await fire_due(node, term)


async def sequences(node: SmallServer, schedule_id: str = "hourly") -> list[int]:
    schedule = await node.services.schedules.find(
        NAMESPACE, schedule_id, with_deleted=True
    )
    assert schedule is not None
    events, _ = await node.services.schedules.history(schedule, after=0, limit=1000)
    return [event.sequence for event in events]


async def test_events_go_with_the_retention_of_their_namespace(
    node: SmallServer,
) -> None:
    await create(node, spec=DAILY, overlap_policy="allow_all")
    await fire_daily(node, 50)
    assert await sequences(node) == list(range(1, 52))
    assert await node.services.schedule_retention.pass_over_page() is None
    kept = await sequences(node)
    # The fire of 30 days ago is not older than 30 days.
    assert kept == list(range(51 - DAYS, 52))
    assert await node.services.schedule_retention.pass_over_page() is None
    assert await sequences(node) == kept
    await fire_daily(node, 1)
    assert (await sequences(node))[-1] == 52


async def test_the_newest_events_stay_whatever_their_age(node: SmallServer) -> None:
    await create(node, spec=DAILY, overlap_policy="allow_all", max_runs=None)
    await fire_daily(node, 9)
    schedule = await found(node)
    await node.services.schedules.pause(schedule, note=None, command={})
    node.clock.advance(seconds=2 * DAYS * DAY)
    await node.services.schedule_retention.pass_over_page()
    assert await sequences(node) == [9, 10, 11]


async def test_of_no_schedule_more_is_kept_than_that(
    node: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_retention, "KEEP_MOST", 5)
    await create(node, spec=DAILY, overlap_policy="allow_all")
    await fire_daily(node, 9)
    await node.services.schedule_retention.pass_over_page()
    assert await sequences(node) == [6, 7, 8, 9, 10]


async def test_what_has_been_forgotten_is_not_fired_again(node: SmallServer) -> None:
    """The id of the workflow tells that it was there."""
    await create(node, spec=DAILY, overlap_policy="allow_all")
    schedule = await found(node)
    began = node.clock.now()
    window = (began - 5 * DAY * SECOND, began)
    assert len(list(timetable_of(DAILY).between(*window))) == 5

    async def backfill() -> list[FireOutcome]:
        done = await node.services.schedules.backfill(
            await found(node), window, policy=None, command={}
        )
        return [each.fired.outcome for each in done]

    assert await backfill() == [FireOutcome.TRIGGERED] * 5
    await fire_daily(node, 40)
    before = (await found(node)).fires_count
    await node.services.schedule_retention.pass_over_page()
    assert (await sequences(node))[0] > 6
    assert await backfill() == [FireOutcome.ALREADY_FIRED] * 5
    assert (await found(node)).fires_count == before > schedule.fires_count


async def test_a_deleted_schedule_is_forgotten_after_the_retention(
    node: SmallServer,
) -> None:
    await create(node, spec=DAILY)
    await node.services.schedules.delete(await found(node), {})
    node.clock.advance(seconds=DAYS * DAY)
    await node.services.schedule_retention.pass_over_page()
    assert await sequences(node) == [1, 2]
    await create(node, spec=DAILY)
    node.clock.advance(microseconds=1)
    await node.services.schedule_retention.pass_over_page()
    # The id was given again: that one stays.
    assert await sequences(node) == [1]
    assert len(await node.faults.real.schedule_ages(after="", limit=9)) == 1


async def test_a_round_goes_page_by_page_with_rests(
    node: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_retention, "PAGE", 2)
    monkeypatch.setattr(schedule_retention, "MAX_EVENTS", 4)
    seconds = count()
    retention = ScheduleRetention(
        node.core.store,
        node.services.namespaces,
        now=node.clock.now,
        default_days=DAYS,
        monotonic=lambda: float(next(seconds)),
    )
    names = [f"s-{number}" for number in range(3)]
    for name in names:
        await create(node, name, spec=DAILY, overlap_policy="allow_all")
    await fire_daily(node, 8)
    node.clock.advance(seconds=2 * DAYS * DAY)
    rests = []
    while (rest := await retention.pass_over_page()) is not None:
        rests.append(rest)
        assert len(rests) < 20
    assert set(rests) == {REST}
    for name in names:
        assert await sequences(node, name) == [7, 8, 9]
