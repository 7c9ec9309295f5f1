"""The ``failure`` object of an activity (``spec/worker-protocol.md`` §9.4)."""

from __future__ import annotations

from typing import Final

from dwserver.engine.lifecycle.activity_outcome import AttemptFailure
from dwserver.engine.model import Payload
from dwserver.engine.words import FailureCategory
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import parse_worker_payload, plain
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.validation import (
    ANY,
    BOOLEAN,
    OBJECT,
    TEXT,
    Errors,
    Field,
    as_integer,
    collect,
    first_text,
)

KINDS: Final = frozenset(
    {
        "application",
        "timeout",
        "cancellation",
        "malformed_output",
        "handler_crash",
        "decode_failure",
        "unsupported_payload",
    }
)
TIMEOUT_TYPES: Final = frozenset(
    {
        "schedule_to_start",
        "start_to_close",
        "schedule_to_close",
        "heartbeat",
        "deadline_exceeded",
    }
)

FAILURE_FIELDS: Final = (
    Field("failure", OBJECT, required=True),
    Field("failure.message", TEXT, required=True),
    Field("failure.type", TEXT),
    Field("failure.class", TEXT),
    Field("failure.code", ANY),
    Field("failure.stack_trace", TEXT),
    Field("failure.non_retryable", BOOLEAN),
    Field("failure.retryable", BOOLEAN),
    Field("failure.kind", choices=KINDS),
    Field("failure.timeout_type", choices=TIMEOUT_TYPES),
    Field("failure.cancelled", BOOLEAN),
    Field("failure.malformed_output", BOOLEAN),
    Field("failure.details", ANY),
)

DETAILS: Final = "failure.details"


def with_message(body: JsonValue) -> JsonValue:
    """The body with the name of the exception where its text is empty, as workers send
    for ``raise ValueError()`` or a failed assertion."""
    failure = body.get("failure") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(failure, dict):
        return body
    message = failure.get("message")
    if not isinstance(message, str) or message.strip():
        return body
    name = first_text(failure.get("type"), failure.get("class"))
    return {**body, "failure": {**failure, "message": name or message}}


def attempt_failure(values: JsonObject, errors: Errors) -> AttemptFailure:
    """The failure behind checked :data:`FAILURE_FIELDS`; adds to ``errors``.

    A cancelled attempt is never repeated, nor one whose worker says so in either of
    the two fields that exist for it.
    """
    is_cancelled = (
        values["failure.cancelled"] is True or values["failure.kind"] == "cancellation"
    )
    return AttemptFailure(
        message=values["failure.message"] or "",
        type=_stripped(values["failure.type"]),
        failure_class=_stripped(values["failure.class"]),
        # Workers copy whatever the exception calls its code.
        code=as_integer(values["failure.code"]),
        stack_trace=_stripped(values["failure.stack_trace"]),
        is_non_retryable=(
            is_cancelled
            or values["failure.non_retryable"] is True
            or values["failure.retryable"] is False
        ),
        category=_category(values, is_cancelled=is_cancelled),
        details=_details(values[DETAILS], errors),
    )


def _category(values: JsonObject, *, is_cancelled: bool) -> FailureCategory:
    if is_cancelled:
        return FailureCategory.CANCELLED
    if values["failure.kind"] == "timeout":
        return FailureCategory.TIMEOUT
    return FailureCategory.ACTIVITY


def _details(value: JsonValue, errors: Errors) -> Payload | None:
    """Envelopes stay as they are; everything else, strings too, is plain JSON."""
    if value is None:
        return None
    parsed = (
        parse_worker_payload(value, AVRO_CODEC, DETAILS)
        if isinstance(value, dict)
        else plain(value, DETAILS)
    )
    if isinstance(parsed, list):
        errors.update(collect(parsed))
        return None
    return parsed


def _stripped(text: str | None) -> str | None:
    return (text.strip() or None) if text else None
