"""Every filter of the run list follows the index that was made for it, on both
databases, and a page deep in the list costs what the first one does.

A session keeps the plan that it has made: the tables may have been empty then, or full
and not analysed yet.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import asyncpg
import orjson
import pytest

from dwserver.engine.run_conditions import (
    AttributeCondition,
    Operator,
    RunColumn,
    RunCondition,
)
from dwserver.engine.search_attributes import AttributeType
from dwserver.engine.words import StatusBucket
from dwserver.store.api import RunCursor, RunFilter
from dwserver.store.postgres import operator_reads
from dwserver.store.postgres.connections import SESSION_PROFILE
from dwserver.store.run_page_sql import Dialect, Statement, page_statement
from dwserver.store.run_pages import plan_page
from dwserver.store.sqlite import lists
from tests.store.postgres_plans import leave_statistics_alone, nodes

RUNS = 20_000
LIMIT = 51
DEEP = RunCursor(RUNS // 2, "r")

Op, Column, Type = Operator, RunColumn, AttributeType


def on(*conditions: RunCondition | AttributeCondition, **rest: Any) -> RunFilter:
    return RunFilter("default", conditions=conditions, **rest)


def run(column: RunColumn, operator: Operator, *values: Any) -> RunCondition:
    return RunCondition(column, operator, values)


def attribute(
    name: str, value_type: AttributeType, operator: Operator, *values: Any
) -> AttributeCondition:
    return AttributeCondition(name, value_type, operator, values)


WAITING = run(Column.STATUS, Op.EQ, "waiting")
LATE = run(Column.STARTED_AT, Op.GE, 10)
QUEUE = run(Column.TASK_QUEUE, Op.EQ, "queue-1")
REGION = attribute("Region", Type.KEYWORD, Op.EQ, "region-1")
AMOUNT = attribute("Amount", Type.INT, Op.GE, 3)

# Filter → the index that leads to its runs.
FILTERS: dict[str, tuple[RunFilter, str]] = {
    "everything": (on(), "runs_list"),
    "bucket": (on(bucket=StatusBucket.RUNNING), "runs_list"),
    "status": (on(WAITING), "runs_list"),
    "not a status": (on(run(Column.STATUS, Op.NE, "failed")), "runs_list"),
    "started": (on(LATE), "runs_list"),
    "closed": (on(run(Column.CLOSED_AT, Op.GT, 20)), "runs_list"),
    "queue": (on(QUEUE), "runs_list"),
    "build": (on(run(Column.COMPATIBILITY, Op.EQ, "b1", "b2")), "runs_list"),
    "text": (on(text="7"), "runs_list"),
    "text in bucket": (on(text="7", bucket=StatusBucket.COMPLETED), "runs_list"),
    "not an attribute": (
        on(attribute("Region", Type.KEYWORD, Op.NE, "region-1")),
        "runs_list",
    ),
    "not in a list": (
        on(attribute("Tags", Type.KEYWORD_LIST, Op.NE, "tag-1")),
        "runs_list",
    ),
    "type": (on(workflow_type="type-1"), "runs_list_by_type"),
    "type and bucket": (
        on(workflow_type="type-1", bucket=StatusBucket.COMPLETED),
        "runs_list_by_type",
    ),
    "types": (
        on(run(Column.WORKFLOW_TYPE, Op.EQ, "type-1", "type-2"), QUEUE, LATE),
        "runs_list_by_type",
    ),
    "type and text": (on(workflow_type="type-1", text="w"), "runs_list_by_type"),
    "workflow id": (on(run(Column.WORKFLOW_ID, Op.EQ, "w1")), "instances_pkey"),
    "workflow ids": (
        on(run(Column.WORKFLOW_ID, Op.EQ, "w1", "w2"), QUEUE, LATE),
        "instances_pkey",
    ),
    "run ids": (on(run(Column.RUN_ID, Op.EQ, "r1", "r2")), "runs_pkey"),
    "attribute": (on(REGION), "run_attributes_terms"),
    "attribute and more": (
        on(REGION, WAITING, LATE, QUEUE, AMOUNT, workflow_type="type-1", text="w"),
        "run_attributes_terms",
    ),
    "one of a list": (
        on(attribute("Tags", Type.KEYWORD_LIST, Op.EQ, "tag-1", "tag-2")),
        "run_attributes_terms",
    ),
    "boolean": (on(attribute("Flag", Type.BOOL, Op.EQ, True)), "run_attributes_terms"),
    "number": (on(AMOUNT), "run_attributes_numbers"),
    "number of a type": (on(AMOUNT, workflow_type="type-1"), "run_attributes_numbers"),
    "real number": (
        on(attribute("Amount", Type.DOUBLE, Op.LT, 3.5)),
        "run_attributes_numbers",
    ),
    "instant": (
        on(attribute("DueAt", Type.DATETIME, Op.EQ, 3, 4)),
        "run_attributes_numbers",
    ),
}
# Few runs, which are sorted; what the others skip on their way depends on the data.
UNORDERED = {"workflow id", "workflow ids", "run ids"}
MOST_ROWS_OF_LOOK_UPS = 12
LOOK_UPS = {"instances_pkey", "run_imports_pkey", "runs_pkey", "runs_siblings"}

ROWS = {
    "instances": "'default', 'w' || n, 'type-' || (n % 5), 'r' || n, 'r' || n, 1, n",
    """runs (
        id, namespace, workflow_id, workflow_type, run_number, status, status_bucket,
        task_queue, payload_codec, started_at, last_progress_at, version,
        last_sequence, last_step, history_bytes, command_sequence, priority,
        task_failures, batch_first, batch_size, batch_resolved_sequence,
        inherits_children, closed_at, compatibility, sibling_of
    )""": """'r' || n, 'default', 'w' || n, 'type-' || (n % 5), 1,
        case n % 4 when 0 then 'waiting' when 1 then 'failed' else 'completed' end,
        case n % 4 when 0 then 'running' when 1 then 'failed' else 'completed' end,
        'queue-' || (n % 3), 'avro', n, n, 1, 2, 1, 100, 1, 5, 0, 1, 1, 0, {false},
        case when n % 4 > 0 then n + 30 end, 'b' || (n % 3),
        case when n % 3 = 0 then 'w' || (n - 1) end""",
    "run_attributes": """'r' || n, 'Region', 'string', 'region-' || (n % 3), 'default',
        n, null, null""",
    "run_attributes ": """'r' || n, 'Tags', 'member', 'tag-' || (n % 3), 'default', n,
        null, null""",
    "run_attributes  ": """'r' || n, 'Flag', 'boolean',
        case when n % 2 = 0 then 'true' else 'false' end, 'default', n, null, null""",
    "run_attributes   ": """'r' || n, 'Amount', 'integer', '' || (n % 7), 'default', n,
        n % 7, n % 7""",
    "run_attributes    ": """'r' || n, 'DueAt', 'string', '' || (n % 7), 'default', n,
        n % 7, n % 7""",
}


def seeds(*, series: str, false: str) -> list[str]:
    return [
        f"insert into {table} select {columns.replace('{false}', false)} from {series}"  # noqa: S608
        for table, columns in ROWS.items()
    ]


def statement(name: str, after: RunCursor | None, dialect: Dialect) -> Statement:
    run_filter = FILTERS[name][0]
    page = plan_page(run_filter, after)
    return page_statement(
        page,
        namespace="default",
        text=run_filter.text,
        limit=LIMIT,
        dialect=dialect,
    )


SEEDS = tuple(seeds(series=f"generate_series(1, {RUNS}) n", false="false"))

# PostgreSQL --------------------------------------------------------------------------


async def analysed(connection: asyncpg.Connection, wanted: Statement) -> dict[str, Any]:
    """The plan that the statement ran by, in the way that the server's sessions run
    it."""
    values = ", ".join(literal(value) for value in wanted.arguments)
    await connection.execute(f"prepare probe as {wanted.text}")
    explained = await connection.fetchval(
        f"explain (analyze, buffers, format json) execute probe({values})"
    )
    await connection.execute("deallocate probe")
    plan: dict[str, Any] = orjson.loads(explained)[0]["Plan"]
    return plan


def literal(value: object) -> str:
    if isinstance(value, list):
        return f"'{{{','.join(map(str, value))}}}'"
    return f"'{value}'"


def leading_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The scans that lead to the runs of each branch: its outermost ones."""
    for node in nodes(plan):
        if node["Node Type"] != "Limit" or "Subplan Name" in node:
            continue
        below = node["Plans"][0]
        while below["Node Type"] in {"Nested Loop", "Sort", "Incremental Sort"}:
            below = below["Plans"][0]
        if "Index Name" in below:
            yield below


def rows_read(plan: dict[str, Any]) -> int:
    """Rows that the scans have found, or have found and left out."""
    scans = [node for node in nodes(plan) if "Relation Name" in node]
    removed = "Rows Removed by Filter"
    return sum(
        n["Actual Loops"] * (n["Actual Rows"] + n.get(removed, 0)) for n in scans
    )


def pages_touched(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


# What happens to the tables, which nothing else analyses.
STATES: dict[str, tuple[str, ...]] = {
    "empty": (),
    "new": SEEDS,
    "vacuumed": (*SEEDS, "vacuum"),
    "analysed": (*SEEDS, "vacuum analyze"),
}


@pytest.mark.parametrize("state", STATES)
async def test_postgres_follows_the_index_of_each_filter(
    postgres_url: str, state: str
) -> None:
    is_seeded = state != "empty"
    connection = await asyncpg.connect(postgres_url)
    try:
        await leave_statistics_alone(connection)
        await connection.execute(SESSION_PROFILE)
        for seed in STATES[state]:
            await connection.execute(seed)
        for name, (_, index) in FILTERS.items():
            first = await analysed(
                connection, statement(name, None, operator_reads.PAGES)
            )
            scanned = [n for n in nodes(first) if n["Node Type"] == "Seq Scan"]
            assert scanned == [], name
            if name in UNORDERED:
                used = {n["Index Name"] for n in nodes(first) if "Index Name" in n}
                assert index in used <= LOOK_UPS, name
                assert rows_read(first) <= MOST_ROWS_OF_LOOK_UPS, name
                continue
            leading = {node["Index Name"] for node in leading_nodes(first)}
            assert leading == {index}, name
            if not is_seeded:
                continue
            assert first["Actual Rows"] == LIMIT, name
            deep = await analysed(
                connection, statement(name, DEEP, operator_reads.PAGES)
            )
            assert deep["Actual Rows"] == LIMIT, name
            assert pages_touched(deep) <= 2 * pages_touched(first), name
            # Nothing is read beyond what the page needs and skips.
            read = sum(n["Actual Rows"] for n in leading_nodes(deep))
            assert read < RUNS / 8, name
    finally:
        await connection.close()


# SQLite ------------------------------------------------------------------------------

# Branches and what is made of them; a scan of these reads a page at most.
MADE_HERE = re.compile(r"SCAN (found|page|b|json_each)\b")
SERIES = f"""(
    with recursive s(n) as (select 1 union all select n + 1 from s where n < {RUNS})
    select n from s
)"""  # noqa: S608


def to_sqlite(wanted: Statement) -> str:
    return re.sub(r"\$(\d+)", r"?\1", wanted.text)


def steps(connection: sqlite3.Connection, wanted: Statement) -> tuple[int, int]:
    """The rows of a statement, and the instructions that it took."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection.set_progress_handler(count, 1)
    rows = connection.execute(to_sqlite(wanted), wanted.arguments).fetchall()
    connection.set_progress_handler(None, 0)
    return len(rows), taken


@pytest.mark.parametrize("state", ["empty", "seeded", "analysed"])
async def test_sqlite_follows_the_index_of_each_filter(
    sqlite_url: str, state: str
) -> None:
    is_seeded = state != "empty"
    is_analysed = state == "analysed"
    await asyncio.to_thread(
        check_sqlite, sqlite_url, is_seeded=is_seeded, is_analysed=is_analysed
    )


def check_sqlite(url: str, *, is_seeded: bool, is_analysed: bool) -> None:
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if is_seeded:
            connection.execute("begin")
            for seed in seeds(series=SERIES, false="0"):
                connection.execute(seed)
            connection.execute("commit")
        if is_analysed:
            connection.execute("analyze")
        for name, (_, index) in FILTERS.items():
            wanted = statement(name, None, lists.PAGES)
            plan = connection.execute(
                f"explain query plan {to_sqlite(wanted)}", wanted.arguments
            )
            details = [row[3] for row in plan]
            named = index.replace("_pkey", "")
            is_used = [
                d for d in details if re.search(rf"\b{named}\b|sqlite_auto.*", d)
            ]
            assert is_used, (name, details)
            scans = [d for d in details if d.startswith("SCAN")]
            assert [d for d in scans if not MADE_HERE.match(d)] == [], name
            if not is_seeded or name in UNORDERED:
                continue
            found, first = steps(connection, wanted)
            assert found == LIMIT, name
            found, deep = steps(connection, statement(name, DEEP, lists.PAGES))
            assert found == LIMIT, name
            assert deep <= 2 * first, name
