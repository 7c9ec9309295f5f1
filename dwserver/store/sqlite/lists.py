"""Reads for operators: describe and lists.

Functions of a connection, called on a reader thread. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3

from dwserver.engine.model import Failure
from dwserver.store.api import RunCursor, RunFilter, RunView
from dwserver.store.sqlite import records
from dwserver.store.sqlite.reads import fetch, fetch_one

# Before every row: newer than the newest one.
_FIRST = RunCursor(2**63 - 1, "")
# By whether there is a workflow type, and a bucket.
_LIST_BLOCKS = {
    (False, False): "list_runs",
    (False, True): "list_runs_in_bucket",
    (True, False): "list_runs_of_type",
    (True, True): "list_runs_of_type_in_bucket",
}


def find_run_view(
    connection: sqlite3.Connection, namespace: str, run_id: str
) -> RunView | None:
    convert = records.to_run_view
    return fetch_one(connection, convert, "find_run_view", namespace, run_id)


def list_runs(
    connection: sqlite3.Connection,
    run_filter: RunFilter,
    *,
    after: RunCursor | None,
    limit: int,
) -> list[RunView]:
    """Every filter follows an index in the order of the list, so that a page costs the
    same wherever it begins."""
    start = after or _FIRST
    workflow_type, bucket = run_filter.workflow_type, run_filter.bucket
    block = _LIST_BLOCKS[workflow_type is not None, bucket is not None]
    rows = fetch(
        connection,
        block,
        run_filter.namespace,
        start.started_at,
        start.run_id,
        limit,
        run_filter.text,
        *(value for value in (workflow_type, bucket) if value is not None),
    )
    return [records.to_run_view(row) for row in rows]


def list_runs_of_instance(
    connection: sqlite3.Connection, namespace: str, workflow_id: str
) -> list[RunView]:
    rows = fetch(connection, "list_runs_of_instance", namespace, workflow_id)
    return [records.to_run_view(row) for row in rows]


def list_failures_of_run(
    connection: sqlite3.Connection, run_id: str, *, limit: int
) -> list[Failure]:
    rows = fetch(connection, "list_failures_of_run", run_id, limit)
    return [records.to_failure(row) for row in rows]
