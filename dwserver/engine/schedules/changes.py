"""What operators do with schedules: create, update, pause, resume, delete (§2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dwserver.engine.context import Context
from dwserver.engine.model.schedules import (
    OverlapPolicy,
    Schedule,
    ScheduleEventType,
    ScheduleStatus,
)
from dwserver.engine.model.values import JsonMap
from dwserver.engine.schedules.audit import Revision
from dwserver.engine.schedules.cron import CronError
from dwserver.engine.schedules.spec import jitter_of, timetable_of
from dwserver.engine.schedules.wall_clock import UnknownZone
from dwserver.engine.transition import ScheduleChange
from dwserver.engine.wire_time import iso, iso_or_none

# Always named by an update, changed or not.
_ALWAYS_CHANGED = ("spec", "action")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A checked request to create one."""

    namespace: str
    schedule_id: str
    spec: JsonMap
    action: JsonMap
    overlap_policy: OverlapPolicy = OverlapPolicy.SKIP
    jitter_seconds: int = 0
    max_runs: int | None = None
    memo: JsonMap = field(default_factory=dict)
    search_attributes: JsonMap = field(default_factory=dict)
    note: str | None = None
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Commands:
    """Attributions of a creation: that of the pause is used if it is paused at once."""

    create: JsonMap
    pause: JsonMap


def create(new: NewSchedule, commands: Commands, context: Context) -> ScheduleChange:
    schedule = Schedule(
        id=context.next_id(),
        namespace=new.namespace,
        schedule_id=new.schedule_id,
        version=1,
        status=ScheduleStatus.ACTIVE,
        spec=new.spec,
        action=new.action,
        overlap_policy=new.overlap_policy,
        jitter_seconds=new.jitter_seconds,
        max_runs=new.max_runs,
        remaining_actions=new.max_runs,
        memo=new.memo,
        search_attributes=new.search_attributes,
        note=new.note,
        created_at=context.now,
        updated_at=context.now,
    )
    revision = Revision.of_new(schedule, context, command=commands.create)
    plan_next(revision)
    revision.record(ScheduleEventType.CREATED, _definition(revision.schedule))
    if new.is_paused:
        revision.attribute_to(commands.pause)
        _pause(revision, note=None)
    return revision.freeze()


def update(
    schedule: Schedule,
    given: Mapping[str, Any],
    *,
    command: JsonMap,
    context: Context,
) -> ScheduleChange:
    """``given``: checked fields by name, those that are to change."""
    revision = Revision(schedule, context, command=command)
    fields = dict(given)
    if "action" in fields:
        fields["action"] = {**schedule.action, **fields["action"]}
    if "max_runs" in fields:
        fields["remaining_actions"] = _remaining(schedule, fields["max_runs"])
    revision.set(**fields)
    plan_next(revision)
    others = [name for name in given if name not in _ALWAYS_CHANGED]
    changed = [*_ALWAYS_CHANGED, *others]
    revision.record(
        ScheduleEventType.UPDATED,
        {
            "changed_fields": changed,
            **_definition(revision.schedule),
        },
    )
    return revision.freeze()


def pause(
    schedule: Schedule, *, note: str | None, command: JsonMap, context: Context
) -> ScheduleChange:
    """Fires no more until it is resumed. Once more is allowed, and recorded."""
    revision = Revision(schedule, context, command=command)
    _pause(revision, note=note)
    return revision.freeze()


def resume(
    schedule: Schedule, *, note: str | None, command: JsonMap, context: Context
) -> ScheduleChange | None:
    """Go on from now; what was missed is not made up. None when there is nothing to
    do: it is not paused (decision 11)."""
    if schedule.status is not ScheduleStatus.PAUSED:
        return None
    revision = Revision(schedule, context, command=command)
    revision.set(status=ScheduleStatus.ACTIVE, paused_at=None)
    plan_next(revision)
    revision.record(
        ScheduleEventType.RESUMED,
        {"next_fire_at": iso_or_none(revision.schedule.next_fire_at)},
    )
    if note is not None:
        revision.set(note=note)
    return revision.freeze()


def delete(schedule: Schedule, *, command: JsonMap, context: Context) -> ScheduleChange:
    """The row and its history stay; what it has started runs on."""
    revision = Revision(schedule, context, command=command)
    retire(revision, "deleted")
    return revision.freeze()


def retire(revision: Revision, reason: str) -> None:
    """End the schedule: it never fires again and its public id is free."""
    now = revision.context.now
    revision.set(
        status=ScheduleStatus.DELETED,
        deleted_at=now,
        next_fire_at=None,
        buffered_actions=(),
    )
    revision.record(
        ScheduleEventType.DELETED, {"reason": reason, "deleted_at": iso(now)}
    )


def plan_next(revision: Revision, *, beyond: int | None = None) -> None:
    """Plan the next fire from now, never from what was missed (§3.6), with its jitter
    (§3.7). ``beyond``: an occurrence that has just been dealt with; a process whose
    clock is behind does not plan it again.

    A spec that could be read once and cannot any more (its time zone is gone from the
    system) never fires.
    """
    schedule, now = revision.schedule, revision.context.now
    after = now if beyond is None else max(now, beyond)
    try:
        next_at = timetable_of(schedule.spec).next_after(after)
    except (CronError, UnknownZone):
        next_at = None
    if next_at is not None:
        next_at += jitter_of(schedule.id, next_at, schedule.jitter_seconds)
    revision.set(next_fire_at=next_at)


def _pause(revision: Revision, *, note: str | None) -> None:
    now = revision.context.now
    revision.set(status=ScheduleStatus.PAUSED, paused_at=now)
    if note is not None:
        revision.set(note=note)
    revision.record(ScheduleEventType.PAUSED, {"reason": note, "paused_at": iso(now)})


def _remaining(schedule: Schedule, max_runs: int) -> int | None:
    fired, remaining = schedule.fires_count, schedule.remaining_actions
    if remaining is None or max_runs > fired:
        return max(max_runs - fired, 0)
    return remaining


def _definition(schedule: Schedule) -> dict[str, object]:
    return {
        "spec": schedule.spec,
        "action": schedule.action,
        "overlap_policy": schedule.overlap_policy,
        "next_fire_at": iso_or_none(schedule.next_fire_at),
    }
