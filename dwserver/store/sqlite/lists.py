"""Reads for operators: describe and lists.

Functions of a connection, called on a reader thread. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import re
import sqlite3

from dwserver.engine.model import Failure
from dwserver.store.api import RunCursor, RunFilter, RunPlace, RunView
from dwserver.store.run_page_sql import Dialect, page_statement
from dwserver.store.run_pages import plan_page
from dwserver.store.sqlite import records
from dwserver.store.sqlite.reads import fetch, fetch_one
from dwserver.store.sqlite.rows import encode_json
from dwserver.store.sqlite.statements import BLOCKS

PAGES = Dialect(
    blocks=BLOCKS,
    among="{column} in (select value from json_each({value}))",
    contains="instr({column}, {value}) > 0",
    bound_list=lambda values: encode_json(values).decode(),
)
_ARGUMENT = re.compile(r"\$(\d+)")


def find_run_view(
    connection: sqlite3.Connection, namespace: str, run_id: str
) -> RunView | None:
    convert = records.to_run_view
    return fetch_one(connection, convert, "find_run_view", namespace, run_id)


def find_run_place(connection: sqlite3.Connection, run_id: str) -> RunPlace | None:
    return fetch_one(connection, records.to_run_place, "find_run_place", run_id)


def list_runs(
    connection: sqlite3.Connection,
    run_filter: RunFilter,
    *,
    after: RunCursor | None,
    limit: int,
) -> list[RunView]:
    page = plan_page(run_filter, after)
    if not page.buckets:
        return []
    statement = page_statement(
        page,
        namespace=run_filter.namespace,
        text=run_filter.text,
        limit=limit,
        dialect=PAGES,
    )
    text = _ARGUMENT.sub(r"?\1", statement.text)
    rows = connection.execute(text, statement.arguments).fetchall()
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
