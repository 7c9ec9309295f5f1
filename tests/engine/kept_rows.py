"""What a store would hold of one run, and how strictly it would take changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson

from dwserver.engine.model import (
    Activity,
    Child,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    OutboxEntry,
    Payload,
    Run,
    RunInput,
    RunState,
    Signal,
    Task,
    Timer,
    Update,
    Wait,
)
from dwserver.engine.rows import by_sequence, by_step
from dwserver.engine.transition import NewActivity, RunChange, apply

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")

# Rows that are inserted and updated as they are, and what finds them within their run.
KEYS = {
    "activities": by_step,
    "timers": by_step,
    "children": by_step,
    "waits": by_step,
    "signals": by_sequence,
    "updates": by_sequence,
}


@dataclass
class Rows:
    """Everything that a store would hold of one run."""

    state: RunState
    input: RunInput | None = None
    output: Payload | None = None
    events: dict[int, Event] = field(default_factory=dict)
    payloads: dict[int, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    activities: dict[int, Activity] = field(default_factory=dict)
    arguments: dict[str, Payload | None] = field(default_factory=dict)
    timers: dict[int, Timer] = field(default_factory=dict)
    children: dict[int, Child] = field(default_factory=dict)
    waits: dict[int, Wait] = field(default_factory=dict)
    signals: dict[int, Signal] = field(default_factory=dict)
    updates: dict[int, Update] = field(default_factory=dict)
    attempts: dict[str, ClosedAttempt] = field(default_factory=dict)
    outbox: list[OutboxEntry] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return self.state.run

    def keep(self, change: RunChange, *, is_new: bool) -> None:
        """Write ``change``; ``is_new``: it is the change that creates this run."""
        before = None if is_new else self.state
        assert change.base_version == (before.run.version if before else None)
        assert change.run.version == (before.run.version + 1 if before else 1)
        self.state = apply(before, change)
        self.input = change.input or self.input
        self.output = change.output or self.output
        for event in change.events:
            assert event.sequence not in self.events, "history number given twice"
            self.events[event.sequence] = event
            self.payloads[event.sequence] = orjson.loads(event.payload)
        for moved in change.released:
            assert moved.sequence not in self.events, "history number given twice"
            self.events[moved.sequence] = replace(
                self.events.pop(moved.held),
                sequence=moved.sequence,
                recorded_at=moved.recorded_at,
            )
            self.payloads[moved.sequence] = self.payloads.pop(moved.held)
        for new in change.new_activities:
            self.arguments[new.activity.id] = new.arguments
        self._keep_rows(change)
        self._keep_commands(change)
        self._keep_tasks(change)
        for attempt in change.attempts:
            insert(self.attempts, attempt.id, attempt)
        self.outbox += change.outbox
        self.failures += change.failures

    def _keep_rows(self, change: RunChange) -> None:
        for name, key in KEYS.items():
            rows: dict[int, Any] = getattr(self, name)
            for new in getattr(change, f"new_{name}"):
                row = new.activity if isinstance(new, NewActivity) else new
                insert(rows, key(row), row)
            for row in getattr(change, name):
                update(rows, key(row), row)

    def _keep_commands(self, change: RunChange) -> None:
        self.commands += change.commands
        for applied in change.applied_commands:
            index = applied.sequence - 1
            known = self.commands[index]
            assert known.sequence == applied.sequence
            assert known.applied_at is None, "a command takes effect once"
            self.commands[index] = replace(
                known, outcome=applied.outcome, applied_at=applied.applied_at
            )

    def _keep_tasks(self, change: RunChange) -> None:
        for guard in change.lease_guards:
            assert self.tasks[guard.task_id].lease_expires_at == guard.lease_expires_at
        for task in change.new_tasks:
            insert(self.tasks, task.id, task)
        for task in change.tasks:
            known = self.tasks[task.id]
            assert known.status.is_open, "a closed task never changes"
            assert task.attempt >= known.attempt
            self.tasks[task.id] = task


def insert(rows: dict[_Key, _Row], key: _Key, row: _Row) -> None:
    assert key not in rows, f"inserted twice: {row}"
    rows[key] = row


def update(rows: dict[_Key, _Row], key: _Key, row: _Row) -> None:
    assert key in rows, f"updated but never inserted: {row}"
    rows[key] = row
