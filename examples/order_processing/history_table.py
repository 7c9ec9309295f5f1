"""The history of a run as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from durable_workflow import serializer

HEADINGS = ("#", "event", "step", "what")

Payload = Mapping[str, Any]


def _decoded(payload: Payload, key: str) -> str:
    value = payload.get(key)
    codec = payload.get("payload_codec") or serializer.AVRO_CODEC
    return repr(serializer.decode_envelope(value, codec=codec))


def _message(name_key: str, payload: Payload) -> str:
    """Name and arguments of a signal or update; the arguments may be missing."""
    name = str(payload.get(name_key))
    if payload.get("arguments") is None:
        return name
    return f"{name} {_decoded(payload, 'arguments')}"


def _update_outcome(payload: Payload) -> str:
    if payload.get("failure_id") is not None:
        return f"{payload.get('update_name')}: {payload.get('message')}"
    return f"{payload.get('update_name')} = {_decoded(payload, 'result')}"


def _wait(payload: Payload) -> str:
    limit = payload.get("timeout_seconds")
    at_most = "" if limit is None else f", at most {limit} s"
    return f"{payload.get('condition_key')}{at_most}"


def _attempt(payload: Payload) -> str:
    return f"{payload.get('activity_type')}, attempt {payload.get('attempt_number')}"


def _failure(payload: Payload) -> str:
    return f"{payload.get('activity_type')}: {payload.get('message')}"


DESCRIPTIONS: dict[str, Callable[[Payload], str]] = {
    "WorkflowStarted": lambda p: str(p.get("workflow_type")),
    "ActivityScheduled": lambda p: str(p.get("activity_type")),
    "ActivityStarted": _attempt,
    "ActivityRetryScheduled": lambda p: (
        f"{_failure(p)}; again in {p.get('retry_backoff_seconds')} s"
    ),
    "ActivityCompleted": lambda p: (
        f"{p.get('activity_type')} = {_decoded(p, 'result')}"
    ),
    "ActivityFailed": _failure,
    "TimerScheduled": lambda p: f"{p.get('delay_seconds')} s",
    "TimerFired": lambda p: f"after {p.get('delay_seconds')} s",
    "TimerCancelled": lambda p: f"{p.get('delay_seconds')} s",
    "ConditionWaitOpened": _wait,
    "ConditionWaitSatisfied": lambda p: str(p.get("condition_key")),
    "SignalReceived": partial(_message, "signal_name"),
    "UpdateAccepted": partial(_message, "update_name"),
    "UpdateApplied": lambda p: str(p.get("update_name")),
    "UpdateCompleted": _update_outcome,
    "WorkflowCompleted": lambda p: _decoded(p, "output"),
    "WorkflowFailed": lambda p: str(p.get("message")),
}


def _row(event: Mapping[str, Any]) -> tuple[str, ...]:
    kind = str(event["event_type"])
    payload: Payload = event.get("payload") or {}
    describe = DESCRIPTIONS.get(kind)
    return (
        str(event["sequence"]),
        kind,
        str(payload.get("sequence", "")),
        describe(payload) if describe else "",
    )


def history_table(events: Iterable[Mapping[str, Any]]) -> str:
    """Columns: sequence of the event, its type, the workflow step, what happened."""
    rows = [HEADINGS, *map(_row, events)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths[:-1]) + "  ----")
    return "\n".join(line.rstrip() for line in lines)
