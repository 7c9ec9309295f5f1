"""Events of bridge adapters: their fields, and the outcomes that they are answered
(``spec/control-plane-api.md`` §8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.events import present
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.start_fields import START_FIELDS
from dwserver.http.route_shape import JsonMap
from dwserver.protocol.control_plane import WaitStage
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.manifests.bridge_adapter_outcome import (
    OUTCOMES,
    BridgeDuplicatePolicy,
    BridgeOutcome,
)
from dwserver.protocol.reasons import Reason
from dwserver.protocol.schemas import BRIDGE_ADAPTER_OUTCOME
from dwserver.protocol.validation import ARRAY, INTEGER, OBJECT, Errors, Field, check

ADAPTER: Final = re.compile(r"[a-zA-Z0-9._:-]+")

EVENT_FIELDS: Final = (
    Field("action", required=True),
    Field("idempotency_key", required=True, max_length=255),
    Field("target", OBJECT, required=True),
    Field("input", ARRAY),
    Field("correlation", OBJECT),
)
_OF_A_START: Final = ("workflow_type", "workflow_id", "task_queue", "business_key")
START_TARGET: Final = (
    *(each for each in START_FIELDS if each.name in _OF_A_START),
    Field(
        "duplicate_policy",
        default=BridgeDuplicatePolicy.USE_EXISTING.value,
        choices=frozenset(BridgeDuplicatePolicy),
    ),
)
SIGNAL_TARGET: Final = (
    Field("workflow_id", required=True),
    Field("signal_name", required=True, max_length=255),
)
UPDATE_TARGET: Final = (
    Field("workflow_id", required=True),
    Field("update_name", required=True, max_length=255),
    Field("wait_for", default=WaitStage.ACCEPTED.value, choices=frozenset(WaitStage)),
    Field("wait_timeout_seconds", INTEGER, minimum=1, maximum=MAX_DURATION_SECONDS),
)
# What of a target stands in the outcome.
_SHOWN_TARGET: Final = (
    "workflow_id",
    "workflow_type",
    "signal_name",
    "update_name",
    "task_queue",
    "business_key",
)


class Rejected(Exception):
    """The event cannot become a command. ``fields`` are members of the outcome."""

    def __init__(
        self, reason: str, message: str | None = None, **fields: JsonValue
    ) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message
        self.fields = fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What an adapter sent; without ``action`` when not even the frame was right.
    ``target`` as it was sent."""

    adapter: str
    action: str | None = None
    idempotency_key: str | None = None
    target: JsonObject = field(default_factory=dict)
    input: JsonValue = None
    correlation: JsonObject | None = None

    def checked_target(self, fields: Sequence[Field]) -> JsonObject:
        """Values by field name; raises :class:`Rejected`."""
        values, errors = check(self.target, fields)
        if errors:
            raise malformed({f"target.{name}": text for name, text in errors.items()})
        return values

    def metadata(self, **fields: JsonValue) -> JsonObject:
        """What is stored with the command of the event."""
        return {
            "adapter": self.adapter,
            "action": self.action,
            "idempotency_key": self.idempotency_key,
            **fields,
        }


def read_event(call: Call) -> Event:
    """The frame of the event; raises :class:`Rejected`."""
    adapter = call.params["adapter"].strip()
    if not ADAPTER.fullmatch(adapter):
        text = "The name of a bridge adapter has letters, digits and . _ : - only."
        raise Rejected(Reason.UNSUPPORTED_ROUTING, text)
    values, errors = check(call.body, EVENT_FIELDS)
    if "target" not in errors and not values["target"]:
        errors["target"] = ["The target field is required."]
    if errors:
        raise malformed(errors)
    return Event(adapter=adapter, **values)


def malformed(errors: Errors) -> Rejected:
    text = "The event breaks the rules of its fields."
    return Rejected(Reason.MALFORMED_PAYLOAD, text, errors=errors)


def answered(
    event: Event,
    outcome: BridgeOutcome,
    *,
    reason: str | None = None,
    message: str | None = None,
    target: JsonObject | None = None,
    **fields: JsonValue,
) -> Reply:
    """The outcome of an event; members without a value are left out. ``target``: more
    of it than was sent."""
    shown = {**event.target, **(target or {})}
    body = {
        **BRIDGE_ADAPTER_OUTCOME.identity(),
        "adapter": event.adapter,
        "action": event.action,
        "accepted": outcome is BridgeOutcome.ACCEPTED,
        "outcome": outcome,
        "reason": reason,
        "idempotency_key": event.idempotency_key,
        "message": message,
        "target": {name: shown[name] for name in _SHOWN_TARGET if shown.get(name)}
        or None,
        "correlation": event.correlation,
        **fields,
    }
    return Reply(OUTCOMES[outcome].http_status, present(body))


class BridgeAnswer(TypedDict):
    """Members without a value are left out. ``reason`` of a rejected command is the
    command's; ``target`` and ``correlation`` repeat the request."""

    schema: str
    version: int
    adapter: str
    action: NotRequired[str]
    accepted: bool
    outcome: Literal["accepted", "duplicate", "rejected"]
    reason: NotRequired[str]
    idempotency_key: NotRequired[str]
    message: NotRequired[str]
    errors: NotRequired[dict[str, list[str]]]
    target: NotRequired[JsonMap]
    correlation: NotRequired[JsonMap]
    workflow_id: NotRequired[str]
    run_id: NotRequired[str]
    workflow_type: NotRequired[str]
    control_plane_outcome: NotRequired[str]
