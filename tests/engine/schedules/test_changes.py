"""What operators do with schedules, and what the audit history says of it."""

from __future__ import annotations

from itertools import count
from typing import Any

import orjson
import pytest

from dwserver.engine.context import Context, Policy
from dwserver.engine.model.schedules import Schedule, ScheduleStatus
from dwserver.engine.schedules import changes
from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.engine.transition import ScheduleChange
from tests.support.builders import NOON, SECOND, a_schedule

HOUR = 3600 * SECOND
ISO_NOON = "2026-04-13T12:00:00+00:00"
COMMAND = {"server": {"command": "schedule.update"}}


def asked(now: int = NOON) -> dict[str, Any]:
    return {"command": COMMAND, "context": a_context(now)}


def a_context(now: int = NOON) -> Context:
    numbers = count(1)
    return Context(now, lambda: f"id-{next(numbers)}", orjson.dumps, Policy())


def events(change: ScheduleChange) -> list[tuple[str, dict[str, Any]]]:
    return [(each.event_type, orjson.loads(each.payload)) for each in change.events]


def created(**fields: Any) -> ScheduleChange:
    new = NewSchedule(
        namespace="default",
        schedule_id="nightly",
        spec={"intervals": [{"every": "PT1H"}]},
        action={"workflow_type": "orders.Ship"},
        **fields,
    )
    return changes.create(new, Commands({"a": 1}, {"b": 2}), a_context())


def updated(schedule: Schedule, **given: Any) -> ScheduleChange:
    return changes.update(schedule, given, **asked())


def test_a_new_schedule_is_planned_from_now() -> None:
    change = created(max_runs=5, note="first")
    schedule = change.schedule
    assert (change.base_version, schedule.version) == (None, 1)
    assert (schedule.status, schedule.next_fire_at) == ("active", NOON + HOUR)
    assert (schedule.max_runs, schedule.remaining_actions) == (5, 5)
    [(event, payload)] = events(change)
    assert event == "ScheduleCreated"
    assert payload["command_context"] == {
        "source": "control_plane",
        "context": {"a": 1},
    }
    assert payload["next_fire_at"] == "2026-04-13T13:00:00+00:00"
    assert payload["action"] == {"workflow_type": "orders.Ship"}
    assert payload["schedule"]["note"] == "first"


def test_a_schedule_created_paused_says_so_in_a_second_event() -> None:
    change = created(is_paused=True)
    schedule = change.schedule
    assert (schedule.status, schedule.paused_at) == ("paused", NOON)
    assert schedule.last_event_sequence == 2
    (_, first), (event, second) = events(change)
    assert event == "SchedulePaused"
    assert first["schedule"]["status"] == "active"
    assert second["command_context"]["context"] == {"b": 2}
    assert second["schedule"]["status"] == "paused"


def test_an_update_replaces_the_spec_and_merges_the_action() -> None:
    schedule = a_schedule(
        action={"workflow_type": "a", "task_queue": "q", "input": ["x"]}
    )
    change = updated(
        schedule,
        spec={"cron_expressions": ["30 12 * * *"]},
        action={"workflow_type": "b"},
        note="changed",
    )
    after = change.schedule
    assert after.spec == {"cron_expressions": ["30 12 * * *"]}
    assert after.action == {"workflow_type": "b", "task_queue": "q", "input": ["x"]}
    assert after.next_fire_at == NOON + HOUR // 2
    [(event, payload)] = events(change)
    assert event == "ScheduleUpdated"
    assert payload["changed_fields"] == ["spec", "action", "note"]
    assert payload["spec"] == after.spec


def test_an_empty_update_plans_anew_and_is_recorded() -> None:
    change = updated(a_schedule(next_fire_at=NOON - 7, status=ScheduleStatus.PAUSED))
    assert change.schedule.next_fire_at == NOON + HOUR
    assert change.schedule.status == "paused"
    assert events(change)[0][1]["changed_fields"] == ["spec", "action"]


@pytest.mark.parametrize(
    ("fires", "remaining", "max_runs", "expected"),
    [(3, 7, 20, 17), (3, None, 10, 7), (5, None, 3, 0), (5, 2, 4, 2), (0, 5, 1, 1)],
)
def test_more_or_fewer_runs(
    fires: int, remaining: int | None, max_runs: int, expected: int
) -> None:
    schedule = a_schedule(fires_count=fires, remaining_actions=remaining)
    after = updated(schedule, max_runs=max_runs).schedule
    assert (after.max_runs, after.remaining_actions) == (max_runs, expected)


def test_a_pause_keeps_the_plan_and_may_be_repeated() -> None:
    schedule = a_schedule(next_fire_at=NOON + 5, note="old")
    first = changes.pause(schedule, note="maintenance", **asked())
    paused = first.schedule
    assert (paused.status, paused.paused_at) == ("paused", NOON)
    assert (paused.next_fire_at, paused.note) == (NOON + 5, "maintenance")
    [(event, payload)] = events(first)
    assert event == "SchedulePaused"
    assert (payload["reason"], payload["paused_at"]) == ("maintenance", ISO_NOON)
    again = changes.pause(paused, note=None, **asked(NOON + SECOND))
    assert (again.schedule.paused_at, again.schedule.note) == (
        NOON + SECOND,
        "maintenance",
    )
    assert "reason" not in events(again)[0][1]


def test_a_resumed_schedule_goes_on_from_now() -> None:
    paused = a_schedule(
        status=ScheduleStatus.PAUSED, paused_at=NOON - 5, next_fire_at=NOON - 9
    )
    change = changes.resume(paused, note="ok", **asked())
    assert change is not None
    after = change.schedule
    assert (after.status, after.paused_at, after.note) == ("active", None, "ok")
    assert after.next_fire_at == NOON + HOUR
    [(event, payload)] = events(change)
    assert event == "ScheduleResumed"
    assert payload["next_fire_at"] == "2026-04-13T13:00:00+00:00"
    assert "note" not in payload["schedule"]


def test_a_schedule_that_is_not_paused_has_nothing_to_resume() -> None:
    assert changes.resume(a_schedule(), note="ok", **asked()) is None


def test_a_deleted_schedule_stays_as_a_row() -> None:
    schedule = a_schedule(next_fire_at=NOON, buffered_actions=({"x": 1},))
    change = changes.delete(schedule, **asked())
    after = change.schedule
    assert (after.status, after.deleted_at) == ("deleted", NOON)
    assert (after.next_fire_at, after.buffered_actions) == (None, ())
    [(event, payload)] = events(change)
    assert event == "ScheduleDeleted"
    assert (payload["reason"], payload["deleted_at"]) == ("deleted", ISO_NOON)
    assert payload["schedule"]["status"] == "deleted"
