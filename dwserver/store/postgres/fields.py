"""Records as parts of rows: fields as they are, documents and payloads encoded.

A row is a tuple in the order of its type in ``migrations/`` (``task_row``, …), where
the plain fields of the record come first and the encoded ones last.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import orjson

from dwserver.engine.model import Child, Command, Payload, RunInput, Wake
from dwserver.engine.model.schedules import Schedule
from dwserver.engine.transition import NewActivity
from dwserver.engine.words import RunStatus
from dwserver.store.columns import plain

Row = tuple[Any, ...]

BUCKETS = {status: status.bucket.value for status in RunStatus}

instance = attrgetter(
    "namespace",
    "workflow_id",
    "workflow_type",
    "current_run_id",
    "run_count",
    "created_at",
)
run = attrgetter(*plain("run"), "deadline_at")
run_change = attrgetter(
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
    "archived_at",
    "definition_fingerprint",
    "deadline_at",
)
event = attrgetter(
    "sequence",
    "id",
    "event_type",
    "payload",
    "recorded_at",
    "has_plain",
    "task_id",
    "command_id",
)
released = attrgetter("held", "sequence", "recorded_at")
task = attrgetter(*plain("task"))
task_change = attrgetter(
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
    "definition_fingerprint",
)
_activity = attrgetter(*plain("activity"))
activity_change = attrgetter(
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
run_import = attrgetter(*plain("run_import"))
attempt = attrgetter(
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
timer = attrgetter(*plain("timer"))
timer_change = attrgetter("run_id", "step", "status", "fire_at", "closed_at", "is_held")
_child = attrgetter(*plain("child"))
child_change = attrgetter(
    "run_id",
    "step",
    "status",
    "child_run_id",
    "child_run_number",
    "attempt_count",
    "closed_at",
    "is_held",
)
wait = attrgetter(*plain("wait"))
wait_change = attrgetter("run_id", "step", "status", "closed_at", "is_held")
signal = attrgetter(*plain("signal"))
signal_change = attrgetter(
    "run_id", "sequence", "wait_id", "status", "event_sequence", "step", "applied_at"
)
update = attrgetter(*plain("update"))
update_change = attrgetter(
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
applied_command = attrgetter("sequence", "outcome", "applied_at")
outbox_entry = attrgetter(*plain("outbox"))
failure = attrgetter(
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

_schedule = attrgetter(*plain("schedule"), "workflow_type")
schedule_event = attrgetter(
    "id",
    "sequence",
    "event_type",
    "payload",
    "recorded_at",
    "workflow_id",
    "run_id",
)
occurrence = attrgetter("kind", "nominal_at", "workflow_id", "run_id", "recorded_at")

_NO_PAYLOAD = (None, None)
NO_INPUT = (False, None, None, None, None, None)


def _plain(value: object) -> object:
    """What orjson does not know: any mapping that is not a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def encode_json(value: object) -> bytes:
    """Compact JSON of plain values, mappings, dataclasses and enums."""
    return orjson.dumps(value, default=_plain)


def encode_map(value: Mapping[str, object] | None) -> bytes | None:
    """JSON of a map that is mostly empty, which is stored as null."""
    return encode_json(value) if value else None


def encode_optional(value: object | None) -> bytes | None:
    """JSON of a value whose absence means something else than its emptiness."""
    return None if value is None else encode_json(value)


def encode_payload(payload: Payload | None) -> Row:
    if payload is None:
        return _NO_PAYLOAD
    return payload.codec, payload.data.encode()


def encode_wakes(wakes: tuple[Wake, ...]) -> bytes | None:
    return encode_json([wake.resume for wake in wakes]) if wakes else None


def encode_input(value: RunInput) -> Row:
    return (
        *encode_payload(value.arguments),
        encode_map(value.memo),
        encode_map(value.search_attributes),
        value.business_key,
    )


EMPTY_INPUT = RunInput(arguments=None)


def run_payloads(given: RunInput, output: Payload | None) -> Row:
    arguments_codec, arguments, *rest = encode_input(given)
    return (arguments_codec, arguments, *encode_payload(output), *rest)


def activity_row(n: int, new: NewActivity) -> Row:
    activity = new.activity
    return (
        n,
        *_activity(activity),
        encode_optional(activity.retry_policy),
        encode_optional(activity.parallel),
        activity.deadline_at,
        *encode_payload(new.arguments),
    )


def child_row(n: int, child: Child) -> Row:
    return (
        n,
        *_child(child),
        encode_optional(child.retry_policy),
        encode_optional(child.parallel),
    )


def command_row(n: int, command: Command) -> Row:
    return (
        n,
        *_command(command),
        *encode_payload(command.payload),
        encode_map(command.context),
    )


def schedule_row(n: int, schedule: Schedule) -> Row:
    return (
        n,
        *_schedule(schedule),
        encode_json(schedule.spec),
        encode_json(schedule.action),
        encode_map(schedule.memo),
        encode_map(schedule.search_attributes),
        encode_json(schedule.recent_actions),
        encode_json(schedule.buffered_actions) if schedule.buffered_actions else None,
    )
