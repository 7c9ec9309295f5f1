"""The bodies of answers to operator commands, as declared for the description of the
API (``spec/control-plane-api.md`` §5.6–5.9, §5.12)."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.words import CommandStatus, UpdateStatus
from dwserver.http.control_plane.command_fields import (
    REASON_FIELDS,
    REPAIR_FIELDS,
    SIGNAL_FIELDS,
    UPDATE_FIELDS,
)
from dwserver.http.control_plane.start_fields import SIGNAL_WITH_START_FIELDS
from dwserver.http.control_plane.workflow_start import StartAnswer
from dwserver.http.route_shape import (
    Json,
    MicroTime,
    PayloadEnvelope,
    RouteShape,
)
from dwserver.protocol.control_plane import WaitStage
from dwserver.protocol.reasons import Reason


class CommandAnswer(TypedDict):
    """A recorded command; ``message`` says why it was rejected, if it was. Without
    ``validation_errors`` their place has an empty list."""

    outcome: str | None
    workflow_id: str
    run_id: str
    requested_run_id: str | None
    resolved_run_id: str
    command_id: str
    command_sequence: int
    target_scope: Literal["instance"]
    workflow_type: str
    command_status: CommandStatus
    command_source: Literal["control_plane"]
    reason: str | None
    rejection_reason: str | None
    validation_errors: dict[str, list[str]] | list[str]
    message: NotRequired[str]


class SignalAnswer(CommandAnswer):
    signal_name: str


class SignalWithStartAnswer(SignalAnswer):
    start_outcome: str


class RefusedSignalWithStart(StartAnswer):
    """The start was refused, so nothing was signalled."""

    signal_name: str


class UpdateAnswer(CommandAnswer):
    """``wait_for`` and what follows repeat the request."""

    update_name: str
    update_id: str | None
    update_status: UpdateStatus
    workflow_sequence: int | None
    result: Json
    result_envelope: PayloadEnvelope | None
    failure_id: str | None
    failure_message: str | None
    accepted_at: MicroTime | None
    applied_at: MicroTime | None
    rejected_at: MicroTime | None
    closed_at: MicroTime | None
    wait_for: WaitStage
    wait_timed_out: bool
    wait_timeout_seconds: int | None


_ON_A_RUN: Final = (
    Reason.INSTANCE_NOT_FOUND,
    Reason.HISTORICAL_RUN_COMMAND_REJECTED,
    Reason.REQUEST_ID_CONFLICT,
)

# Of cancel, terminate and archive.
REASONED_SHAPE: Final = RouteShape(
    body=REASON_FIELDS,
    answers={200: CommandAnswer, 409: CommandAnswer},
    reasons=_ON_A_RUN,
)
REPAIR_SHAPE: Final = RouteShape(
    body=REPAIR_FIELDS,
    answers={200: CommandAnswer, 409: CommandAnswer},
    reasons=_ON_A_RUN,
)
_WITH_PAYLOADS: Final = (*_ON_A_RUN, Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE)

SIGNAL_SHAPE: Final = RouteShape(
    body=SIGNAL_FIELDS,
    answers=dict.fromkeys((202, 404, 409, 422), SignalAnswer),
    reasons=_WITH_PAYLOADS,
)
SIGNAL_WITH_START_SHAPE: Final = RouteShape(
    body=SIGNAL_WITH_START_FIELDS,
    answers={
        **dict.fromkeys((202, 404, 422), SignalWithStartAnswer),
        409: SignalWithStartAnswer | RefusedSignalWithStart,
    },
    reasons=(
        Reason.REQUEST_ID_CONFLICT,
        Reason.TASK_QUEUE_DRAINING,
        Reason.COMPATIBILITY_BLOCKED,
        Reason.UNKNOWN_SIGNAL,
        Reason.INVALID_SIGNAL_ARGUMENTS,
        Reason.STRUCTURAL_LIMIT_EXCEEDED,
        Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
    ),
)
UPDATE_SHAPE: Final = RouteShape(
    body=UPDATE_FIELDS,
    answers=dict.fromkeys((200, 202, 404, 409, 422), UpdateAnswer),
    reasons=_WITH_PAYLOADS,
)
