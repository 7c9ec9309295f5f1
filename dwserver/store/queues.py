"""From the rows about a task queue to what the Store answers, for both dialects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dwserver.engine.words import TaskKind
from dwserver.store.api import QueueBacklog, QueuedTask, QueueLease, QueueLoad

Columns = Mapping[str, Any]


def to_backlog(
    *,
    ready: Iterable[Columns],
    oldest: Iterable[Columns],
    leased: Iterable[Columns],
    leases: Iterable[Columns],
) -> QueueBacklog:
    """The rows of the blocks in ``sql/queues.sql``; ``oldest``: one of each kind."""
    counts: dict[str, dict[str, Any]] = {kind: {} for kind in TaskKind}
    for row in (*ready, *leased):
        counts[row["kind"]].update(row)
    first = min(oldest, key=lambda row: (row["ready_at"], row["id"]), default=None)
    return QueueBacklog(
        loads={kind: QueueLoad(**{**counts[kind], "kind": kind}) for kind in TaskKind},
        oldest=QueuedTask(**_of_kind(first)) if first is not None else None,
        leases=tuple(QueueLease(**_of_kind(row)) for row in leases),
    )


def _of_kind(row: Columns) -> dict[str, Any]:
    return {**row, "kind": TaskKind(row["kind"])}
