"""Reads of requests: the slices that decisions and deliveries need.

Functions of a connection, called on a reader thread. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from dwserver.engine.model import (
    Child,
    ClosedAttempt,
    Command,
    Instance,
    OutboxEntry,
    Payload,
    Run,
    RunInput,
    RunState,
    Task,
    Update,
)
from dwserver.engine.rows import by_id, by_sequence, by_step
from dwserver.engine.words import CommandType, TaskKind
from dwserver.store.api import (
    ActivityPlace,
    Definitions,
    DueActivity,
    DueRun,
    DueTimer,
    ExpiredLease,
    Overdue,
    QueueKey,
    ReadyTask,
    StoredEvent,
)
from dwserver.store.sqlite import records
from dwserver.store.sqlite.records import Columns
from dwserver.store.sqlite.rows import encode_json
from dwserver.store.sqlite.statements import BLOCKS

_NO_END = 2**63 - 1

Record = TypeVar("Record")


def fetch(connection: sqlite3.Connection, block: str, *args: object) -> list[Columns]:
    rows: list[Columns] = connection.execute(BLOCKS[block], args).fetchall()
    return rows


def fetch_one(
    connection: sqlite3.Connection,
    convert: Callable[[Columns], Record],
    block: str,
    *args: object,
) -> Record | None:
    rows = fetch(connection, block, *args)
    return convert(rows[0]) if rows else None


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Several statements see one state of the database."""
    connection.execute("begin")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def to_array(keys: Sequence[str] | Sequence[int]) -> str:
    return encode_json(list(keys)).decode()


_PARTS: dict[str, tuple[Callable[[Columns], Any], Callable[[Any], Any]]] = {
    "tasks": (records.to_task, by_id),
    "activities": (records.to_activity, by_step),
    "timers": (records.to_timer, by_step),
    "children": (records.to_child, by_step),
    "waits": (records.to_wait, by_step),
    "signals": (records.to_signal, by_sequence),
    "updates": (records.to_update, by_sequence),
}


def load_runs(
    connection: sqlite3.Connection, run_ids: Sequence[str]
) -> dict[str, RunState]:
    """The hot states of the runs that exist, by id."""
    ids = to_array(run_ids)
    with snapshot(connection):
        runs = [records.to_run(row) for row in fetch(connection, "load_runs", ids)]
        found = {part: fetch(connection, f"load_{part}", ids) for part in _PARTS}
    states: dict[str, dict[str, Any]] = {
        run.id: {part: {} for part in _PARTS} for run in runs
    }
    for part, (convert, key) in _PARTS.items():
        for record in map(convert, found[part]):
            states[record.run_id][part][key(record)] = record
    return {run.id: RunState(run, **states[run.id]) for run in runs}


def find_instance(
    connection: sqlite3.Connection, namespace: str, workflow_id: str
) -> Instance | None:
    convert = records.to_instance
    return fetch_one(connection, convert, "find_instance", namespace, workflow_id)


def find_task(
    connection: sqlite3.Connection, namespace: str, task_id: str
) -> Task | None:
    return fetch_one(connection, records.to_task, "find_task", namespace, task_id)


def find_closed_attempt(
    connection: sqlite3.Connection, attempt_id: str
) -> ClosedAttempt | None:
    convert = records.to_closed_attempt
    return fetch_one(connection, convert, "find_closed_attempt", attempt_id)


def find_run_input(connection: sqlite3.Connection, run_id: str) -> RunInput | None:
    rows = fetch(connection, "list_run_inputs", to_array([run_id]))
    return records.to_run_input(rows[0]) if rows else None


def list_activity_arguments(
    connection: sqlite3.Connection, activity_ids: Sequence[str]
) -> dict[str, Payload | None]:
    rows = fetch(connection, "list_activity_arguments", to_array(activity_ids))
    return {
        row["id"]: records.to_payload(row["arguments_codec"], row["arguments"])
        for row in rows
    }


def list_message_payloads(
    connection: sqlite3.Connection, run_id: str, sequences: Sequence[int]
) -> dict[int, Payload | None]:
    rows = fetch(connection, "list_message_payloads", run_id, to_array(sequences))
    return {
        row["sequence"]: records.to_payload(row["payload_codec"], row["payload"])
        for row in rows
    }


def find_command(
    connection: sqlite3.Connection,
    run_id: str,
    request_id: str,
    *,
    command_type: CommandType | None,
) -> Command | None:
    key = (run_id, request_id, command_type)
    return fetch_one(connection, records.to_command, "find_command", *key)


def find_command_of_workflow(
    connection: sqlite3.Connection,
    run: Run,
    request_id: str,
    *,
    command_type: CommandType,
    runs: int,
) -> Command | None:
    last = run.run_number
    among = (run.namespace, run.workflow_id, last - runs, last)
    key = (*among, request_id, command_type)
    return fetch_one(connection, records.to_command, "find_command_of_workflow", *key)


def find_update(connection: sqlite3.Connection, update_id: str) -> Update | None:
    return fetch_one(connection, records.to_update, "find_update", update_id)


def find_update_of_command(
    connection: sqlite3.Connection, run_id: str, sequence: int
) -> Update | None:
    key = (run_id, sequence)
    return fetch_one(connection, records.to_update, "find_update_of_command", *key)


def list_open_children(
    connection: sqlite3.Connection, run_ids: Sequence[str]
) -> list[Child]:
    rows = fetch(connection, "list_open_children", to_array(run_ids))
    return [records.to_child(row) for row in rows]


def list_history(
    connection: sqlite3.Connection,
    run_id: str,
    *,
    after: int,
    upto: int | None,
    limit: int,
) -> list[StoredEvent]:
    end = _NO_END if upto is None else upto
    rows = fetch(connection, "list_history", run_id, after, end, limit)
    return [records.to_stored_event(row) for row in rows]


# Tasks of whatever definition.
_ANY = (None, None)


def list_ready_tasks(
    connection: sqlite3.Connection,
    keys: Sequence[QueueKey],
    *,
    now: int,
    limit: int,
    wanted: Mapping[QueueKey, Definitions],
) -> list[ReadyTask]:
    """One statement for each key: here they cost no round trip."""
    block = "list_ready_tasks"

    def arguments(key: QueueKey) -> Iterator[object]:
        yield from (key.namespace, key.queue, key.kind, now, limit)
        yield from map(to_array, map(list, wanted[key])) if key in wanted else _ANY

    with snapshot(connection):
        return [
            _to_ready_task(row)
            for key in keys
            for row in fetch(connection, block, *arguments(key))
        ]


def list_due_timers(
    connection: sqlite3.Connection, *, now: int, limit: int
) -> list[DueTimer]:
    return [DueTimer(**row) for row in fetch(connection, "list_due_timers", now, limit)]


def list_overdue(connection: sqlite3.Connection, *, now: int, limit: int) -> Overdue:
    activities = fetch(connection, "list_due_activities", now, limit)
    return Overdue(
        list_due_runs(connection, now=now, limit=limit),
        [DueActivity(**row) for row in activities],
    )


def list_expired_activities(
    connection: sqlite3.Connection, *, now: int, limit: int
) -> list[ActivityPlace]:
    rows = fetch(connection, "list_expired_activities", now, limit)
    return [ActivityPlace(**row) for row in rows]


def find_activities(
    connection: sqlite3.Connection, activity_ids: Sequence[str]
) -> list[ActivityPlace]:
    rows = fetch(connection, "find_activities", to_array(activity_ids))
    return [ActivityPlace(**row) for row in rows]


def list_due_runs(
    connection: sqlite3.Connection, *, now: int, limit: int
) -> list[DueRun]:
    return [DueRun(**row) for row in fetch(connection, "list_due_runs", now, limit)]


def list_due_outbox(
    connection: sqlite3.Connection, *, now: int, limit: int
) -> list[OutboxEntry]:
    rows = fetch(connection, "list_due_outbox", now, limit)
    return [records.to_outbox_entry(row) for row in rows]


def list_expired_leases(
    connection: sqlite3.Connection, *, now: int, limit: int
) -> list[ExpiredLease]:
    rows = fetch(connection, "list_expired_leases", now, limit)
    return [_to_expired_lease(row) for row in rows]


def find_waiting_queue(
    connection: sqlite3.Connection, *, due_before: int
) -> QueueKey | None:
    for row in fetch(connection, "find_waiting_queue", due_before):
        return QueueKey(row["namespace"], row["queue"], TaskKind(row["kind"]))
    return None


def _to_ready_task(row: Columns) -> ReadyTask:
    key = QueueKey(row["namespace"], row["queue"], TaskKind(row["kind"]))
    return ReadyTask(
        key,
        task_id=row["id"],
        run_id=row["run_id"],
        type_name=row["type_name"],
        compatibility=row["compatibility"],
        available_at=row["available_at"],
        definition_fingerprint=row["definition_fingerprint"],
    )


def _to_expired_lease(row: Columns) -> ExpiredLease:
    return ExpiredLease(
        row["id"], row["run_id"], TaskKind(row["kind"]), row["lease_expires_at"]
    )
