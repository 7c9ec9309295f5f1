"""What retention asks of the Store: closed runs and histories of schedules, and to
prune them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ClosedRun:
    """A closed run, and its position among them, the oldest first. ``events``: how many
    its history has."""

    run_id: str
    closed_at: int
    events: int = field(default=0, compare=False)


BEFORE_ALL = ClosedRun("", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleAge:
    """A schedule, deleted or not, and the ends of its audit history; ``first_*`` None
    when nothing is left of it."""

    id: str
    namespace: str
    deleted_at: int | None
    last_sequence: int
    first_sequence: int | None
    first_recorded_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCut:
    """Where a history shall begin: behind ``upto``, and behind what was recorded before
    ``before``; but nothing beyond ``most`` goes."""

    upto: int
    before: int
    most: int


class RunPart(StrEnum):
    """Rows that a run has beside its own."""

    EVENTS = "events"
    TASKS = "tasks"
    ACTIVITIES = "activities"
    ATTEMPTS = "attempts"
    TIMERS = "timers"
    CHILDREN = "children"
    WAITS = "waits"
    SIGNALS = "signals"
    UPDATES = "updates"
    COMMANDS = "commands"
    FAILURES = "failures"
    ATTRIBUTES = "attributes"


class Retention(Protocol):
    """Part of :class:`dwserver.store.api.Store`."""

    async def expired_runs(
        self,
        namespace: str,
        *,
        closed_before: int,
        after: ClosedRun = BEFORE_ALL,
        limit: int,
    ) -> list[ClosedRun]:
        """Closed runs that nobody archived or pruned, the oldest first."""
        ...

    async def runs_under_open_ones(self, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs that descend from an open run."""
        ...

    async def prune_runs(
        self, namespace: str, run_ids: Sequence[str], *, at: int
    ) -> Mapping[str, Mapping[RunPart, int]]:
        """Delete what closed runs have beside their rows, and their payloads there, in
        one transaction; by run, how many rows of each part. Absent are those that the
        namespace does not have, or not as closed, not archived and not pruned yet."""
        ...

    async def schedule_ages(self, *, after: str, limit: int) -> list[ScheduleAge]:
        """Schedules of all namespaces behind an id, by id."""
        ...

    async def prune_schedule(
        self, schedule_id: str, cut: HistoryCut, *, limit: int
    ) -> int:
        """Delete the beginning of an audit history, at most ``limit`` events, and what
        was fired for times before it begins then; how many events."""
        ...

    async def forget_schedule(self, schedule_id: str) -> bool:
        """Delete the row of a deleted schedule without history. False: it is not so."""
        ...
