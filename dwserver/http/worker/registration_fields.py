"""What a worker says about itself (``spec/worker-protocol.md`` §4.1, §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dwserver.protocol.commands.fields import MAX_COUNT
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.validation import (
    ARRAY,
    INTEGER,
    LIST,
    NULL,
    NUMBER,
    OBJECT,
    Errors,
    Field,
    Item,
    at_least,
    bad_format,
    must_be,
    too_long,
)

RUNTIMES: Final = frozenset(
    {"php", "python", "typescript", "go", "java", "rust", "external"}
)
DEFAULT_MAX_TASKS: Final = 100
MAX_FINGERPRINT_LENGTH: Final = 255
FINGERPRINTS: Final = "workflow_definition_fingerprints"

_SLOTS: Final = ("workflow_available", "activity_available", "session_available")
_WHOLE_METRICS: Final = ("memory_bytes", "process_uptime_seconds", "process_id")

STATE_FIELDS: Final = (
    Field("task_slots", OBJECT),
    *(
        Field(f"task_slots.{slot}", INTEGER, minimum=0, maximum=MAX_COUNT)
        for slot in _SLOTS
    ),
    Field("process_metrics", OBJECT),
    Field("process_metrics.cpu_percent", NUMBER, minimum=0),
    *(
        Field(f"process_metrics.{metric}", INTEGER, minimum=0)
        for metric in _WHOLE_METRICS
    ),
    Field("process_metrics.host", max_length=255),
    Field("process_metrics.process_started_at", max_length=64),
    Field("heartbeat_interval_seconds", INTEGER, minimum=1, maximum=3600),
)
HEARTBEAT_FIELDS: Final = (
    Field("worker_id", required=True, max_length=255),
    *STATE_FIELDS,
)
REGISTER_FIELDS: Final = (
    Field("worker_id", max_length=255),
    Field("task_queue", required=True, max_length=255),
    Field("runtime", required=True, choices=RUNTIMES),
    Field("sdk_version", max_length=64),
    Field("build_id", max_length=255),
    Field("supported_workflow_types", LIST, default=[], item=Item()),
    Field("supported_activity_types", LIST, default=[], item=Item()),
    Field(FINGERPRINTS, ARRAY),
    Field("max_concurrent_workflow_tasks", INTEGER, minimum=0, maximum=MAX_COUNT),
    Field("max_concurrent_activity_tasks", INTEGER, minimum=0, maximum=MAX_COUNT),
    Field("max_concurrent_worker_sessions", INTEGER, minimum=1, maximum=MAX_COUNT),
    Field("capabilities", ARRAY),
    Field("capability_manifest", OBJECT),
    Field("workflow_command_contracts", OBJECT),
    *STATE_FIELDS,
)


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """How many tasks of each kind a worker takes at once."""

    workflow: int
    activity: int


def task_limits(values: JsonObject, errors: Errors) -> TaskLimits:
    """The limits or their defaults. A worker may leave out one kind, not both."""
    limits = [
        DEFAULT_MAX_TASKS if values[name] is None else values[name]
        for name in ("max_concurrent_workflow_tasks", "max_concurrent_activity_tasks")
    ]
    if limits == [0, 0]:
        name = "max_concurrent_workflow_tasks"
        errors.setdefault(name, []).append(at_least(name, 1))
    return TaskLimits(*limits)


def fingerprints(values: JsonObject, errors: Errors) -> dict[str, str]:
    """Trimmed fingerprints by workflow type; blank ones are dropped."""
    raw = values[FINGERPRINTS]
    # Some clients write an empty map as a list; the members of a list name no type.
    if not isinstance(raw, dict) or FINGERPRINTS in errors:
        return {}
    found: dict[str, str] = {}
    for name, value in raw.items():
        path = f"{FINGERPRINTS}.{name}"
        if value is not None and not isinstance(value, str):
            errors[path] = [must_be(path, "a string")]
        elif value is not None and len(value.strip()) > MAX_FINGERPRINT_LENGTH:
            errors[path] = [too_long(path, MAX_FINGERPRINT_LENGTH)]
        elif NULL in name or NULL in (value or ""):
            errors[path] = [bad_format(path)]
        elif name.strip() and value and value.strip():
            found[name.strip()] = value.strip()
    return found


def reported_details(values: JsonObject) -> JsonObject:
    """What is stored and shown but never decided upon; only what was sent."""
    details: JsonObject = {}
    slots = _present(values, "task_slots", _SLOTS)
    metrics = _present(
        values,
        "process_metrics",
        ("cpu_percent", *_WHOLE_METRICS, "host", "process_started_at"),
    )
    if slots:
        details["task_slots"] = slots
    if metrics:
        details["process_metrics"] = metrics
    for name in (
        "heartbeat_interval_seconds",
        "max_concurrent_worker_sessions",
        "capability_manifest",
        "workflow_command_contracts",
    ):
        if values.get(name) is not None:
            details[name] = values[name]
    capabilities = values.get("capabilities")
    if isinstance(capabilities, list):
        details["capabilities"] = [
            word.strip() for word in capabilities if isinstance(word, str)
        ]
    return details


def _present(values: JsonObject, group: str, names: tuple[str, ...]) -> JsonObject:
    found = {name: values[f"{group}.{name}"] for name in names}
    return {name: value for name, value in found.items() if value is not None}
