"""Schedules as operators see them, in both families of field names (decision 20c)."""

from __future__ import annotations

from typing import NotRequired, TypedDict

import orjson

from dwserver.engine.model.schedules import (
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
    ScheduleEventType,
    ScheduleStatus,
)
from dwserver.engine.wire_time import iso, iso_or_none
from dwserver.http.route_shape import Count, IsoTime, JsonMap
from dwserver.protocol.json_types import JsonObject


class ScheduleState(TypedDict):
    status: ScheduleStatus
    paused: bool
    note: str | None


class ScheduleInfo(TypedDict):
    next_fire: IsoTime | None
    last_fire: IsoTime | None
    fires_count: Count
    failures_count: Count
    recent_actions: list[JsonMap]
    buffered_actions: list[JsonMap]
    skipped_trigger_count: Count
    last_skip_reason: str | None
    last_skipped_at: IsoTime | None


class _ScheduleMembers(TypedDict):
    schedule_id: str
    workflow_type: str
    status: ScheduleStatus
    paused: bool
    spec: JsonMap
    action: JsonMap
    overlap_policy: OverlapPolicy
    note: str | None
    memo: JsonMap | None
    search_attributes: JsonMap | None
    state: ScheduleState
    info: ScheduleInfo
    next_fire: IsoTime | None
    next_fire_at: IsoTime | None
    last_fire: IsoTime | None
    last_fire_at: IsoTime | None
    last_fired_at: IsoTime | None
    fires_count: Count
    failures_count: Count
    latest_workflow_instance_id: str | None
    paused_at: IsoTime | None
    created_at: IsoTime
    updated_at: IsoTime


class ScheduleView(_ScheduleMembers):
    jitter_seconds: Count
    max_runs: Count | None
    remaining_actions: Count | None


class ScheduleItem(_ScheduleMembers):
    jitter_seconds: NotRequired[Count]
    max_runs: NotRequired[Count]
    remaining_actions: NotRequired[Count]


class ScheduleEventView(TypedDict):
    id: str
    sequence: Count
    event_type: ScheduleEventType
    payload: JsonMap
    workflow_instance_id: str | None
    workflow_run_id: str | None
    recorded_at: IsoTime


def described(schedule: Schedule) -> JsonObject:
    """The whole schedule."""
    next_fire = iso_or_none(schedule.next_fire_at)
    last_fire = iso_or_none(schedule.last_fired_at)
    is_paused = schedule.status is ScheduleStatus.PAUSED
    return {
        "schedule_id": schedule.schedule_id,
        "workflow_type": schedule.workflow_type,
        "status": schedule.status,
        "paused": is_paused,
        "spec": schedule.spec,
        "action": schedule.action,
        "overlap_policy": schedule.overlap_policy,
        "note": schedule.note,
        "memo": schedule.memo or None,
        "search_attributes": schedule.search_attributes or None,
        "state": {
            "status": schedule.status,
            "paused": is_paused,
            "note": schedule.note,
        },
        "info": {
            "next_fire": next_fire,
            "last_fire": last_fire,
            "fires_count": schedule.fires_count,
            "failures_count": schedule.failures_count,
            "recent_actions": list(schedule.recent_actions),
            "buffered_actions": list(schedule.buffered_actions),
            "skipped_trigger_count": schedule.skipped_trigger_count,
            "last_skip_reason": schedule.last_skip_reason,
            "last_skipped_at": iso_or_none(schedule.last_skipped_at),
        },
        "next_fire": next_fire,
        "next_fire_at": next_fire,
        "last_fire": last_fire,
        "last_fire_at": last_fire,
        "last_fired_at": last_fire,
        "fires_count": schedule.fires_count,
        "failures_count": schedule.failures_count,
        "jitter_seconds": schedule.jitter_seconds,
        "max_runs": schedule.max_runs,
        "remaining_actions": schedule.remaining_actions,
        "latest_workflow_instance_id": schedule.latest_workflow_id,
        "paused_at": iso_or_none(schedule.paused_at),
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.updated_at),
    }


def listed(schedule: Schedule) -> JsonObject:
    """The same in a list, without limits that are not set."""
    item = described(schedule)
    for name in ("jitter_seconds", "max_runs", "remaining_actions"):
        # 0 remaining is a limit, no jitter is none.
        if item[name] is None or (name == "jitter_seconds" and item[name] == 0):
            del item[name]
    return item


def event_view(event: ScheduleEvent) -> JsonObject:
    return {
        "id": event.id,
        "sequence": event.sequence,
        "event_type": event.event_type,
        "payload": orjson.loads(event.payload),
        "workflow_instance_id": event.workflow_id,
        "workflow_run_id": event.run_id,
        "recorded_at": iso(event.recorded_at),
    }
