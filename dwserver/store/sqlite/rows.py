"""Transitions as rows: what the statements of ``sql/commit*.sql`` take.

The order of the columns is that of the statement. It names the plain fields of the
record first and the columns that are computed from it last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson

from dwserver.engine.model import Activity, Payload, RunInput, Task, Wake
from dwserver.engine.transition import RunChange, ScheduleChange, Transition
from dwserver.engine.words import RunStatus, TaskStatus
from dwserver.store.attribute_rows import attribute_rows
from dwserver.store.columns import plain
from dwserver.store.sqlite.statements import Row, columns

# Statements in the order in which they run: what is new exists before it is changed.
PARTS = (
    "insert_instances",
    "update_instances",
    "insert_runs",
    "insert_run_imports",
    "update_runs",
    "update_run_outputs",
    "update_run_inputs",
    "delete_attributes",
    "insert_attributes",
    "insert_events",
    "release_events",
    "insert_tasks",
    "update_tasks",
    "insert_activities",
    "update_activities",
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
    "insert_schedules",
    "update_schedules",
    "insert_occurrences",
    "insert_schedule_events",
)

_RESULT = ("result_codec", "result")
_OUTPUT = ("output_codec", "output")
_SCHEDULE = (
    "spec",
    "action",
    "memo",
    "search_attributes",
    "recent_actions",
    "buffered_actions",
)
_INPUT = ("arguments_codec", "arguments", "memo", "search_attributes", "business_key")


def fields(part: str, *computed: str) -> Callable[[Any], Row]:
    """The plain fields of a record for a part whose last columns are ``computed``."""
    names = columns(part)
    plain = len(names) - len(computed)
    assert names[plain:] == computed, part
    return attrgetter(*names[:plain])


_new_instance = fields("insert_instances", "first_run_id")
_instance = fields("update_instances")
_new_run = fields(
    "insert_runs", "status_bucket", "wakes", "sibling_of", *_OUTPUT, *_INPUT
)
_run = fields("update_runs", "status_bucket", "wakes")
_origin = attrgetter(*plain("run_import"))
_event = fields("insert_events", "run_id")
_released = fields("release_events", "run_id")
_new_task = fields("insert_tasks", "ready_at", "resume")
_task = fields("update_tasks", "ready_at", "resume")
_new_activity = fields(
    "insert_activities", "retry_policy", "parallel", "arguments_codec", "arguments"
)
_activity = fields("update_activities")
_attempt = fields("insert_attempts")
_new_timer = fields("insert_timers", "parallel")
_timer = fields("update_timers")
_new_child = fields("insert_children", "retry_policy", "parallel")
_child = fields("update_children")
_new_wait = fields("insert_waits", "parallel")
_wait = fields("update_waits")
_new_signal = fields("insert_signals")
_signal = fields("update_signals")
_new_update = fields("insert_updates", *_RESULT)
_update = fields("update_updates", *_RESULT)
_applied_command = fields("update_commands", "run_id")
_outbox_entry = fields("insert_outbox", "payload")
_command = fields("insert_commands", "payload_codec", "payload", "context")
_failure = fields("insert_failures")
_new_schedule = fields("insert_schedules", *_SCHEDULE)
_schedule = fields("update_schedules", *_SCHEDULE)
_occurrence = fields("insert_occurrences", "schedule_id")
_schedule_event = fields("insert_schedule_events", "schedule_id")

_BUCKETS = {status: status.bucket.value for status in RunStatus}
_NO_PAYLOAD = (None, None)
_EMPTY_INPUT = RunInput(arguments=None)


def parts_of(transitions: Sequence[Transition]) -> dict[str, list[Row]]:
    """The rows of a batch by the statement that writes them.

    Raises TypeError or ValueError for a document that is not JSON.
    """
    parts: dict[str, list[Row]] = {}

    def add(part: str, row: Row) -> None:
        parts.setdefault(part, []).append(row)

    for transition in transitions:
        for instance in transition.new_instances:
            row = (*_new_instance(instance), instance.current_run_id)
            add("insert_instances", row)
        for instance in transition.instances:
            add("update_instances", _instance(instance))
        reserved = {instance.current_run_id for instance in transition.new_instances}
        for change in transition.changes:
            _add_run(add, change, is_first=change.run.id in reserved)
            _add_history(add, change)
            _add_tasks(add, change)
            _add_steps(add, change)
            _add_waiting(add, change)
            _add_messages(add, change)
        if transition.schedule is not None:
            _add_schedule(add, transition.schedule)
    return parts


def encode_json(value: object) -> bytes:
    """Compact JSON of plain values, mappings, dataclasses and enums."""
    return orjson.dumps(value, default=_plain)


def encode_map(value: Mapping[str, object] | None) -> bytes | None:
    """JSON of a map that is mostly empty, which is stored as null."""
    return encode_json(value) if value else None


def encode_optional(value: object | None) -> bytes | None:
    """JSON of a value whose absence means something else than its emptiness."""
    return None if value is None else encode_json(value)


def _plain(value: object) -> object:
    """What orjson does not know: any mapping that is not a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _encode_payload(payload: Payload | None) -> Row:
    if payload is None:
        return _NO_PAYLOAD
    return payload.codec, payload.data.encode()


def _encode_wakes(wakes: tuple[Wake, ...]) -> bytes | None:
    return encode_json([wake.resume for wake in wakes]) if wakes else None


def _encode_input(value: RunInput) -> Row:
    return (
        *_encode_payload(value.arguments),
        encode_map(value.memo),
        encode_map(value.search_attributes),
        value.business_key,
    )


_Add = Callable[[str, Row], None]


def _add_run(add: _Add, change: RunChange, *, is_first: bool) -> None:
    run = change.run
    derived = (_BUCKETS[run.status], _encode_wakes(run.wakes))
    output = _encode_payload(change.output)
    if change.base_version is None:
        sibling_of = None if is_first else run.workflow_id
        given = _encode_input(change.input or _EMPTY_INPUT)
        row = (*_new_run(run), *derived, sibling_of, *output, *given)
        add("insert_runs", row)
        if change.imported is not None:
            add("insert_run_imports", (run.id, *_origin(change.imported)))
        _add_attributes(add, change)
        return
    add("update_runs", (*_run(run), *derived))
    if change.output is not None:
        add("update_run_outputs", (run.id, *output))
    if change.input is not None:
        add("update_run_inputs", (run.id, *_encode_input(change.input)))
        add("delete_attributes", (run.id,))
        _add_attributes(add, change)


def _add_attributes(add: _Add, change: RunChange) -> None:
    if change.input is not None:
        for row in attribute_rows(change.run, change.input):
            add("insert_attributes", row)


def _add_history(add: _Add, change: RunChange) -> None:
    run_id = change.run.id
    for event in change.events:
        add("insert_events", (*_event(event), run_id))
    for released in change.released:
        add("release_events", (*_released(released), run_id))
    for command in change.commands:
        payload = _encode_payload(command.payload)
        row = (*_command(command), *payload, encode_map(command.context))
        add("insert_commands", row)
    for failure in change.failures:
        add("insert_failures", _failure(failure))
    for entry in change.outbox:
        add("insert_outbox", (*_outbox_entry(entry), encode_map(entry.payload)))


def _add_tasks(add: _Add, change: RunChange) -> None:
    for task in change.new_tasks:
        add("insert_tasks", (*_new_task(task), *_queued(task)))
    for task in change.tasks:
        add("update_tasks", (*_task(task), *_queued(task)))


def _queued(task: Task) -> Row:
    ready_at = task.available_at if task.status is TaskStatus.READY else None
    return ready_at, encode_map(task.resume)


def _add_steps(add: _Add, change: RunChange) -> None:
    for new in change.new_activities:
        add("insert_activities", _new_activity_row(new.activity, new.arguments))
    for activity in change.activities:
        add("update_activities", _activity(activity))
    for attempt in change.attempts:
        add("insert_attempts", _attempt(attempt))
    for timer in change.new_timers:
        add("insert_timers", (*_new_timer(timer), encode_optional(timer.parallel)))
    for timer in change.timers:
        add("update_timers", _timer(timer))


def _add_waiting(add: _Add, change: RunChange) -> None:
    for child in change.new_children:
        documents = map(encode_optional, (child.retry_policy, child.parallel))
        add("insert_children", (*_new_child(child), *documents))
    for child in change.children:
        add("update_children", _child(child))
    for wait in change.new_waits:
        add("insert_waits", (*_new_wait(wait), encode_optional(wait.parallel)))
    for wait in change.waits:
        add("update_waits", _wait(wait))


def _add_messages(add: _Add, change: RunChange) -> None:
    for signal in change.new_signals:
        add("insert_signals", _new_signal(signal))
    for signal in change.signals:
        add("update_signals", _signal(signal))
    for update in change.new_updates:
        add("insert_updates", (*_new_update(update), *_encode_payload(update.result)))
    for update in change.updates:
        add("update_updates", (*_update(update), *_encode_payload(update.result)))
    for applied in change.applied_commands:
        add("update_commands", (*_applied_command(applied), change.run.id))


def _add_schedule(add: _Add, change: ScheduleChange) -> None:
    schedule = change.schedule
    documents = (
        encode_json(schedule.spec),
        encode_json(schedule.action),
        encode_map(schedule.memo),
        encode_map(schedule.search_attributes),
        encode_json(schedule.recent_actions),
        encode_json(schedule.buffered_actions) if schedule.buffered_actions else None,
    )
    if change.base_version is None:
        add("insert_schedules", (*_new_schedule(schedule), *documents))
    else:
        add("update_schedules", (*_schedule(schedule), *documents))
    for occurrence in change.occurrences:
        add("insert_occurrences", (*_occurrence(occurrence), schedule.id))
    for event in change.events:
        add("insert_schedule_events", (*_schedule_event(event), schedule.id))


def _new_activity_row(activity: Activity, arguments: Payload | None) -> Row:
    return (
        *_new_activity(activity),
        encode_optional(activity.retry_policy),
        encode_optional(activity.parallel),
        *_encode_payload(arguments),
    )
