"""Retention of schedules: which events and occurrences go, and when the row does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine.model.schedules import (
    FireKind,
    Occurrence,
    Schedule,
    ScheduleStatus,
)
from dwserver.engine.transition import Transition
from dwserver.store.api import Store
from dwserver.store.retention import HistoryCut, ScheduleAge
from tests.store.raw_sql import execute
from tests.support.builders import (
    NOON,
    SECOND,
    a_schedule,
    a_schedule_change,
    a_schedule_creation,
    a_schedule_event,
)

ALWAYS = 2**63 - 1
FIRES = 6


async def fired(
    store: Store, *, kind: FireKind = FireKind.TICK, recorded: tuple[int, ...] = ()
) -> Schedule:
    """A schedule with ``FIRES`` events, a second apart unless said otherwise, each with
    an occurrence of a second before."""
    schedule = a_schedule()
    assert await store.commit(a_schedule_creation(schedule))
    for number in range(1, FIRES + 1):
        at = NOON + (recorded[number - 1] if recorded else number) * SECOND
        occurrence = Occurrence(
            kind=kind,
            nominal_at=at - SECOND,
            workflow_id=f"w-{number}",
            run_id=f"r-{number}",
            recorded_at=at,
        )
        change = a_schedule_change(
            schedule,
            last_event_sequence=number,
            events=(a_schedule_event(number, recorded_at=at),),
            occurrences=(occurrence,),
        )
        assert await store.commit(Transition(schedule=change))
        schedule = change.schedule
    return schedule


async def sequences(store: Store, schedule: Schedule) -> list[int]:
    events = await store.schedule_events(schedule, after=0, limit=100)
    return [event.sequence for event in events]


async def fired_for(url: str, schedule: Schedule) -> list[int]:
    """Nominal times of its occurrences, in seconds after noon."""
    rows = await execute(
        url,
        "select nominal_at from schedule_occurrences "  # noqa: S608
        f"where schedule_id = '{schedule.id}' order by nominal_at",
    )
    return [(int(str(row[0])) - NOON) // SECOND for row in rows]


def a_cut(**fields: int) -> HistoryCut:
    values = {"upto": 0, "before": 0, "most": ALWAYS - 1, **fields}
    return HistoryCut(**values)


CUTS = {
    "nothing": (a_cut(), 1),
    "what is old": (a_cut(before=NOON + 3 * SECOND), 3),
    "what is too much": (a_cut(upto=4), 5),
    "the later of both": (a_cut(upto=1, before=NOON + 4 * SECOND), 4),
    "but not the newest": (a_cut(before=ALWAYS, most=FIRES - 2), 5),
    "nothing of few": (a_cut(before=ALWAYS, most=-94), 1),
}


@pytest.mark.parametrize("name", CUTS)
async def test_a_history_is_cut(store: Store, store_url: str, name: str) -> None:
    cut, first = CUTS[name]
    schedule, other = await fired(store), await fired(store)
    assert await store.prune_schedule(schedule.id, cut, limit=100) == first - 1
    assert await sequences(store, schedule) == list(range(first, FIRES + 1))
    # What was fired for times before the first event is forgotten.
    assert await fired_for(store_url, schedule) == list(range(first, FIRES))
    assert await sequences(store, other) == list(range(1, FIRES + 1))
    assert len(await fired_for(store_url, other)) == FIRES
    assert await store.prune_schedule(schedule.id, cut, limit=100) == 0
    found = await store.find_schedule(schedule.namespace, schedule.schedule_id)
    assert found == schedule


async def test_a_history_is_cut_in_parts(store: Store) -> None:
    schedule = await fired(store)
    cut = a_cut(before=ALWAYS, most=5)
    deleted = [await store.prune_schedule(schedule.id, cut, limit=2) for _ in range(4)]
    assert deleted == [2, 2, 1, 0]
    assert await sequences(store, schedule) == [6]


async def test_clocks_that_differ_make_no_gap(store: Store) -> None:
    schedule = await fired(store, recorded=(1, 2, 9, 3, 4, 5))
    cut = a_cut(before=NOON + 5 * SECOND)
    assert await store.prune_schedule(schedule.id, cut, limit=100) == 2
    assert await sequences(store, schedule) == [3, 4, 5, 6]


async def test_backfilled_occurrences_go_as_well(store: Store, store_url: str) -> None:
    schedule = await fired(store, kind=FireKind.BACKFILL)
    await store.prune_schedule(schedule.id, a_cut(upto=3), limit=100)
    assert await fired_for(store_url, schedule) == [4, 5]


async def test_ages_of_schedules_come_by_id_in_pages(store: Store) -> None:
    schedules = [await fired(store) for _ in range(3)]
    await store.prune_schedule(schedules[1].id, a_cut(upto=4), limit=100)
    await store.prune_schedule(schedules[2].id, a_cut(upto=FIRES), limit=100)
    firsts = ((1, NOON + SECOND), (5, NOON + 5 * SECOND), (None, None))
    expected = [
        ScheduleAge(
            id=schedule.id,
            namespace=schedule.namespace,
            deleted_at=None,
            last_sequence=FIRES,
            first_sequence=sequence,
            first_recorded_at=at,
        )
        for schedule, (sequence, at) in zip(schedules, firsts, strict=True)
    ]
    assert await store.schedule_ages(after="", limit=10) == expected
    assert await store.schedule_ages(after="", limit=2) == expected[:2]
    assert await store.schedule_ages(after=schedules[1].id, limit=2) == expected[2:]


async def test_only_a_deleted_schedule_without_history_is_forgotten(
    store: Store,
) -> None:
    active, deleted = await fired(store), await fired(store)
    change = a_schedule_change(
        deleted, status=ScheduleStatus.DELETED, deleted_at=NOON, next_fire_at=None
    )
    assert await store.commit(Transition(schedule=change))
    assert not await store.forget_schedule(deleted.id)
    for schedule in (active, deleted):
        await store.prune_schedule(schedule.id, a_cut(upto=FIRES), limit=100)
    assert not await store.forget_schedule(active.id)
    assert not await store.forget_schedule("nope")
    assert await store.forget_schedule(deleted.id)
    assert not await store.forget_schedule(deleted.id)
    [age] = await store.schedule_ages(after="", limit=10)
    assert age.id == active.id
    found = await store.find_schedule(
        deleted.namespace, deleted.schedule_id, with_deleted=True
    )
    assert found is None


async def test_a_fire_meanwhile_is_kept(store: Store) -> None:
    schedule = await fired(store)
    await store.prune_schedule(schedule.id, a_cut(upto=FIRES), limit=100)
    change = a_schedule_change(
        schedule,
        last_event_sequence=FIRES + 1,
        events=(replace(a_schedule_event(FIRES + 1)),),
    )
    assert await store.commit(Transition(schedule=change))
    assert await sequences(store, schedule) == [FIRES + 1]
