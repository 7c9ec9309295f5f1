"""What a database holds, read past the server: for checkers, never written to."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import orjson

from tests.support.history_rules import HistoryEvent
from tests.support.probes import run_in_thread

QUERIES = {
    "runs": "select id, workflow_id, workflow_type, status, status_bucket,"
    " closed_reason, closed_at, last_sequence, last_step, command_sequence, namespace"
    " from runs order by id",
    "events": "select run_id, sequence, event_type, payload"
    " from history_events order by run_id, sequence",
    "tasks": "select id, run_id, kind, status, attempt, closed_at"
    " from tasks order by id",
    "activities": "select id, run_id, step, status, attempt_count, closed_at, is_held"
    " from activities order by run_id, step",
    "timers": "select id, run_id, step, status, closed_at, is_held"
    " from timers order by run_id, step",
    "children": "select run_id, step, status, child_run_id, closed_at, is_held"
    " from children order by run_id, step",
    "waits": "select run_id, step, status, closed_at, is_held"
    " from waits order by run_id, step",
    "messages": "select 'signal' as kind, id, run_id, sequence, status, event_sequence"
    " from signals union all"
    " select 'update', id, run_id, sequence, status, event_sequence from updates"
    " order by run_id, sequence",
    "outbox": "select id, kind, run_id from outbox order by id",
    "instances": "select workflow_id, current_run_id, run_count, namespace"
    " from instances order by namespace, workflow_id",
    "commands": "select id, run_id, sequence from commands order by run_id, sequence",
}
OPEN_RUNS = "select count(*) from runs where status_bucket = 'running'"

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredRun:
    id: str
    workflow_id: str
    workflow_type: str
    status: str
    status_bucket: str
    closed_reason: str | None
    closed_at: int | None
    last_sequence: int
    last_step: int
    command_sequence: int
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class StoredTask:
    id: str
    run_id: str
    kind: str
    status: str
    attempt: int
    closed_at: int | None


@dataclass(frozen=True, slots=True)
class StoredActivity:
    id: str
    run_id: str
    step: int
    status: str
    attempt_count: int
    closed_at: int | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class StoredTimer:
    id: str
    run_id: str
    step: int
    status: str
    closed_at: int | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class StoredChild:
    run_id: str
    step: int
    status: str
    child_run_id: str
    closed_at: int | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class StoredWait:
    run_id: str
    step: int
    status: str
    closed_at: int | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A signal or an update; ``event_sequence`` is 0 until it is in history."""

    kind: str
    id: str
    run_id: str
    sequence: int
    status: str
    event_sequence: int


@dataclass(frozen=True, slots=True)
class StoredWork:
    """What the outbox holds."""

    id: str
    kind: str
    run_id: str


@dataclass(frozen=True, slots=True)
class StoredInstance:
    workflow_id: str
    current_run_id: str
    run_count: int
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class StoredCommand:
    id: str
    run_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class StoredState:
    """One consistent snapshot. ``histories`` and ``held`` are keyed by run id.

    ``held``: events that wait for an earlier step and have no number yet.
    """

    runs: Sequence[StoredRun]
    histories: Mapping[str, Sequence[HistoryEvent]]
    held: Mapping[str, Sequence[HistoryEvent]]
    tasks: Sequence[StoredTask]
    activities: Sequence[StoredActivity]
    timers: Sequence[StoredTimer]
    instances: Sequence[StoredInstance]
    commands: Sequence[StoredCommand]
    children: Sequence[StoredChild] = ()
    waits: Sequence[StoredWait] = ()
    messages: Sequence[StoredMessage] = ()
    outbox: Sequence[StoredWork] = ()


def read_state(url: str) -> StoredState:
    """Everything of the durable model that checkers look at."""
    return _state(_read_all(url, QUERIES))


def count_open_runs(url: str) -> int:
    """Runs that have not ended."""
    [row] = _read_all(url, {"open": OPEN_RUNS})["open"]
    (count,) = row.values()
    return int(count)


def _read_all(url: str, queries: Mapping[str, str]) -> dict[str, list[Row]]:
    if url.startswith("sqlite:"):
        return _read_sqlite(url.removeprefix("sqlite:///"), queries)
    return run_in_thread(_read_postgres(url, queries))


def _read_sqlite(path: str, queries: Mapping[str, str]) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("begin")
        return {
            name: [dict(row) for row in connection.execute(text)]
            for name, text in queries.items()
        }


async def _read_postgres(url: str, queries: Mapping[str, str]) -> dict[str, list[Row]]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {
                name: [dict(row) for row in await connection.fetch(text)]
                for name, text in queries.items()
            }
    finally:
        await connection.close()


def _records(make: Callable[..., Any], rows: Iterable[Row]) -> list[Any]:
    return [make(**row) for row in rows]


def _state(rows: Mapping[str, Sequence[Row]]) -> StoredState:
    histories: dict[str, list[HistoryEvent]] = defaultdict(list)
    held: dict[str, list[HistoryEvent]] = defaultdict(list)
    for row in rows["events"]:
        event = HistoryEvent(
            row["sequence"], row["event_type"], orjson.loads(row["payload"])
        )
        target = histories if event.sequence > 0 else held
        target[row["run_id"]].append(event)
    return StoredState(
        runs=_records(StoredRun, rows["runs"]),
        histories=histories,
        held=held,
        tasks=_records(StoredTask, rows["tasks"]),
        activities=_records(StoredActivity, rows["activities"]),
        timers=_records(StoredTimer, rows["timers"]),
        instances=_records(StoredInstance, rows["instances"]),
        commands=_records(StoredCommand, rows["commands"]),
        children=_records(StoredChild, rows["children"]),
        waits=_records(StoredWait, rows["waits"]),
        messages=_records(StoredMessage, rows["messages"]),
        outbox=_records(StoredWork, rows["outbox"]),
    )
