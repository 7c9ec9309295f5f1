"""The clients of each SDK release make, change, fire and delete a schedule, and its
workflows run on their workers."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.sdk.matrix import Site

pytestmark = pytest.mark.timeout(300)

# 29 February of 2024 and of 2028, in Berlin.
LEAP_DAYS = ["2024-02-28T23:00:00+00:00", "2028-02-28T23:00:00+00:00"]


def test_a_schedule_from_its_creation_to_its_end(site: Site) -> None:
    schedule_id = f"leap-{uuid.uuid4().hex[:12]}"
    program = site.ground.programs.start_schedules(site.queue, schedule_id)
    seen: dict[str, Any] = program.answer()
    created = seen["created"]
    assert (created["status"], created["note"]) == ("active", "made by a test")
    assert created["spec"]["timezone"] == "Europe/Berlin"
    assert created["action"]["workflow_type"] == "sdk.hello"
    assert created["next_fire_at"] == LEAP_DAYS[1]
    [listed] = seen["listed"]
    assert (listed["status"], listed["next_fire_at"]) == ("active", LEAP_DAYS[1])
    assert (seen["paused"]["status"], seen["paused"]["note"]) == ("paused", "stop")
    assert seen["skipped"]["outcome"] == "skipped"
    assert seen["skipped"]["reason"] == "status_not_triggerable"
    assert (seen["resumed"]["status"], seen["resumed"]["note"]) == ("active", "go")
    assert seen["triggered"]["outcome"] == "triggered"
    for result in ("result", "result_of_tick"):
        assert seen[result] == {"greeting": "hello, ada"}, site.worker.log_tail()
    backfilled = seen["backfilled"]
    assert backfilled["fires_attempted"] == len(LEAP_DAYS)
    assert [r["fire_time"] for r in backfilled["results"]] == LEAP_DAYS
    assert {r["outcome"] for r in backfilled["results"]} == {"started"}
    fired = seen["fired"]
    assert fired["last_fired_at"] is not None
    assert fired["latest_workflow_instance_id"].startswith(f"schedule:{schedule_id}:")
    if "history" in seen:
        types = [event["event_type"] for event in seen["history"]["events"]]
        assert types[:4] == [
            "ScheduleCreated",
            "SchedulePaused",
            "ScheduleTriggerSkipped",
            "ScheduleResumed",
        ]
        assert set(types[4:]) == {"ScheduleTriggered", "ScheduleUpdated"}
    assert seen["deleted"] == "ScheduleNotFound"
