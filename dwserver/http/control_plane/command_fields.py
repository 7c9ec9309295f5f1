"""The fields of operator commands (``spec/control-plane-api.md`` §5.6–5.9)."""

from __future__ import annotations

from typing import Final, NamedTuple

from dwserver.engine.model import Payload
from dwserver.http.call import Call
from dwserver.http.errors import invalid_fields
from dwserver.http.external_payloads import fetched, kept
from dwserver.http.request_fields import checked
from dwserver.protocol.control_plane import REMOVED_UPDATE_FIELDS, WaitStage
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import BlobCheck, parse_input
from dwserver.protocol.reasons import Plane
from dwserver.protocol.validation import ARRAY, INTEGER, TEXT, Field, collect
from dwserver.services.catalog import Services

MAXREQUEST_ID_LENGTH: Final = 255
MAX_REASON_LENGTH: Final = 1000

REQUEST_ID: Final = Field("request_id", max_length=MAXREQUEST_ID_LENGTH)
_INPUT: Final = Field("input", ARRAY)

SIGNAL_FIELDS: Final = (_INPUT, REQUEST_ID)
UPDATE_FIELDS: Final = (
    _INPUT,
    REQUEST_ID,
    Field("wait_for", default=WaitStage.ACCEPTED.value, choices=frozenset(WaitStage)),
    Field("wait_timeout_seconds", INTEGER, minimum=1, maximum=MAX_DURATION_SECONDS),
)
REASON_FIELDS: Final = (
    Field("reason", TEXT, max_length=MAX_REASON_LENGTH),
    REQUEST_ID,
)
REPAIR_FIELDS: Final = (REQUEST_ID,)


def checked_update(body: JsonValue) -> JsonObject:
    """Checked values by field name. A field of the past is refused once the others
    have passed."""
    values = checked(body, UPDATE_FIELDS)
    if isinstance(body, dict):
        errors = {
            name: [f"The {name} field is no longer supported. {remedy}"]
            for name, remedy in REMOVED_UPDATE_FIELDS.items()
            if name in body
        }
        if errors:
            raise invalid_fields(errors)
    return values


def checked_reason(body: JsonValue) -> JsonObject:
    """Checked values by field name; a blank reason is none."""
    values = checked(body, REASON_FIELDS)
    reason = values["reason"]
    values["reason"] = (reason.strip() or None) if reason else None
    return values


class SentArguments(NamedTuple):
    """The arguments of a message as they were sent, and as they are to be recorded."""

    arguments: Payload | None
    kept: Payload | None


async def message_arguments(
    services: Services, call: Call, raw: JsonValue, *, field: str = "input"
) -> SentArguments:
    """The arguments of a signal or an update; a reference is followed, a large blob
    moved. Raises the refusals 422 and 503."""
    value = await fetched(services, call, raw, field=field, plane=Plane.CONTROL)
    arguments = _parsed(value, field)
    return SentArguments(
        arguments, await kept(services, call, arguments, plane=Plane.CONTROL)
    )


def _parsed(raw: JsonValue, field: str) -> Payload | None:
    """A plain object keeps its names. Raises the refusal 422."""
    parsed = parse_input(raw, field, blob_check=BlobCheck.ARRAY, keep_names=True)
    if isinstance(parsed, list):
        raise invalid_fields(collect(parsed))
    return parsed
