"""What one fire of a schedule does (§3.3–3.8).

``decide`` looks at the schedule and at whether its latest workflow is open. When that
means a start, the caller makes the run with the start decision of every other start and
lets ``started`` record it; both are one transition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from dwserver.engine.context import Context
from dwserver.engine.model.schedules import (
    FireKind,
    Occurrence,
    OverlapPolicy,
    Schedule,
    ScheduleEventType,
    SkipReason,
)
from dwserver.engine.model.values import JsonMap
from dwserver.engine.schedules.audit import (
    Revision,
    occurrence_instant,
    occurrence_time,
)
from dwserver.engine.schedules.changes import plan_next, retire
from dwserver.engine.transition import ScheduleChange
from dwserver.engine.wire_time import MICROS, iso
from dwserver.engine.words import CommandType

# Fires that ``buffer_all`` holds back at most (decision 11).
MAX_BUFFERED: Final = 1000
RECENT_ACTIONS: Final = 10
# How a policy ends the workflow before it, and why.
CLOSING: Final = {
    OverlapPolicy.CANCEL_OTHER: CommandType.CANCEL,
    OverlapPolicy.TERMINATE_OTHER: CommandType.TERMINATE,
}
_BUFFERS: Final = {OverlapPolicy.BUFFER_ONE: 1, OverlapPolicy.BUFFER_ALL: MAX_BUFFERED}
_OUTCOMES: Final = {FireKind.BACKFILL: "backfilled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """A fire to decide about. ``at``: its nominal time; of a manual one when it was
    asked for. ``is_drained``: it was buffered and its turn has come. ``command``: the
    attribution of an operator's request."""

    kind: FireKind
    at: int
    policy: OverlapPolicy | None = None
    is_drained: bool = False
    command: JsonMap | None = None

    @property
    def occurrence_at(self) -> int | None:
        return None if self.kind is FireKind.MANUAL else self.at

    @property
    def outcome(self) -> str:
        if self.is_drained:
            return "drained"
        return _OUTCOMES.get(self.kind, "scheduled")

    def effective_policy(self, schedule: Schedule) -> OverlapPolicy:
        policy = self.policy or schedule.overlap_policy
        if self.kind is FireKind.BACKFILL and policy in _BUFFERS:
            return OverlapPolicy.ALLOW_ALL
        return policy


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing is started; why."""

    change: ScheduleChange
    reason: SkipReason

    @property
    def is_full(self) -> bool:
        return self.reason is SkipReason.BUFFER_FULL


@dataclass(frozen=True, slots=True)
class Buffered:
    """Held back until the open workflow ends."""

    change: ScheduleChange
    depth: int


@dataclass(frozen=True, slots=True)
class Starts:
    """A workflow of this id is to start. ``closes``: how the open one is ended first,
    if it can be."""

    workflow_id: str
    closes: CommandType | None


def decide(
    schedule: Schedule, fire: Fire, *, is_open: bool, context: Context
) -> Skipped | Buffered | Starts:
    """``is_open``: the latest workflow of the schedule is."""
    if not schedule.is_active:
        return _skip(schedule, fire, SkipReason.STATUS_NOT_TRIGGERABLE, context)
    if schedule.remaining_actions is not None and schedule.remaining_actions <= 0:
        return _skip(schedule, fire, SkipReason.REMAINING_ACTIONS_EXHAUSTED, context)
    policy = fire.effective_policy(schedule)
    if is_open and not fire.is_drained:
        if policy is OverlapPolicy.SKIP:
            return _skip(schedule, fire, SkipReason.OVERLAP_POLICY_SKIP, context)
        if policy in _BUFFERS:
            return _buffer(schedule, fire, _BUFFERS[policy], context)
    closes = CLOSING.get(policy) if is_open and not fire.is_drained else None
    return Starts(workflow_id_of(schedule, fire), closes)


def next_drained(schedule: Schedule, now: int) -> Fire:
    """The fire that has been held back longest."""
    text = schedule.buffered_actions[0].get("occurrence_time")
    if text is None:
        return Fire(kind=FireKind.MANUAL, at=now, is_drained=True)
    at = occurrence_instant(str(text))
    return Fire(kind=FireKind.TICK, at=at, is_drained=True)


def workflow_id_of(schedule: Schedule, fire: Fire) -> str:
    """The same for the same occurrence: a fire that is repeated meets its own run."""
    stem = f"schedule:{schedule.schedule_id}"
    match fire.kind:
        case FireKind.TICK:
            return f"{stem}:{fire.at // MICROS}"
        case FireKind.BACKFILL:
            return f"{stem}:backfill:{fire.at // MICROS}"
        case FireKind.MANUAL:
            return f"{stem}:{fire.at // 1000}"


def run_event(schedule: Schedule, fire: Fire) -> dict[str, object]:
    """Payload of ``ScheduleTriggered`` in the history of the started run."""
    expressions: Any = schedule.spec.get("cron_expressions") or (None,)
    at = fire.occurrence_at
    fields = {
        "schedule_id": schedule.schedule_id,
        "schedule_ulid": schedule.id,
        "cron_expression": expressions[0],
        "timezone": schedule.spec.get("timezone"),
        "overlap_policy": fire.effective_policy(schedule),
        "trigger_number": schedule.fires_count + 1,
        "occurrence_time": None if at is None else occurrence_time(at),
    }
    return {key: value for key, value in fields.items() if value is not None}


def started(
    schedule: Schedule, fire: Fire, *, workflow_id: str, run_id: str, context: Context
) -> ScheduleChange:
    """The fire has started a run. The last one that the schedule may make ends it."""
    revision = Revision(schedule, context, command=fire.command)
    at, now = fire.occurrence_at, context.now
    revision.record(
        ScheduleEventType.TRIGGERED,
        {
            "workflow_instance_id": workflow_id,
            "workflow_run_id": run_id,
            "outcome": fire.outcome,
            "effective_overlap_policy": fire.effective_policy(schedule),
            "trigger_number": schedule.fires_count + 1,
            "occurrence_time": None if at is None else occurrence_time(at),
        },
        workflow_id=workflow_id,
        run_id=run_id,
    )
    action: dict[str, object] = {
        "workflow_id": workflow_id,
        "run_id": run_id,
        "outcome": fire.outcome,
        "fired_at": iso(now),
    }
    if at is not None:
        action["occurrence_time"] = occurrence_time(at)
        action["fire_lag_ms"] = max(now - at, 0) // 1000
        revision.fired(
            Occurrence(
                kind=fire.kind,
                nominal_at=at,
                workflow_id=workflow_id,
                run_id=run_id,
                recorded_at=now,
            )
        )
    remaining = schedule.remaining_actions
    revision.set(
        fires_count=schedule.fires_count + 1,
        last_fired_at=now,
        remaining_actions=None if remaining is None else max(remaining - 1, 0),
        latest_workflow_id=workflow_id,
    )
    _remember(revision, action)
    _dealt_with(revision, fire)
    if revision.schedule.remaining_actions == 0:
        # No operator asked for this.
        revision.attribute_to(None)
        retire(revision, "max_runs_exhausted")
    return revision.freeze()


def failed(
    schedule: Schedule, fire: Fire, *, reason: str, context: Context
) -> ScheduleChange:
    """The start was refused or could not be made: counted, not repeated, and no event
    (§3.4 step 8). A buffered one gives way to those behind it."""
    revision = Revision(schedule, context, command=fire.command)
    revision.set(failures_count=schedule.failures_count + 1, last_fired_at=context.now)
    _remember(
        revision,
        {"outcome": "failed", "reason": reason, "fired_at": iso(context.now)},
    )
    _dealt_with(revision, fire)
    return revision.freeze()


def already_fired(
    schedule: Schedule, fire: Fire, *, context: Context
) -> ScheduleChange:
    """The occurrence has its run: nothing is left but to plan the next one."""
    revision = Revision(schedule, context)
    _dealt_with(revision, fire)
    return revision.freeze()


def block(schedule: Schedule, fire: Fire, *, context: Context) -> Skipped | None:
    """No worker that is there could take the run (§3.4 step 5). A buffered fire keeps
    its place, and is told of once: it is tried again all the time, then with None."""
    reason = SkipReason.COMPATIBILITY_BLOCKED
    if fire.is_drained and schedule.last_skip_reason == reason:
        return None
    return _skip(schedule, fire, reason, context, keeps_place=fire.is_drained)


def _skip(
    schedule: Schedule,
    fire: Fire,
    reason: SkipReason,
    context: Context,
    *,
    keeps_place: bool = False,
) -> Skipped:
    revision = Revision(schedule, context, command=fire.command)
    count = schedule.skipped_trigger_count + 1
    revision.set(
        last_skip_reason=reason.value,
        last_skipped_at=context.now,
        skipped_trigger_count=count,
    )
    if schedule.is_active and not keeps_place:
        _dealt_with(revision, fire)
    revision.record(
        ScheduleEventType.SKIPPED,
        {
            "reason": reason,
            "skipped_trigger_count": count,
            "last_skipped_at": iso(context.now),
        },
    )
    return Skipped(revision.freeze(), reason)


def _buffer(
    schedule: Schedule, fire: Fire, capacity: int, context: Context
) -> Skipped | Buffered:
    buffered = schedule.buffered_actions
    if len(buffered) >= capacity:
        return _skip(schedule, fire, SkipReason.BUFFER_FULL, context)
    revision = Revision(schedule, context, command=fire.command)
    entry: dict[str, object] = {"buffered_at": iso(context.now)}
    if fire.occurrence_at is not None:
        entry["occurrence_time"] = occurrence_time(fire.occurrence_at)
    revision.set(buffered_actions=(*buffered, entry))
    plan_next(revision, beyond=_passed(fire))
    return Buffered(revision.freeze(), len(buffered) + 1)


def _dealt_with(revision: Revision, fire: Fire) -> None:
    if fire.is_drained:
        revision.set(buffered_actions=revision.schedule.buffered_actions[1:])
    plan_next(revision, beyond=_passed(fire))


def _passed(fire: Fire) -> int | None:
    """The occurrence that the plan must have left behind. Others lie in the past, or
    have no place in the plan."""
    is_planned = fire.kind is FireKind.TICK and not fire.is_drained
    return fire.at if is_planned else None


def _remember(revision: Revision, action: JsonMap) -> None:
    actions = (*revision.schedule.recent_actions, action)
    revision.set(recent_actions=actions[-RECENT_ACTIONS:])
