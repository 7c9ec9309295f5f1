"""Schedules in the Store. They are written by transitions only
(``dwserver/engine/transition.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dwserver.engine.model.schedules import Schedule, ScheduleEvent, ScheduleStatus


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Filters of the list of schedules; deleted ones are never in it."""

    namespace: str
    status: ScheduleStatus | None = None
    workflow_type: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleCursor:
    """Keyset position in the list: after this row (newest first)."""

    created_at: int
    id: str


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule that is due. ``open_run_id``: the run of its latest workflow, if that
    is open."""

    schedule: Schedule
    open_run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSummary:
    """Figures of ``operator_metrics.schedules``; both totals are of active ones."""

    active: int
    paused: int
    missed: int
    oldest_overdue_at: int | None
    fires_total: int
    failures_total: int


class Schedules(Protocol):
    """Part of :class:`dwserver.store.api.Store`."""

    async def find_schedule(
        self, namespace: str, schedule_id: str, *, with_deleted: bool = False
    ) -> Schedule | None:
        """One by its public id; ``with_deleted``: the newest that had it."""
        ...

    async def list_schedules(
        self,
        schedule_filter: ScheduleFilter,
        *,
        after: ScheduleCursor | None,
        limit: int,
    ) -> list[Schedule]:
        """Newest first by (created_at, id), keyset-paged."""
        ...

    async def due_schedules(self, *, now: int, limit: int) -> list[DueSchedule]:
        """Active schedules with ``next_fire_at <= now``, the earliest first."""
        ...

    async def draining_schedules(self, *, after: str, limit: int) -> list[Schedule]:
        """Active schedules with buffered fires whose latest workflow is not open, by
        id, behind one."""
        ...

    async def schedule_events(
        self, schedule: Schedule, *, after: int, limit: int
    ) -> list[ScheduleEvent]:
        """The audit history beyond a sequence, ascending."""
        ...

    async def summarise_schedules(
        self, namespace: str | None, *, now: int
    ) -> ScheduleSummary:
        """Figures of a namespace, or of all of them."""
        ...
