"""What repair asks of the Store: tasks that do not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class RepairCandidate:
    """A ready task that nobody takes, or one whose lease is over."""

    task_id: str
    run_id: str
    queue: str
    compatibility: str | None
    created_at: int
    available_at: int


class Repair(Protocol):
    """Part of :class:`dwserver.store.api.Store`."""

    async def repair_candidates(
        self,
        *,
        now: int,
        overdue_before: int,
        run_ids: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[RepairCandidate]:
        """Ready tasks that were due at ``overdue_before``, leases that are over now; of
        all namespaces or of one, or of some runs. At most :data:`MAX_CANDIDATES`, in no
        order."""
        ...
