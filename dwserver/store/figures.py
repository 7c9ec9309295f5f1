"""What an operator's metrics ask of the Store: figures of a namespace.

Every figure comes from a bounded range of an index, so that what it costs does not grow
with the data: at most :attr:`FigureQuery.rows` rows are looked at for each, and for the
histories of closed runs the last :attr:`FigureQuery.histories`. A figure that reaches
its bound is a lower bound itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from dwserver.engine.words import TaskKind

Columns = Mapping[str, Any]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryBudget:
    """From how many events or bytes on a run had better continue as new, and from
    which on it comes near to that."""

    events: int
    size_bytes: int
    warning_events: int
    warning_size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureQuery:
    """Times in epoch microseconds. A task that was due at ``overdue_before`` and is
    still ready is overdue; ``recent_since`` begins the last minute, and the ids of the
    tasks that may have been leased in it lie from ``first_id`` to before ``end_id``."""

    namespace: str
    now: int
    overdue_before: int
    recent_since: int
    first_id: str
    end_id: str
    budget: HistoryBudget
    rows: int
    histories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRuns:
    """``pending``: no worker has seen them; ``pending_commands``: those of them that a
    start command asked for. Budgets: see :class:`HistoryBudget`."""

    runs: int
    pending: int
    oldest_pending_at: int | None
    pending_commands: int
    oldest_pending_command_at: int | None
    oldest_progress_at: int | None
    events: int
    max_events: int
    max_bytes: int
    max_fan_out: int
    over_budget: int
    near_budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedHistories:
    events: int
    max_events: int
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyTasks:
    """Those that any worker gets (``compatibility`` is None, of all queues), or those
    of one queue with a marker, of ``marked_runs`` runs. The oldest: since when it can
    be taken."""

    queue: str | None
    compatibility: str | None
    tasks: int
    due: int
    oldest_due_at: int | None
    overdue: int
    oldest_overdue_at: int | None
    max_attempt: int
    max_repairs: int
    marked_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedTasks:
    """``stuck_runs``: those with a lease that is over; the one that has stood still for
    longest made its last progress at ``oldest_stuck_at``."""

    tasks: int
    expired: int
    oldest_expired_at: int | None
    max_attempt: int
    max_repairs: int
    stuck_runs: int
    oldest_stuck_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentTasks:
    """Of one kind in a queue: made, and leased to a worker, in the last minute."""

    queue: str
    kind: TaskKind
    added: int
    dispatched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenActivities:
    """``overdue``: past a deadline that counts in their state."""

    pending: int
    running: int
    retrying: int
    oldest_retrying_at: int | None
    max_attempt: int
    overdue: int
    oldest_overdue_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempts:
    attempts: int
    max_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFigures:
    """``closed`` and ``archived``: runs by the reason why they closed; archived ones
    are not among the closed. ``superseded``: runs that are not the current one of their
    workflow id. ``first_tasks``: workflow tasks that are due, of pending runs."""

    closed: Mapping[str, int]
    archived: Mapping[str, int]
    superseded: int
    open_runs: OpenRuns
    closed_histories: ClosedHistories
    ready: tuple[ReadyTasks, ...]
    leased: LeasedTasks
    recent: tuple[RecentTasks, ...]
    first_tasks: int
    activities: OpenActivities
    attempts: FailedAttempts


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingType:
    """A workflow type with open runs whose workflow task failed ``failures`` times in
    a row, at worst. Beside each: how many such types and runs there are in all."""

    workflow_type: str
    failures: int
    runs: int
    all_types: int
    all_runs: int


class Figures(Protocol):
    """Part of :class:`dwserver.store.api.Store`."""

    async def operator_figures(self, query: FigureQuery) -> OperatorFigures:
        """Figures of a namespace as they are now."""
        ...

    async def failing_types(
        self, namespace: str, *, rows: int, limit: int
    ) -> list[FailingType]:
        """The worst ``limit``, by failures and then by name, among those of ``rows``
        runs."""
        ...


# Blocks of ``sql/figures.sql`` and what each takes after namespace and bound.
_ARGUMENTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "count_closed_runs": (),
        "count_archived_runs": (),
        "count_superseded_runs": (),
        "sum_open_runs": ("events", "size_bytes", "warning_events", "warning_size"),
        "sum_closed_histories": (),
        "sum_ready_tasks": ("now", "overdue_before"),
        "sum_leased_tasks": ("now",),
        "count_recent_tasks": ("recent_since", "first_id", "end_id"),
        "count_first_tasks": ("now",),
        "sum_open_activities": ("now",),
        "count_failed_attempts": (),
    }
)


def statements(query: FigureQuery) -> dict[str, tuple[object, ...]]:
    """The blocks to run, in any order, with their arguments."""
    budget = query.budget
    known: dict[str, object] = {
        "now": query.now,
        "overdue_before": query.overdue_before,
        "recent_since": query.recent_since,
        "first_id": query.first_id,
        "end_id": query.end_id,
        "events": budget.events,
        "size_bytes": budget.size_bytes,
        "warning_events": budget.warning_events,
        "warning_size": budget.warning_size_bytes,
    }
    return {
        name: (
            query.namespace,
            query.histories if name == "sum_closed_histories" else query.rows,
            *(known[argument] for argument in arguments),
        )
        for name, arguments in _ARGUMENTS.items()
    }


def to_figures(found: Mapping[str, Iterable[Columns]]) -> OperatorFigures:
    """From the rows of :func:`statements`, by block."""

    def one(block: str, record: type[Record]) -> Record:
        (row,) = found[block]
        return record(**row)

    def count(block: str, column: str) -> int:
        (row,) = found[block]
        return int(row[column])

    def by_reason(block: str) -> dict[str, int]:
        return {row["closed_reason"]: row["runs"] for row in found[block]}

    return OperatorFigures(
        closed=by_reason("count_closed_runs"),
        archived=by_reason("count_archived_runs"),
        superseded=count("count_superseded_runs", "runs"),
        open_runs=one("sum_open_runs", OpenRuns),
        closed_histories=one("sum_closed_histories", ClosedHistories),
        ready=tuple(ReadyTasks(**row) for row in found["sum_ready_tasks"]),
        leased=one("sum_leased_tasks", LeasedTasks),
        recent=tuple(
            RecentTasks(**{**row, "kind": TaskKind(row["kind"])})
            for row in found["count_recent_tasks"]
        ),
        first_tasks=count("count_first_tasks", "tasks"),
        activities=one("sum_open_activities", OpenActivities),
        attempts=one("count_failed_attempts", FailedAttempts),
    )
