"""Closed runs that are old enough, and what is deleted of them.

Functions of a connection: ``prune_run`` is called on the writer thread, the others on a
reader. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from dwserver.store.api import ClosedRun, RunPart
from dwserver.store.sqlite.reads import fetch, to_array
from dwserver.store.sqlite.statements import BLOCKS

_FIRST = ClosedRun("", 0)


def list_expired_runs(
    connection: sqlite3.Connection,
    namespace: str,
    *,
    closed_before: int,
    after: ClosedRun | None,
    limit: int,
) -> list[ClosedRun]:
    start = after or _FIRST
    rows = fetch(
        connection,
        "list_expired_runs",
        *(namespace, closed_before, start.closed_at, start.run_id, limit),
    )
    return [ClosedRun(row["id"], row["closed_at"]) for row in rows]


def list_runs_under_open_ones(
    connection: sqlite3.Connection, run_ids: Sequence[str]
) -> set[str]:
    rows = fetch(connection, "list_runs_under_open_ones", to_array(run_ids))
    return {row["run_id"] for row in rows}


def prune_run(
    connection: sqlite3.Connection, namespace: str, run_id: str, *, at: int
) -> Mapping[RunPart, int] | None:
    if not connection.execute(BLOCKS["prune_run"], (namespace, run_id, at)).rowcount:
        return None
    return {
        part: connection.execute(BLOCKS[f"delete_{part}"], (run_id,)).rowcount
        for part in RunPart
    }
