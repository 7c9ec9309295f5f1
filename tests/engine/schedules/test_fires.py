"""What a fire does, policy by policy, and what it leaves in the row and its history."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import orjson
import pytest

from dwserver.engine.context import Context, Policy
from dwserver.engine.model.schedules import (
    FireKind,
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
    ScheduleStatus,
    SkipReason,
)
from dwserver.engine.schedules import fires
from dwserver.engine.schedules.fires import Buffered, Fire, Skipped, Starts
from dwserver.engine.transition import ScheduleChange
from dwserver.engine.words import CommandType
from tests.support.builders import NOON, SECOND, a_schedule

HOUR = 3600 * SECOND
COMMAND = {"server": {"command": "schedule.trigger"}}


def a_context(now: int = NOON) -> Context:
    numbers = count(1)
    return Context(now, lambda: f"id-{next(numbers)}", orjson.dumps, Policy())


def a_tick(at: int = NOON, **fields: Any) -> Fire:
    return Fire(kind=FireKind.TICK, at=at, **fields)


def a_manual(**fields: Any) -> Fire:
    return Fire(kind=FireKind.MANUAL, at=NOON, command=COMMAND, **fields)


def decided(
    schedule: Schedule, fire: Fire, *, is_open: bool, now: int = NOON
) -> Skipped | Buffered | Starts:
    return fires.decide(schedule, fire, is_open=is_open, context=a_context(now))


def payload(event: ScheduleEvent) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(event.payload)
    return found


def started(schedule: Schedule, fire: Fire, now: int = NOON) -> ScheduleChange:
    return fires.started(
        schedule, fire, workflow_id="w", run_id="r", context=a_context(now)
    )


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_a_fire_starts_when_nothing_is_open(policy: OverlapPolicy) -> None:
    schedule = a_schedule(schedule_id="nightly", overlap_policy=policy)
    assert decided(schedule, a_tick(), is_open=False) == Starts(
        f"schedule:nightly:{NOON // SECOND}", None
    )


@pytest.mark.parametrize(
    ("policy", "closes"),
    [
        (OverlapPolicy.ALLOW_ALL, None),
        (OverlapPolicy.CANCEL_OTHER, CommandType.CANCEL),
        (OverlapPolicy.TERMINATE_OTHER, CommandType.TERMINATE),
    ],
)
def test_a_fire_starts_beside_or_instead_of_an_open_workflow(
    policy: OverlapPolicy, closes: CommandType | None
) -> None:
    schedule = a_schedule(overlap_policy=policy)
    outcome = decided(schedule, a_tick(), is_open=True)
    assert isinstance(outcome, Starts)
    assert outcome.closes is closes


def test_skip_leaves_the_open_workflow_alone() -> None:
    schedule = a_schedule(latest_workflow_id="w", fires_count=3, last_fired_at=5)
    outcome = decided(schedule, a_tick(), is_open=True, now=NOON + 7)
    assert isinstance(outcome, Skipped)
    assert outcome.reason is SkipReason.OVERLAP_POLICY_SKIP
    after = outcome.change.schedule
    assert (after.skipped_trigger_count, after.last_skip_reason) == (
        1,
        "overlap_policy_skip",
    )
    assert (after.last_skipped_at, after.next_fire_at) == (NOON + 7, NOON + HOUR)
    assert (after.fires_count, after.last_fired_at) == (3, 5)
    [event] = outcome.change.events
    assert (event.event_type, event.sequence) == ("ScheduleTriggerSkipped", 1)
    assert payload(event) == {
        "reason": "overlap_policy_skip",
        "skipped_trigger_count": 1,
        "last_skipped_at": "2026-04-13T12:00:00+00:00",
        "schedule": {
            "id": schedule.id,
            "schedule_id": schedule.schedule_id,
            "namespace": "default",
            "status": "active",
            "overlap_policy": "skip",
            "next_fire_at": "2026-04-13T13:00:00+00:00",
            "last_fired_at": "1970-01-01T00:00:00+00:00",
            "last_skip_reason": "overlap_policy_skip",
            "last_skipped_at": "2026-04-13T12:00:00+00:00",
            "fires_count": 3,
            "skipped_trigger_count": 1,
            "latest_workflow_instance_id": "w",
        },
    }


@pytest.mark.parametrize(
    ("policy", "capacity"),
    [(OverlapPolicy.BUFFER_ONE, 1), (OverlapPolicy.BUFFER_ALL, 1000)],
)
def test_buffers_are_filled_up_to_their_capacity(
    policy: OverlapPolicy, capacity: int
) -> None:
    entries = tuple({"buffered_at": str(n)} for n in range(capacity - 1))
    schedule = a_schedule(overlap_policy=policy, buffered_actions=entries)
    last = decided(schedule, a_tick(), is_open=True)
    assert isinstance(last, Buffered)
    assert last.depth == capacity
    assert last.change.events == ()
    assert last.change.schedule.next_fire_at == NOON + HOUR
    assert last.change.schedule.buffered_actions == (
        *entries,
        {
            "buffered_at": "2026-04-13T12:00:00+00:00",
            "occurrence_time": "2026-04-13T12:00:00.000000+00:00",
        },
    )
    full = decided(last.change.schedule, a_manual(), is_open=True)
    assert isinstance(full, Skipped)
    assert full.is_full
    assert (
        full.change.schedule.buffered_actions == last.change.schedule.buffered_actions
    )


def test_a_manual_fire_is_buffered_without_an_occurrence() -> None:
    schedule = a_schedule(overlap_policy=OverlapPolicy.BUFFER_ONE)
    outcome = decided(schedule, a_manual(), is_open=True)
    assert isinstance(outcome, Buffered)
    [entry] = outcome.change.schedule.buffered_actions
    assert set(entry) == {"buffered_at"}


def test_an_override_counts_for_one_fire() -> None:
    schedule = a_schedule()
    override = a_manual(policy=OverlapPolicy.ALLOW_ALL)
    assert isinstance(decided(schedule, override, is_open=True), Starts)
    assert isinstance(decided(schedule, a_manual(), is_open=True), Skipped)


@pytest.mark.parametrize("policy", [OverlapPolicy.BUFFER_ONE, OverlapPolicy.BUFFER_ALL])
def test_a_backfill_does_not_buffer(policy: OverlapPolicy) -> None:
    schedule = a_schedule(overlap_policy=policy, schedule_id="s")
    fire = Fire(kind=FireKind.BACKFILL, at=NOON)
    outcome = decided(schedule, fire, is_open=True)
    assert outcome == Starts(f"schedule:s:backfill:{NOON // SECOND}", None)


@pytest.mark.parametrize(
    ("status", "fields", "reason"),
    [
        (ScheduleStatus.PAUSED, {}, SkipReason.STATUS_NOT_TRIGGERABLE),
        (ScheduleStatus.DELETED, {}, SkipReason.STATUS_NOT_TRIGGERABLE),
        (
            ScheduleStatus.ACTIVE,
            {"remaining_actions": 0},
            SkipReason.REMAINING_ACTIONS_EXHAUSTED,
        ),
    ],
)
def test_what_does_not_fire_at_all(
    status: ScheduleStatus, fields: dict[str, Any], reason: SkipReason
) -> None:
    schedule = a_schedule(status=status, next_fire_at=NOON, **fields)
    outcome = decided(schedule, a_manual(), is_open=False)
    assert isinstance(outcome, Skipped)
    assert outcome.reason is reason
    if status is not ScheduleStatus.ACTIVE:
        assert outcome.change.schedule.next_fire_at == NOON


def test_a_started_fire_is_recorded() -> None:
    schedule = a_schedule(next_fire_at=NOON, last_event_sequence=4, version=6)
    change = started(schedule, a_tick(), now=NOON + 250_000)
    after = change.schedule
    assert (change.base_version, after.version) == (6, 7)
    assert (after.fires_count, after.latest_workflow_id) == (1, "w")
    assert (after.last_fired_at, after.next_fire_at) == (NOON + 250_000, NOON + HOUR)
    assert after.recent_actions == (
        {
            "workflow_id": "w",
            "run_id": "r",
            "outcome": "scheduled",
            "fired_at": "2026-04-13T12:00:00+00:00",
            "occurrence_time": "2026-04-13T12:00:00.000000+00:00",
            "fire_lag_ms": 250,
        },
    )
    [occurrence] = change.occurrences
    assert (occurrence.kind, occurrence.nominal_at) == (FireKind.TICK, NOON)
    [event] = change.events
    assert (event.event_type, event.sequence) == ("ScheduleTriggered", 5)
    assert (event.workflow_id, event.run_id) == ("w", "r")
    body = payload(event)
    # It shows the schedule as it was.
    assert body.pop("schedule")["fires_count"] == 0
    assert body == {
        "workflow_instance_id": "w",
        "workflow_run_id": "r",
        "outcome": "scheduled",
        "effective_overlap_policy": "skip",
        "trigger_number": 1,
        "occurrence_time": "2026-04-13T12:00:00.000000+00:00",
    }


def test_a_manual_fire_has_no_occurrence_and_its_command() -> None:
    change = started(a_schedule(), a_manual())
    assert change.occurrences == ()
    [event] = change.events
    assert payload(event)["command_context"] == {
        "source": "control_plane",
        "context": COMMAND,
    }
    assert "occurrence_time" not in payload(event)
    assert set(change.schedule.recent_actions[0]) == {
        "workflow_id",
        "run_id",
        "outcome",
        "fired_at",
    }


def test_the_last_run_ends_the_schedule() -> None:
    schedule = a_schedule(
        max_runs=2, remaining_actions=1, fires_count=1, buffered_actions=({"x": 1},)
    )
    change = started(schedule, a_manual())
    after = change.schedule
    assert after.is_deleted
    assert (after.remaining_actions, after.next_fire_at) == (0, None)
    assert (after.deleted_at, after.buffered_actions) == (NOON, ())
    triggered, deleted = change.events
    assert [triggered.sequence, deleted.sequence] == [1, 2]
    assert payload(deleted)["reason"] == "max_runs_exhausted"
    assert "command_context" not in payload(deleted)


def test_what_was_missed_is_not_made_up() -> None:
    schedule = a_schedule(next_fire_at=NOON)
    change = started(schedule, a_tick(), now=NOON + 5 * HOUR + 7)
    assert change.schedule.next_fire_at == NOON + 6 * HOUR
    assert change.schedule.recent_actions[0]["fire_lag_ms"] == 5 * 3_600_000


def test_a_clock_that_is_behind_does_not_plan_the_occurrence_again() -> None:
    change = started(a_schedule(), a_tick(), now=NOON - 3 * SECOND)
    assert change.schedule.next_fire_at == NOON + HOUR
    assert change.schedule.recent_actions[0]["fire_lag_ms"] == 0


def test_the_plan_has_the_jitter_of_the_occurrence() -> None:
    plans = {
        started(a_schedule(jitter_seconds=600), a_manual()).schedule.next_fire_at
        for _ in range(30)
    }
    assert len(plans) > 20
    assert all(
        plan is not None and NOON + HOUR <= plan <= NOON + HOUR + 600 * SECOND
        for plan in plans
    )


def test_recent_actions_are_the_last_ten() -> None:
    schedule = a_schedule()
    for n in range(13):
        fire = a_tick(NOON + n * HOUR)
        if n == 12:
            schedule = fires.failed(
                schedule, fire, reason="no", context=a_context()
            ).schedule
        else:
            schedule = started(schedule, fire).schedule
    assert len(schedule.recent_actions) == 10
    assert schedule.recent_actions[0]["occurrence_time"] == (
        "2026-04-13T15:00:00.000000+00:00"
    )
    assert schedule.recent_actions[-1] == {
        "outcome": "failed",
        "reason": "no",
        "fired_at": "2026-04-13T12:00:00+00:00",
    }


def test_a_failure_is_counted_and_planned_past_without_an_event() -> None:
    schedule = a_schedule(next_fire_at=NOON, remaining_actions=3)
    change = fires.failed(schedule, a_tick(), reason="no", context=a_context())
    after = change.schedule
    assert (after.failures_count, after.fires_count) == (1, 0)
    assert (after.last_fired_at, after.next_fire_at) == (NOON, NOON + HOUR)
    assert after.remaining_actions == 3
    assert (change.events, change.occurrences) == ((), ())


def test_an_occurrence_that_was_fired_is_planned_past() -> None:
    schedule = a_schedule(next_fire_at=NOON)
    change = fires.already_fired(schedule, a_tick(), context=a_context(NOON - 5))
    assert change.schedule == replace(
        schedule, version=2, next_fire_at=NOON + HOUR, updated_at=NOON - 5
    )


def test_the_oldest_buffered_fire_is_drained_as_what_it_was() -> None:
    schedule = a_schedule(
        schedule_id="s", overlap_policy=OverlapPolicy.BUFFER_ALL, next_fire_at=NOON
    )
    for fire in (a_tick(NOON - HOUR), a_manual()):
        buffered = decided(schedule, fire, is_open=True)
        assert isinstance(buffered, Buffered)
        schedule = buffered.change.schedule
    schedule = replace(schedule, next_fire_at=NOON)
    first = fires.next_drained(schedule, NOON + 9)
    assert (first.kind, first.at, first.outcome) == (
        FireKind.TICK,
        NOON - HOUR,
        "drained",
    )
    # Its policy is not asked again.
    assert decided(schedule, first, is_open=True) == Starts(
        f"schedule:s:{(NOON - HOUR) // SECOND}", None
    )
    change = started(schedule, first, now=NOON + 9)
    assert len(change.schedule.buffered_actions) == 1
    second = fires.next_drained(change.schedule, NOON + 9)
    assert (second.kind, second.at) == (FireKind.MANUAL, NOON + 9)
    assert started(change.schedule, second).schedule.buffered_actions == ()
    assert (
        fires.failed(
            change.schedule, second, reason="no", context=a_context()
        ).schedule.buffered_actions
        == ()
    )


def test_a_run_is_told_what_started_it() -> None:
    schedule = a_schedule(
        schedule_id="s",
        spec={"cron_expressions": ["0 * * * *", "@daily"], "timezone": "Asia/Tokyo"},
        fires_count=4,
    )
    assert fires.run_event(schedule, a_tick()) == {
        "schedule_id": "s",
        "schedule_ulid": schedule.id,
        "cron_expression": "0 * * * *",
        "timezone": "Asia/Tokyo",
        "overlap_policy": "skip",
        "trigger_number": 5,
        "occurrence_time": "2026-04-13T12:00:00.000000+00:00",
    }
    assert set(fires.run_event(a_schedule(), a_manual())) == {
        "schedule_id",
        "schedule_ulid",
        "overlap_policy",
        "trigger_number",
    }
