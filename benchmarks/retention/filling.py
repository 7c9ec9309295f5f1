"""A database full of old closed runs: one that was really run, many times over."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.retention.databases import Database

CLOSED_AGO_DAYS = 400
_DAY_MICROS = 86_400 * 10**6
_ONE = (
    "select id from runs where closed_at is not null and status = 'completed' "
    "order by id limit 1"
)


@dataclass(frozen=True, slots=True)
class Filled:
    """``rows``: what each run has beside its own row and its workflow id."""

    runs: int
    rows: int
    seconds: float


def fill(database: Database, runs: int) -> Filled:
    """Copy a completed run of the database ``runs`` times. What names a row or another
    one gets the number of the copy behind it; the copies closed long ago."""
    began = time.monotonic()
    ((run_id,),) = database.execute(database.url, _ONE)
    of_runs = {
        table: columns
        for table in database.tables()
        if "run_id" in (columns := database.columns(table))
    }
    rows = 0
    for table, columns in of_runs.items():
        where = f"run_id = '{run_id}'"
        counted = f"select count(*) from {table} where {where}"  # noqa: S608
        rows += int(database.execute(database.url, counted)[0][0])
        _multiply(database, table, columns, where=where, runs=runs)
    for table, key in (("instances", "current_run_id"), ("runs", "id")):
        columns = database.columns(table)
        _multiply(database, table, columns, where=f"{key} = '{run_id}'", runs=runs)
    database.settle()
    return Filled(runs, rows, round(time.monotonic() - began, 1))


def keep_for(database: Database, url: str, days: int) -> None:
    """Set the retention of all namespaces, before a server serves them."""
    changed = f"update namespaces set retention_days = {days}"  # noqa: S608
    database.execute(url, changed)


def count_pruned(database: Database, url: str) -> int:
    found = "select count(*) from runs where pruned_at is not null"
    return int(database.execute(url, found)[0][0])


def _multiply(
    database: Database, table: str, columns: list[str], *, where: str, runs: int
) -> None:
    closed_at = f"{time.time_ns() // 1000 - CLOSED_AGO_DAYS * _DAY_MICROS} + c.n"
    values = [
        closed_at if (table, column) == ("runs", "closed_at") else _copied(column)
        for column in columns
    ]
    database.execute(
        database.url,
        f"insert into {table} ({', '.join(columns)}) "  # noqa: S608
        f"select {', '.join(values)} "
        f"from (select * from {table} where {where}) t "
        f"cross join (select n from {database.numbers(runs)}) c",
    )


def _copied(column: str) -> str:
    names_a_row = column == "id" or column.endswith("_id")
    return f"t.{column} || '-' || c.n" if names_a_row else f"t.{column}"
