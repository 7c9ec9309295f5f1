"""Tasks that do not move."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.repair import MAX_CANDIDATES, RepairCandidate

_LIST_REPAIR_CANDIDATES = block("list_repair_candidates")


class Repair:
    """See :class:`dwserver.store.repair.Repair`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def repair_candidates(
        self,
        *,
        now: int,
        overdue_before: int,
        run_ids: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[RepairCandidate]:
        rows = await self._pool.fetch(
            _LIST_REPAIR_CANDIDATES,
            overdue_before,
            now,
            None if run_ids is None else list(run_ids),
            MAX_CANDIDATES,
            namespace,
        )
        return [RepairCandidate(*row) for row in rows]
