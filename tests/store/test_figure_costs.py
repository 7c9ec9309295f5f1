"""What the figures of operators cost does not grow with the data."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import asyncpg
import orjson
import pytest

from dwserver.store.figures import statements
from dwserver.store.opening import open_store
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import SESSION_PROFILE
from dwserver.store.sqlite.statements import BLOCKS
from tests.store.test_figures import QUERY
from tests.support.builders import NOON

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

CLOSED, OPEN = 100_000, 20_000
BOUND = 1000
SMALL = replace(QUERY, rows=BOUND, histories=BOUND, first_id="t", end_id="u")

RUNS = """
insert into runs (
    id, namespace, workflow_id, workflow_type, run_number, status, status_bucket,
    task_queue, payload_codec, started_at, last_progress_at, version, last_sequence,
    last_step, history_bytes, command_sequence, priority, task_failures, batch_first,
    batch_size, batch_resolved_sequence, inherits_children, closed_at, closed_reason,
    archived_at, sibling_of
)
select 'r' || n, 'default', 'w' || n, 'type-' || (n % 5), 1, {status}, '{bucket}',
    'queue', 'avro', {noon} - n, {noon} - n, 1, 20, 1, 5000, 1, 5, {failures}, 1, 1, 0,
    false, {closed_at}, {reason}, {archived}, case when n % 10 = 0 then 'w' || n end
from {numbers}
"""
OPEN_RUN = {
    "status": "'pending'",
    "bucket": "running",
    "failures": "1",
    "closed_at": "null",
    "reason": "null",
    "archived": "null",
}
CLOSED_RUN = {
    "status": "'completed'",
    "bucket": "completed",
    "failures": "0",
    "closed_at": f"{NOON} - n",
    "reason": "'completed'",
    "archived": f"case when n % 3 = 0 then {NOON} end",
}
REST = (
    """
insert into instances
select 'default', 'w' || n, 'type', 'r' || (n + 1), 'r' || n, 1, n from {numbers}
""",
    """
insert into tasks (
    id, run_id, namespace, kind, status, queue, type_name, available_at, ready_at,
    created_at, priority, attempt, repair_count, leased_at, lease_expires_at,
    snapshot_sequence, activity_id, closed_at
)
select 't' || n, 'r' || n, 'default', case when n % 2 = 0 then 'workflow' else
    'activity' end, case n % 4 when 0 then 'ready' when 1 then 'ready' when 2 then
    'leased' else 'completed' end, 'queue-' || (n % 3), 'type', {noon} - n,
    case when n % 4 < 2 then {noon} - n end, {noon}, 5, 1, 0, {noon}, {noon} + n, 0,
    'a' || n, case when n % 4 = 3 then {noon} end
from {numbers}
""",
    """
insert into activities (
    id, run_id, step, batch, activity_type, status, queue, payload_codec, digest,
    created_at, attempt_count, is_held
)
select 'a' || n, 'r' || n, 1, 1, 'type', 'pending', 'queue', 'avro', 'digest', n, 1,
    false
from {numbers}
""",
    """
insert into activity_attempts
select 'p' || n, 'a' || n, 't' || n, 'r' || n, 1, 'failed', 'w', n, n from {numbers}
""",
)


def seeds(numbers: str) -> list[str]:
    """``numbers``: the open runs' or the closed ones' as a table ``g(n)``."""

    def series(first: int, last: int) -> str:
        return numbers.format(first=first, last=last)

    opened, closed = series(1, OPEN), series(OPEN + 1, OPEN + CLOSED)
    return [
        RUNS.format(numbers=opened, noon=NOON, **OPEN_RUN),
        RUNS.format(numbers=closed, noon=NOON, **CLOSED_RUN),
        *(text.format(numbers=series(1, OPEN), noon=NOON) for text in REST),
    ]


def blocks() -> dict[str, tuple[object, ...]]:
    failing = ("default", BOUND, 20)
    return {**statements(SMALL), "list_failing_types": failing}


async def test_postgres_looks_at_no_more_rows_than_the_bound(
    postgres_url: str,
) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(SESSION_PROFILE)
        for seed in seeds("generate_series({first}, {last}) g(n)"):
            await connection.execute(seed)
        await connection.execute("analyze")
        looked_at = {
            name: await _rows_of(connection, block(name), arguments)
            for name, arguments in blocks().items()
        }
    finally:
        await connection.close()
    # A row and what it is joined with; leases are read as a whole, being few.
    most = {"sum_leased_tasks": OPEN, "sum_open_activities": OPEN}
    assert {
        name: rows
        for name, rows in looked_at.items()
        if rows > most.get(name, 0) + 6 * BOUND
    } == {}


async def _rows_of(
    connection: asyncpg.Connection, text: str, arguments: tuple[object, ...]
) -> float:
    explained = await connection.fetchval(
        f"explain (analyze, format json) {text}", *arguments
    )
    return sum(_scanned(orjson.loads(explained)[0]["Plan"]))


def _scanned(plan: dict[str, Any]) -> list[float]:
    """Rows that each scan of a table or an index gave or threw away."""
    rows = 0.0
    if re.search(r"(Seq|Index|Index Only|Bitmap Heap) Scan", plan["Node Type"]):
        removed = plan.get("Rows Removed by Filter", 0)
        rows = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return [rows, *(n for each in plan.get("Plans", ()) for n in _scanned(each))]


STEPS = 1000
MANY_STEPS = 100 * BOUND + 40 * OPEN // 4
SERIES = (
    "(with recursive g(n) as (select {first} union all select n + 1 from g "
    "where n < {last}) select n from g) g"
)


async def test_sqlite_takes_no_more_steps_than_the_bound_allows(
    sqlite_url: str,
) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    taken = await asyncio.to_thread(_steps_of_all, path)
    assert {name: steps for name, steps in taken.items() if steps > MANY_STEPS} == {}


def _steps_of_all(path: str) -> dict[str, int]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for seed in seeds(SERIES):
            connection.execute(seed)
        return {
            name: _steps(connection, BLOCKS[name], arguments)
            for name, arguments in blocks().items()
        }


def _steps(
    connection: sqlite3.Connection, text: str, arguments: tuple[object, ...]
) -> int:
    """Of the virtual machine."""
    count = 0

    def step() -> int:
        nonlocal count
        count += STEPS
        return 0

    connection.set_progress_handler(step, STEPS)
    connection.execute(text, arguments).fetchall()
    connection.set_progress_handler(None, STEPS)
    return count


async def test_all_figures_of_100000_runs_agree_on_both_databases(
    sqlite_url: str, postgres_url: str
) -> None:
    await asyncio.to_thread(_steps_of_all, sqlite_url.removeprefix("sqlite:///"))
    connection = await asyncpg.connect(postgres_url)
    for seed in seeds("generate_series({first}, {last}) g(n)"):
        await connection.execute(seed)
    await connection.close()
    query = replace(SMALL, rows=200_000, histories=10_000)
    found = []
    for url in (sqlite_url, postgres_url):
        store = open_store(url)
        await store.open()
        try:
            figures = await store.operator_figures(query)
            found.append(replace(figures, ready=tuple(sorted(figures.ready, key=str))))
        finally:
            await store.close()
    assert found[0] == found[1]
    assert found[0].open_runs.runs == OPEN
    assert sum(found[0].closed.values()) + sum(found[0].archived.values()) == CLOSED
