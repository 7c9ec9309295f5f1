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
from dwserver.engine.transition import RunChange, apply

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


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
            insert(self.activities, new.activity.step, new.activity)
        for activity in change.activities:
            update(self.activities, activity.step, activity)
        for timer in change.new_timers:
            insert(self.timers, timer.step, timer)
        for timer in change.timers:
            update(self.timers, timer.step, timer)
        for child in change.new_children:
            insert(self.children, child.step, child)
        for child in change.children:
            update(self.children, child.step, child)
        self.outbox += change.outbox
        self._keep_messages(change)
        self._keep_tasks(change)
        for attempt in change.attempts:
            insert(self.attempts, attempt.id, attempt)
        self.failures += change.failures

    def _keep_messages(self, change: RunChange) -> None:
        for wait in change.new_waits:
            insert(self.waits, wait.step, wait)
        for wait in change.waits:
            update(self.waits, wait.step, wait)
        for signal in change.new_signals:
            insert(self.signals, signal.sequence, signal)
        for signal in change.signals:
            update(self.signals, signal.sequence, signal)
        for new in change.new_updates:
            insert(self.updates, new.sequence, new)
        for changed in change.updates:
            update(self.updates, changed.sequence, changed)
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
