"""The durable row of a schedule, and what is recorded about it
(``spec/scheduling-and-maintenance.md`` §1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dwserver.engine.model.values import JsonMap
from dwserver.engine.records import quick_init


class ScheduleStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


class OverlapPolicy(StrEnum):
    """What a fire does while the latest workflow of the schedule is open (§3.3)."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    ALLOW_ALL = "allow_all"
    CANCEL_OTHER = "cancel_other"
    TERMINATE_OTHER = "terminate_other"


class FireKind(StrEnum):
    """Why a schedule fires; with the nominal time it names an occurrence."""

    TICK = "tick"
    BACKFILL = "backfill"
    MANUAL = "manual"


class ScheduleEventType(StrEnum):
    CREATED = "ScheduleCreated"
    PAUSED = "SchedulePaused"
    RESUMED = "ScheduleResumed"
    UPDATED = "ScheduleUpdated"
    TRIGGERED = "ScheduleTriggered"
    SKIPPED = "ScheduleTriggerSkipped"
    DELETED = "ScheduleDeleted"


class SkipReason(StrEnum):
    """Why a fire started nothing (§3.5)."""

    STATUS_NOT_TRIGGERABLE = "status_not_triggerable"
    REMAINING_ACTIONS_EXHAUSTED = "remaining_actions_exhausted"
    BUFFER_FULL = "buffer_full"
    OVERLAP_POLICY_SKIP = "overlap_policy_skip"
    COMPATIBILITY_BLOCKED = "compatibility_blocked"


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """``id`` is the row's own, ``schedule_id`` the public one, which a deleted schedule
    gives back. ``spec`` and ``action`` are the checked documents of the caller.
    ``next_fire_at`` has the jitter in it. ``recent_actions`` and ``buffered_actions``
    are as the wire shows them, the oldest first."""

    id: str
    namespace: str
    schedule_id: str
    version: int
    status: ScheduleStatus
    spec: JsonMap
    action: JsonMap
    overlap_policy: OverlapPolicy
    jitter_seconds: int
    created_at: int
    updated_at: int
    note: str | None = None
    max_runs: int | None = None
    remaining_actions: int | None = None
    fires_count: int = 0
    failures_count: int = 0
    skipped_trigger_count: int = 0
    last_event_sequence: int = 0
    last_fired_at: int | None = None
    next_fire_at: int | None = None
    last_skipped_at: int | None = None
    last_skip_reason: str | None = None
    latest_workflow_id: str | None = None
    paused_at: int | None = None
    deleted_at: int | None = None
    memo: JsonMap = field(default_factory=dict)
    search_attributes: JsonMap = field(default_factory=dict)
    recent_actions: tuple[JsonMap, ...] = ()
    buffered_actions: tuple[JsonMap, ...] = ()

    @property
    def workflow_type(self) -> str:
        return str(self.action["workflow_type"])

    @property
    def is_active(self) -> bool:
        return self.status is ScheduleStatus.ACTIVE

    @property
    def is_deleted(self) -> bool:
        return self.status is ScheduleStatus.DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEvent:
    """An entry of the audit history; ``payload`` is its JSON text."""

    id: str
    sequence: int
    event_type: ScheduleEventType
    payload: bytes
    recorded_at: int
    workflow_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One fire of a schedule; there is one row for each ``(kind, nominal_at)``."""

    kind: FireKind
    nominal_at: int
    workflow_id: str
    run_id: str
    recorded_at: int
