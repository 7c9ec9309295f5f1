"""Tasks that do not move."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dwserver.store.repair import MAX_CANDIDATES, RepairCandidate
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch, to_array


class Repair(OnThreads):
    """See :class:`dwserver.store.repair.Repair`."""

    async def repair_candidates(
        self,
        *,
        now: int,
        overdue_before: int,
        run_ids: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[RepairCandidate]:
        named = None if run_ids is None else to_array(run_ids)
        return await self._list(
            _candidates, overdue_before, now, named, MAX_CANDIDATES, namespace
        )


def _candidates(connection: sqlite3.Connection, *args: object) -> list[RepairCandidate]:
    rows = fetch(connection, "list_repair_candidates", *args)
    return [RepairCandidate(*row.values()) for row in rows]
