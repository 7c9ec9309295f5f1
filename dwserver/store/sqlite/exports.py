"""Everything about one run. Called on a reader thread; may raise sqlite3.Error."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from dwserver.engine.model import ClosedAttempt, Run, RunState, Task
from dwserver.engine.rows import by_sequence, by_step
from dwserver.store.api import WholeRun
from dwserver.store.sqlite import records
from dwserver.store.sqlite.reads import fetch, snapshot, to_array

_PARTS: dict[str, tuple[Callable[[records.Columns], Any], Callable[[Any], Any]]] = {
    "activities": (records.to_activity, by_step),
    "timers": (records.to_timer, by_step),
    "children": (records.to_child, by_step),
    "waits": (records.to_wait, by_step),
    "signals": (records.to_signal, by_sequence),
    "updates": (records.to_update, by_sequence),
}


def read_whole_run(connection: sqlite3.Connection, run: Run) -> WholeRun:
    with snapshot(connection):
        parts: dict[str, Any] = {
            part: {
                key(record): record
                for record in map(
                    convert, fetch(connection, f"list_{part}_of_run", run.id)
                )
            }
            for part, (convert, key) in _PARTS.items()
        }
        commands = fetch(connection, "list_commands_of_run", run.id)
    return WholeRun(RunState(run, **parts), tuple(map(records.to_command, commands)))


def list_tasks(connection: sqlite3.Connection, task_ids: Sequence[str]) -> list[Task]:
    rows = fetch(connection, "list_tasks", to_array(task_ids))
    return [records.to_task(row) for row in rows]


def list_closed_attempts(
    connection: sqlite3.Connection, attempt_ids: Sequence[str]
) -> list[ClosedAttempt]:
    rows = fetch(connection, "list_closed_attempts", to_array(attempt_ids))
    return [records.to_closed_attempt(row) for row in rows]
