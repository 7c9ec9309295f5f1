"""Transitions as arrays of rows: what the parts of the commit statement carry.

A row is a tuple in the order of its type in ``migrations/`` (``task_row``, …), where
the plain fields of the record come first and the encoded ones last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson

from dwserver.engine.model import (
    Child,
    Command,
    Payload,
    RunInput,
    Wake,
)
from dwserver.engine.transition import NewActivity, RunChange, Transition
from dwserver.engine.words import RunStatus
from dwserver.store.columns import plain

Row = tuple[Any, ...]

# Parts in the order in which the statement names them; each has a block of this name.
# The first two may decide which transitions apply. PostgreSQL runs those that nothing
# reads from the last to the first: tasks are locked before activities, as renewals do.
PARTS = (
    "insert_instances",
    "update_runs",
    "update_instances",
    "insert_runs",
    "insert_events",
    "release_events",
    "insert_activities",
    "update_activities",
    "insert_tasks",
    "update_tasks",
    "insert_attempts",
    "insert_timers",
    "update_timers",
    "insert_children",
    "update_children",
    "insert_waits",
    "update_waits",
    "insert_signals",
    "update_signals",
    "insert_updates",
    "update_updates",
    "insert_commands",
    "update_commands",
    "insert_failures",
    "insert_outbox",
)

_BUCKETS = {status: status.bucket.value for status in RunStatus}

_instance = attrgetter(
    "namespace",
    "workflow_id",
    "workflow_type",
    "current_run_id",
    "run_count",
    "created_at",
)
_run = attrgetter(*plain("run"), "deadline_at")
_run_change = attrgetter(
    "id",
    "status",
    "task_queue",
    "last_progress_at",
    "version",
    "last_sequence",
    "last_step",
    "history_bytes",
    "command_sequence",
    "closed_reason",
    "closed_at",
    "compatibility",
    "priority",
    "execution_timeout_seconds",
    "run_timeout_seconds",
    "execution_deadline_at",
    "run_deadline_at",
    "task_failures",
    "batch_first",
    "batch_size",
    "batch_resolved_sequence",
    "deadline_at",
)
_event = attrgetter(
    "sequence",
    "id",
    "event_type",
    "payload",
    "recorded_at",
    "has_plain",
    "task_id",
    "command_id",
)
_released = attrgetter("held", "sequence", "recorded_at")
_task = attrgetter(*plain("task"))
_task_change = attrgetter(
    "id",
    "status",
    "queue",
    "available_at",
    "compatibility",
    "priority",
    "attempt",
    "repair_count",
    "lease_owner",
    "leased_at",
    "lease_expires_at",
    "snapshot_sequence",
    "attempt_id",
    "last_error",
    "closed_at",
)
_activity = attrgetter(*plain("activity"))
_activity_change = attrgetter(
    "id",
    "status",
    "attempt_count",
    "schedule_deadline_at",
    "close_deadline_at",
    "schedule_to_close_deadline_at",
    "heartbeat_deadline_at",
    "last_heartbeat_at",
    "started_at",
    "closed_at",
    "is_held",
    "deadline_at",
)
_attempt = attrgetter(
    "id",
    "activity_id",
    "task_id",
    "run_id",
    "number",
    "status",
    "lease_owner",
    "started_at",
    "closed_at",
)
_timer = attrgetter(*plain("timer"))
_timer_change = attrgetter(
    "run_id", "step", "status", "fire_at", "closed_at", "is_held"
)
_child = attrgetter(*plain("child"))
_child_change = attrgetter(
    "run_id",
    "step",
    "status",
    "child_run_id",
    "child_run_number",
    "attempt_count",
    "closed_at",
    "is_held",
)
_wait = attrgetter(*plain("wait"))
_wait_change = attrgetter("run_id", "step", "status", "closed_at", "is_held")
_signal = attrgetter(*plain("signal"))
_signal_change = attrgetter(
    "run_id", "sequence", "wait_id", "status", "event_sequence", "step", "applied_at"
)
_update = attrgetter(*plain("update"))
_update_change = attrgetter(
    "run_id",
    "sequence",
    "status",
    "event_sequence",
    "step",
    "failure_id",
    "failure_message",
    "applied_at",
    "closed_at",
)
_command = attrgetter(*plain("command"))
_applied_command = attrgetter("sequence", "outcome", "applied_at")
_outbox_entry = attrgetter(*plain("outbox"))
_failure = attrgetter(
    "id",
    "run_id",
    "source_kind",
    "source_id",
    "propagation_kind",
    "category",
    "message",
    "created_at",
    "exception_type",
    "exception_class",
    "non_retryable",
    "event_sequence",
)

_NO_PAYLOAD = (None, None)
_NO_INPUT = (False, None, None, None, None, None)


def _plain(value: object) -> object:
    """What orjson does not know: any mapping that is not a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def encode_json(value: object) -> bytes:
    """Compact JSON of plain values, mappings, dataclasses and enums."""
    return orjson.dumps(value, default=_plain)


def _encode_map(value: Mapping[str, object] | None) -> bytes | None:
    """JSON of a map that is mostly empty, which is stored as null."""
    return encode_json(value) if value else None


def encode_optional(value: object | None) -> bytes | None:
    """JSON of a value whose absence means something else than its emptiness."""
    return None if value is None else encode_json(value)


def _encode_payload(payload: Payload | None) -> Row:
    if payload is None:
        return _NO_PAYLOAD
    return payload.codec, payload.data.encode()


def _encode_wakes(wakes: tuple[Wake, ...]) -> bytes | None:
    return encode_json([wake.resume for wake in wakes]) if wakes else None


def _encode_input(value: RunInput) -> Row:
    return (
        *_encode_payload(value.arguments),
        _encode_map(value.memo),
        _encode_map(value.search_attributes),
        value.business_key,
    )


_EMPTY_INPUT = RunInput(arguments=None)


class Rows:
    """The rows of one batch, by part.

    ``keys``: for each transition the run whose guard decides it, as long as every
    transition has exactly one guard and none on a lease (``is_simple``).
    """

    __slots__ = ("is_simple", "keys", "parts", "run_guards", "task_guards")

    def __init__(self, transitions: Sequence[Transition]) -> None:
        self.parts: dict[str, list[Row]] = {}
        self.keys: list[str] = []
        self.run_guards: list[Row] = []
        self.task_guards: list[Row] = []
        self.is_simple = True
        for n, transition in enumerate(transitions, start=1):
            self._add(n, transition)
        # Rows are locked in the order of their keys by every process.
        for part, order in _LOCK_ORDER.items():
            if part in self.parts:
                self.parts[part].sort(key=order)

    def locked_tasks(self) -> list[Row]:
        """The guards on leases, and the tasks that change: when one task is locked
        beforehand, all are, so that every process takes them in one order."""
        if not self.task_guards:
            return []
        guarded = {row[1] for row in self.task_guards}
        changed = self.parts.get("update_tasks", ())
        others = ((n, task, None) for n, task, *_ in changed if task not in guarded)
        return [*self.task_guards, *others]

    def _part(self, name: str) -> list[Row]:
        rows = self.parts.get(name)
        if rows is None:
            rows = self.parts[name] = []
        return rows

    def _add(self, n: int, transition: Transition) -> None:
        reserved = {i.current_run_id for i in transition.new_instances}
        guarded = list(reserved)
        for change in transition.changes:
            if change.base_version is not None:
                guarded.append(change.run.id)
                self.run_guards.append((n, change.run.id, change.base_version))
            if change.lease_guards:
                self.is_simple = False
                for guard in change.lease_guards:
                    row = (n, guard.task_id, guard.lease_expires_at)
                    self.task_guards.append(row)
            self._add_run(n, change, reserved)
            self._add_history(n, change)
            self._add_tasks(n, change)
            self._add_steps(n, change)
            self._add_waiting(n, change)
            self._add_messages(n, change)
        if transition.new_instances:
            rows = self._part("insert_instances")
            rows.extend((n, *_instance(i)) for i in transition.new_instances)
        if transition.instances:
            rows = self._part("update_instances")
            rows.extend((n, *_instance(i)) for i in transition.instances)
        if len(guarded) == 1:
            self.keys.append(guarded[0])
        else:
            self.is_simple = False

    def _add_run(self, n: int, change: RunChange, reserved: set[str]) -> None:
        run = change.run
        if change.base_version is None:
            sibling_of = None if run.id in reserved else run.workflow_id
            row = (
                n,
                *_run(run),
                _BUCKETS[run.status],
                _encode_wakes(run.wakes),
                sibling_of,
                *_run_payloads(change.input or _EMPTY_INPUT, change.output),
            )
            self._part("insert_runs").append(row)
            return
        given = change.input
        row = (
            n,
            change.base_version,
            *_run_change(run),
            _BUCKETS[run.status],
            _encode_wakes(run.wakes),
            *_encode_payload(change.output),
            *(_NO_INPUT if given is None else (True, *_encode_input(given))),
        )
        self._part("update_runs").append(row)

    def _add_history(self, n: int, change: RunChange) -> None:
        run_id = change.run.id
        if change.events:
            rows = self._part("insert_events")
            rows.extend((n, run_id, *_event(event)) for event in change.events)
        if change.released:
            rows = self._part("release_events")
            rows.extend((n, run_id, *_released(event)) for event in change.released)
        if change.commands:
            rows = self._part("insert_commands")
            rows.extend(_command_row(n, command) for command in change.commands)
        if change.failures:
            rows = self._part("insert_failures")
            rows.extend((n, *_failure(failure)) for failure in change.failures)
        if change.outbox:
            rows = self._part("insert_outbox")
            rows.extend(
                (n, *_outbox_entry(entry), _encode_map(entry.payload))
                for entry in change.outbox
            )

    def _add_tasks(self, n: int, change: RunChange) -> None:
        if change.new_tasks:
            rows = self._part("insert_tasks")
            rows.extend((n, *_task(t), _encode_map(t.resume)) for t in change.new_tasks)
        if change.tasks:
            rows = self._part("update_tasks")
            rows.extend(
                (n, *_task_change(t), _encode_map(t.resume)) for t in change.tasks
            )

    def _add_steps(self, n: int, change: RunChange) -> None:
        if change.new_activities:
            rows = self._part("insert_activities")
            rows.extend(_activity_row(n, new) for new in change.new_activities)
        if change.activities:
            rows = self._part("update_activities")
            rows.extend((n, *_activity_change(a)) for a in change.activities)
        if change.attempts:
            rows = self._part("insert_attempts")
            rows.extend((n, *_attempt(attempt)) for attempt in change.attempts)
        if change.new_timers:
            rows = self._part("insert_timers")
            rows.extend(
                (n, *_timer(t), encode_optional(t.parallel)) for t in change.new_timers
            )
        if change.timers:
            rows = self._part("update_timers")
            rows.extend((n, *_timer_change(timer)) for timer in change.timers)

    def _add_waiting(self, n: int, change: RunChange) -> None:
        if change.new_children:
            rows = self._part("insert_children")
            rows.extend(_child_row(n, child) for child in change.new_children)
        if change.children:
            rows = self._part("update_children")
            rows.extend((n, *_child_change(child)) for child in change.children)
        if change.new_waits:
            rows = self._part("insert_waits")
            rows.extend(
                (n, *_wait(w), encode_optional(w.parallel)) for w in change.new_waits
            )
        if change.waits:
            rows = self._part("update_waits")
            rows.extend((n, *_wait_change(wait)) for wait in change.waits)

    def _add_messages(self, n: int, change: RunChange) -> None:
        if change.new_signals:
            rows = self._part("insert_signals")
            rows.extend((n, *_signal(signal)) for signal in change.new_signals)
        if change.signals:
            rows = self._part("update_signals")
            rows.extend((n, *_signal_change(signal)) for signal in change.signals)
        if change.new_updates:
            rows = self._part("insert_updates")
            rows.extend(
                (n, *_update(u), *_encode_payload(u.result)) for u in change.new_updates
            )
        if change.updates:
            rows = self._part("update_updates")
            rows.extend(
                (n, *_update_change(u), *_encode_payload(u.result))
                for u in change.updates
            )
        if change.applied_commands:
            run_id = change.run.id
            rows = self._part("update_commands")
            rows.extend(
                (n, run_id, *_applied_command(applied))
                for applied in change.applied_commands
            )


def _run_payloads(given: RunInput, output: Payload | None) -> Row:
    arguments_codec, arguments, *rest = _encode_input(given)
    return (arguments_codec, arguments, *_encode_payload(output), *rest)


def _activity_row(n: int, new: NewActivity) -> Row:
    activity = new.activity
    return (
        n,
        *_activity(activity),
        encode_optional(activity.retry_policy),
        encode_optional(activity.parallel),
        activity.deadline_at,
        *_encode_payload(new.arguments),
    )


def _child_row(n: int, child: Child) -> Row:
    return (
        n,
        *_child(child),
        encode_optional(child.retry_policy),
        encode_optional(child.parallel),
    )


def _command_row(n: int, command: Command) -> Row:
    return (
        n,
        *_command(command),
        *_encode_payload(command.payload),
        _encode_map(command.context),
    )


_LOCK_ORDER = {
    "insert_instances": lambda row: row[1:3],
    "update_runs": lambda row: row[2],
    "update_tasks": lambda row: row[1],
    "update_activities": lambda row: row[1],
}
