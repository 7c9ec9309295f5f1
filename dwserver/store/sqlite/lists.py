"""Reads for operators: describe and lists.

Functions of a connection, called on a reader thread. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from operator import itemgetter

from dwserver.engine.model import Failure
from dwserver.engine.words import StatusBucket
from dwserver.store.api import RunCursor, RunFilter, RunView
from dwserver.store.sqlite import records
from dwserver.store.sqlite.reads import fetch, fetch_one, snapshot

# Before every row: newer than the newest one.
_FIRST = RunCursor(2**63 - 1, "")


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
    same wherever it begins; without one the pages of all buckets are merged."""
    start = after or _FIRST
    page = (
        run_filter.namespace,
        start.started_at,
        start.run_id,
        limit,
        run_filter.text,
    )
    bucket, workflow_type = run_filter.bucket, run_filter.workflow_type
    if workflow_type is not None:
        rows = fetch(connection, "list_runs_of_type", *page, workflow_type, bucket)
    elif bucket is not None:
        rows = fetch(connection, "list_runs_in_bucket", *page, bucket)
    else:
        with snapshot(connection):
            rows = [
                row
                for each in StatusBucket
                for row in fetch(connection, "list_runs_in_bucket", *page, each)
            ]
        rows.sort(key=itemgetter("started_at", "id"), reverse=True)
    return [records.to_run_view(row) for row in rows[:limit]]


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
