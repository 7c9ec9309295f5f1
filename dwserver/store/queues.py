"""What operators see of task queues (``spec/topology-and-operations.md`` §5.1–5.6).

Every figure comes from a bounded range of an index: at most ``rows`` ready tasks are
looked at, and as many leases and registrations. A figure that reaches its bound is a
lower bound itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from dwserver.engine.words import TaskKind

Columns = Mapping[str, Any]

MAX_LEASES_LISTED: Final = 50
# How many tasks, the last that were made, tell of their queues when they are closed.
MAX_RECENT_TASKS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """Tasks of one kind in a queue. ``ready``: due ones; ``overdue``: those of them
    that nobody has taken for a while. ``expired``: leased ones whose lease is over."""

    kind: TaskKind
    ready: int = 0
    overdue: int = 0
    oldest_ready_at: int | None = None
    leased: int = 0
    expired: int = 0
    oldest_expiry: int | None = None

    @property
    def active(self) -> int:
        """Leases that are good."""
        return self.leased - self.expired


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTask:
    """A ready task as operators see it."""

    id: str
    kind: TaskKind
    run_id: str
    workflow_id: str
    ready_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLease:
    """A leased task as operators see it."""

    id: str
    kind: TaskKind
    run_id: str
    workflow_id: str
    lease_owner: str
    lease_expires_at: int
    attempt: int
    attempt_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBacklog:
    """What lies in a queue: one load for each kind of task, and the task that has been
    due longest."""

    loads: Mapping[TaskKind, QueueLoad]
    oldest: QueuedTask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBacklogs:
    """Of some queues by name; ``active_leases``: good ones of all queues of their
    namespace, by kind."""

    queues: Mapping[str, QueueBacklog]
    active_leases: Mapping[TaskKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWorkers:
    """Registrations of a queue, and the tasks that the active ones take at once."""

    active: int = 0
    draining: int = 0
    stale: int = 0
    slots: Mapping[TaskKind, int] = field(
        default_factory=lambda: dict.fromkeys(TaskKind, 0)
    )


NO_WORKERS: Final = QueueWorkers()


class QueueReads(Protocol):
    """Part of :class:`dwserver.store.api.Store`."""

    async def list_queues(self, namespace: str, *, rows: int, limit: int) -> list[str]:
        """The first queues by name of those that have an open task, a worker, or one of
        the tasks that were made last."""
        ...

    async def queue_backlogs(
        self,
        namespace: str,
        queues: Sequence[str],
        *,
        now: int,
        overdue_before: int,
        rows: int,
    ) -> QueueBacklogs:
        """What lies in each of the queues, whoever knows it. ``overdue_before``: tasks
        that have been due since then are overdue."""
        ...

    async def queue_leases(
        self, namespace: str, queue: str, *, now: int
    ) -> list[QueueLease]:
        """At most :data:`MAX_LEASES_LISTED` leases, those that are over first."""
        ...

    async def queue_workers(
        self, namespace: str, queues: Sequence[str], *, silent_since: int, rows: int
    ) -> dict[str, QueueWorkers]:
        """By queue; queues without a registration are absent. Stale are those that were
        last heard of at ``silent_since`` or before."""
        ...


def share(rows: int, *, ready: int, queues: int) -> int:
    """How many ready tasks of each queue and kind are looked at, when a namespace has
    ``ready`` of them: all, or an equal part of what the bound allows."""
    if ready <= rows:
        return rows
    return max(rows // (len(TaskKind) * max(queues, 1)), 1)


def to_backlogs(
    queues: Iterable[str],
    *,
    ready: Iterable[Columns],
    oldest: Iterable[Columns],
    leased: Iterable[Columns],
) -> QueueBacklogs:
    """The rows of the blocks about several queues."""
    counts: dict[tuple[str, str], dict[str, Any]] = {}
    active: Counter[TaskKind] = Counter(dict.fromkeys(TaskKind, 0))
    for row in leased:
        active[TaskKind(row["kind"])] += row["leased"] - row["expired"]
        counts[row["queue"], row["kind"]] = dict(row)
    for row in ready:
        counts.setdefault((row["queue"], row["kind"]), {}).update(row)
    first: dict[str, Columns] = {}
    for row in sorted(oldest, key=lambda row: (row["ready_at"], row["id"])):
        first.setdefault(row["queue"], row)
    return QueueBacklogs(
        queues={
            queue: QueueBacklog(
                loads={
                    kind: _load(kind, counts.get((queue, kind), {}))
                    for kind in TaskKind
                },
                oldest=_oldest(first.get(queue)),
            )
            for queue in queues
        },
        active_leases=active,
    )


def _load(kind: TaskKind, row: Columns) -> QueueLoad:
    figures = {name: row[name] for name in row if name not in ("queue", "kind")}
    return QueueLoad(kind=kind, **figures)


def _oldest(row: Columns | None) -> QueuedTask | None:
    if row is None:
        return None
    return QueuedTask(
        id=row["id"],
        kind=TaskKind(row["kind"]),
        run_id=row["run_id"],
        workflow_id=row["workflow_id"],
        ready_at=row["ready_at"],
    )


def to_leases(rows: Iterable[Columns]) -> list[QueueLease]:
    return [QueueLease(**{**row, "kind": TaskKind(row["kind"])}) for row in rows]


def to_queue_workers(rows: Iterable[Columns]) -> dict[str, QueueWorkers]:
    return {
        row["queue"]: QueueWorkers(
            active=row["active"],
            draining=row["draining"],
            stale=row["stale"],
            slots={kind: row[f"{kind}_slots"] for kind in TaskKind},
        )
        for row in rows
    }
