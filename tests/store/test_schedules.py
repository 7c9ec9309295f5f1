"""Schedules: what transitions write of them, their guards, and the reads."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dwserver.engine.model.schedules import (
    FireKind,
    Occurrence,
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
    ScheduleEventType,
    ScheduleStatus,
)
from dwserver.engine.transition import RunChange, Transition
from dwserver.engine.words import RunStatus
from dwserver.store.api import Store
from dwserver.store.schedules import (
    DueSchedule,
    ScheduleCursor,
    ScheduleFilter,
    ScheduleSummary,
)
from tests.support.builders import (
    NOON,
    SECOND,
    a_change,
    a_run,
    a_schedule,
    a_schedule_change,
    a_schedule_creation,
    a_schedule_event,
    a_start_transition,
    an_id,
)


def an_occurrence(at: int = NOON, kind: FireKind = FireKind.TICK) -> Occurrence:
    return Occurrence(
        kind=kind,
        nominal_at=at,
        workflow_id=an_id("workflow"),
        run_id=an_id("run"),
        recorded_at=NOON,
    )


async def made(store: Store, **fields: object) -> Schedule:
    schedule = a_schedule(**fields)
    assert await store.commit(a_schedule_creation(schedule))
    return schedule


async def found(store: Store, schedule: Schedule) -> Schedule | None:
    return await store.find_schedule(schedule.namespace, schedule.schedule_id)


async def events_of(store: Store, schedule: Schedule) -> list[ScheduleEvent]:
    return await store.schedule_events(schedule, after=0, limit=100)


FULL = {
    "status": ScheduleStatus.PAUSED,
    "overlap_policy": OverlapPolicy.BUFFER_ALL,
    "jitter_seconds": 30,
    "note": "quarter end",
    "max_runs": 9,
    "remaining_actions": 4,
    "fires_count": 5,
    "failures_count": 2,
    "skipped_trigger_count": 3,
    "last_event_sequence": 12,
    "last_fired_at": NOON,
    "next_fire_at": NOON + SECOND,
    "last_skipped_at": NOON - SECOND,
    "last_skip_reason": "buffer_full",
    "latest_workflow_id": "w",
    "paused_at": NOON,
    "memo": {"owner": "billing"},
    "search_attributes": {"Region": "eu"},
    "recent_actions": ({"outcome": "scheduled"}, {"outcome": "failed"}),
    "buffered_actions": ({"buffered_at": "x"},),
    "spec": {"cron_expressions": ["* * * * *"], "timezone": "Europe/Berlin"},
    "action": {"workflow_type": "t", "input": {"codec": "avro", "blob": "AA=="}},
}


async def test_a_schedule_is_read_as_it_was_written(store: Store) -> None:
    bare, full = await made(store), await made(store, **FULL)
    assert await found(store, bare) == bare
    assert await found(store, full) == full


async def test_a_change_replaces_the_row(store: Store) -> None:
    schedule = await made(store)
    change = a_schedule_change(schedule, **FULL, updated_at=NOON + SECOND)
    assert await store.commit(Transition(schedule=change))
    assert await found(store, schedule) == change.schedule
    emptied = a_schedule_change(
        change.schedule,
        memo={},
        search_attributes={},
        buffered_actions=(),
        recent_actions=(),
        next_fire_at=None,
        note=None,
    )
    assert await store.commit(Transition(schedule=emptied))
    assert await found(store, schedule) == emptied.schedule


async def test_unknown_and_foreign_schedules_are_not_found(store: Store) -> None:
    schedule = await made(store)
    assert await store.find_schedule("default", "nope") is None
    assert await store.find_schedule("billing", schedule.schedule_id) is None


async def test_a_change_upon_another_version_writes_nothing(store: Store) -> None:
    schedule = await made(store)
    change = a_schedule_change(
        replace(schedule, version=7),
        note="lost",
        events=(a_schedule_event(1),),
        occurrences=(an_occurrence(),),
    )
    start = a_start_transition()
    assert not await store.commit(replace(start, schedule=change))
    assert await found(store, schedule) == schedule
    assert await events_of(store, schedule) == []
    assert await store.load_run(start.changes[0].run.id) is None
    again = a_schedule_change(schedule, occurrences=(an_occurrence(),))
    assert await store.commit(Transition(schedule=again))


async def test_an_occurrence_is_recorded_once(store: Store) -> None:
    schedule = await made(store)
    first = a_schedule_change(schedule, occurrences=(an_occurrence(),))
    assert await store.commit(replace(a_start_transition(), schedule=first))
    again = a_schedule_change(first.schedule, occurrences=(an_occurrence(),))
    start = a_start_transition()
    assert not await store.commit(replace(start, schedule=again))
    assert await store.load_run(start.changes[0].run.id) is None
    others = (an_occurrence(NOON + 1), an_occurrence(kind=FireKind.BACKFILL))
    for other in others:
        latest = await found(store, schedule)
        assert latest is not None
        change = a_schedule_change(latest, occurrences=(other,))
        assert await store.commit(Transition(schedule=change))
    elsewhere = await made(store)
    change = a_schedule_change(elsewhere, occurrences=(an_occurrence(),))
    assert await store.commit(Transition(schedule=change))


async def test_a_fire_on_a_taken_workflow_id_leaves_the_schedule(store: Store) -> None:
    assert await store.commit(a_start_transition(a_run(workflow_id="taken")))
    schedule = await made(store)
    fire = replace(
        a_start_transition(a_run(workflow_id="taken")),
        schedule=a_schedule_change(schedule, fires_count=1),
    )
    assert not await store.commit(fire)
    assert await found(store, schedule) == schedule


async def test_fires_at_once_of_one_schedule_apply_once(store: Store) -> None:
    schedule = await made(store)
    fires = [
        replace(
            a_start_transition(),
            schedule=a_schedule_change(
                schedule, fires_count=1, occurrences=(an_occurrence(),)
            ),
        )
        for _ in range(6)
    ]
    assert sorted(await asyncio.gather(*map(store.commit, fires))) == [False] * 5 + [
        True
    ]


async def test_a_public_id_is_taken_until_its_schedule_is_deleted(store: Store) -> None:
    first = await made(store, schedule_id="nightly")
    second = a_schedule(schedule_id="nightly", created_at=NOON + SECOND)
    assert not await store.commit(a_schedule_creation(second))
    assert await made(store, schedule_id="nightly", namespace="billing")
    deleted = a_schedule_change(
        first, status=ScheduleStatus.DELETED, deleted_at=NOON, next_fire_at=None
    )
    assert await store.commit(Transition(schedule=deleted))
    assert await store.find_schedule("default", "nightly") is None
    gone = await store.find_schedule("default", "nightly", with_deleted=True)
    assert gone == deleted.schedule
    assert await store.commit(a_schedule_creation(second))
    for with_deleted in (False, True):
        assert second == await store.find_schedule(
            "default", "nightly", with_deleted=with_deleted
        )


async def test_creations_at_once_of_one_public_id_succeed_once(store: Store) -> None:
    creations = [
        a_schedule_creation(a_schedule(schedule_id="nightly")) for _ in range(6)
    ]
    applied = await asyncio.gather(*map(store.commit, creations))
    assert sorted(applied) == [False] * 5 + [True]


async def test_the_list_is_paged_by_keys_newest_first(store: Store) -> None:
    made_here = [
        await made(
            store, created_at=NOON + n // 2, action={"workflow_type": f"t{n % 2}"}
        )
        for n in range(5)
    ]
    await made(store, namespace="billing")
    await made(store, status=ScheduleStatus.DELETED, deleted_at=NOON)
    newest_first = made_here[::-1]
    cursor, pages = None, []
    for _ in range(3):
        page = await store.list_schedules(
            ScheduleFilter("default"), after=cursor, limit=2
        )
        pages += page
        cursor = ScheduleCursor(page[-1].created_at, page[-1].id)
    assert pages == newest_first
    assert (
        await store.list_schedules(ScheduleFilter("default"), after=cursor, limit=2)
        == []
    )


async def test_the_list_has_filters(store: Store) -> None:
    active = await made(store, action={"workflow_type": "a"})
    paused = await made(
        store, action={"workflow_type": "b"}, status=ScheduleStatus.PAUSED
    )

    async def listed(**filters: object) -> list[Schedule]:
        chosen = ScheduleFilter("default", **filters)  # type: ignore[arg-type]
        return await store.list_schedules(chosen, after=None, limit=10)

    assert await listed(status=ScheduleStatus.PAUSED) == [paused]
    assert await listed(workflow_type="a") == [active]
    assert await listed(workflow_type="a", status=ScheduleStatus.PAUSED) == []


async def test_due_schedules_come_earliest_first(store: Store) -> None:
    late = await made(store, next_fire_at=NOON)
    early = await made(store, next_fire_at=NOON - 5)
    await made(store, next_fire_at=NOON + 1)
    await made(store, next_fire_at=None)
    await made(store, next_fire_at=NOON, status=ScheduleStatus.PAUSED)
    due = await store.due_schedules(now=NOON, limit=10)
    assert due == [DueSchedule(early, None), DueSchedule(late, None)]
    assert await store.due_schedules(now=NOON, limit=1) == due[:1]


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        (RunStatus.PENDING, True),
        (RunStatus.WAITING, True),
        (RunStatus.COMPLETED, False),
        (RunStatus.TERMINATED, False),
    ],
)
async def test_the_latest_workflow_of_a_schedule_is_open_or_not(
    store: Store, status: RunStatus, is_open: bool
) -> None:
    run = a_run()
    assert await store.commit(a_start_transition(run))
    if status is not RunStatus.PENDING:
        moved: RunChange = a_change(run, run_fields={"status": status})
        assert await store.commit(Transition(changes=(moved,)))
    fields = {
        "latest_workflow_id": run.workflow_id,
        "next_fire_at": NOON,
        "buffered_actions": ({"buffered_at": "x"},),
    }
    schedule = await made(store, **fields)
    await made(store, **fields, status=ScheduleStatus.PAUSED)
    [due] = await store.due_schedules(now=NOON, limit=10)
    assert due == DueSchedule(schedule, run.id if is_open else None)
    draining = await store.draining_schedules(after="", limit=10)
    assert draining == ([] if is_open else [schedule])


async def test_a_buffer_without_a_workflow_is_drained(store: Store) -> None:
    gone = await made(
        store,
        latest_workflow_id="pruned",
        buffered_actions=({"buffered_at": "x"},),
    )
    await made(store)
    assert await store.draining_schedules(after="", limit=10) == [gone]
    assert await store.draining_schedules(after="", limit=0) == []
    assert await store.draining_schedules(after=gone.id, limit=10) == []


async def test_audit_events_are_read_from_a_sequence_on(store: Store) -> None:
    schedule = await made(store)
    events = tuple(a_schedule_event(n) for n in range(1, 5))
    full = replace(
        events[1],
        event_type=ScheduleEventType.TRIGGERED,
        workflow_id="w",
        run_id="r",
    )
    events = (events[0], full, *events[2:])
    for event in events:
        latest = await found(store, schedule)
        assert latest is not None
        change = a_schedule_change(latest, events=(event,))
        assert await store.commit(Transition(schedule=change))
    assert await events_of(store, schedule) == list(events)
    page = await store.schedule_events(schedule, after=1, limit=2)
    assert page == list(events[1:3])


async def test_the_summary_counts_what_is_missed(store: Store) -> None:
    await made(store, next_fire_at=NOON - 7, fires_count=3, failures_count=1)
    await made(store, next_fire_at=NOON, fires_count=2)
    await made(store, next_fire_at=NOON + 1)
    await made(
        store, status=ScheduleStatus.PAUSED, next_fire_at=NOON - 90, fires_count=9
    )
    await made(store, status=ScheduleStatus.DELETED, deleted_at=NOON, fires_count=9)
    await made(store, namespace="billing", next_fire_at=NOON - 70, fires_count=1)
    assert await store.summarise_schedules("default", now=NOON) == ScheduleSummary(
        active=3,
        paused=1,
        missed=2,
        oldest_overdue_at=NOON - 7,
        fires_total=5,
        failures_total=1,
    )
    everywhere = await store.summarise_schedules(None, now=NOON)
    assert (everywhere.active, everywhere.oldest_overdue_at) == (4, NOON - 70)
    nothing = await store.summarise_schedules("empty", now=NOON)
    assert nothing == ScheduleSummary(
        active=0,
        paused=0,
        missed=0,
        oldest_overdue_at=None,
        fires_total=0,
        failures_total=0,
    )
