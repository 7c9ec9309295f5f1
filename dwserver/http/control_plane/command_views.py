"""Answers to operator commands (``spec/control-plane-api.md`` §5.6, §5.8)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import orjson

from dwserver.engine.model import Command
from dwserver.engine.words import CommandRejection, CommandType
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Plane, Reason, status_of
from dwserver.services.messages import Commanded

_ACCEPTED: Final[Mapping[CommandType, int]] = MappingProxyType(
    {
        CommandType.SIGNAL: 202,
        CommandType.CANCEL: 200,
        CommandType.TERMINATE: 200,
        CommandType.REPAIR: 200,
        CommandType.ARCHIVE: 200,
    }
)
_WITH_REASON: Final = (
    CommandType.CANCEL,
    CommandType.TERMINATE,
    CommandType.ARCHIVE,
)
REJECTED_BECAUSE: Final[Mapping[CommandRejection, str]] = MappingProxyType(
    {
        CommandRejection.RUN_NOT_ACTIVE: "The run is closed.",
        CommandRejection.RUN_NOT_CLOSED: "The run is open; only closed ones are "
        "archived.",
        CommandRejection.SELECTED_RUN_NOT_CURRENT: "A newer run took over.",
        CommandRejection.UNKNOWN_SIGNAL: "The workflow type declares no such signal.",
        CommandRejection.UNKNOWN_UPDATE: "The workflow type declares no such update.",
        CommandRejection.INVALID_SIGNAL_ARGUMENTS: "The arguments do not fit.",
        CommandRejection.INVALID_UPDATE_ARGUMENTS: "The arguments do not fit.",
        CommandRejection.STRUCTURAL_LIMIT_EXCEEDED: "The run takes no more of these "
        "now, or the arguments are too large.",
    }
)


def command_status(command: Command) -> int:
    """HTTP status of a recorded command that is no update."""
    return rejected_status(command) or _ACCEPTED[command.command_type]


def rejected_status(command: Command) -> int | None:
    if command.rejection_reason is None:
        return None
    return status_of(Reason(command.rejection_reason), Plane.CONTROL)


def command_body(done: Commanded) -> JsonObject:
    """Members that every recorded command has. ``reason`` of an accepted one is the
    caller's own; a rejected one says in ``message`` why."""
    command = done.command
    rejected = command.rejection_reason
    body: JsonObject = {
        "outcome": command.outcome or None,
        "workflow_id": command.workflow_id,
        "run_id": command.run_id,
        "requested_run_id": None,
        "resolved_run_id": command.run_id,
        "command_id": command.id,
        "command_sequence": command.sequence,
        "target_scope": "instance",
        "workflow_type": done.run.workflow_type,
        "command_status": command.status,
        "command_source": "control_plane",
        "reason": rejected or _given_reason(command),
        "rejection_reason": rejected,
        "validation_errors": done.shown_errors,
    }
    if rejected is not None:
        body["message"] = REJECTED_BECAUSE[CommandRejection(rejected)]
    if command.command_type in (CommandType.SIGNAL, CommandType.UPDATE):
        body[f"{command.command_type}_name"] = command.target_name
    return body


def _given_reason(command: Command) -> JsonValue:
    """Why the caller wanted that."""
    if command.command_type not in _WITH_REASON:
        return None
    return orjson.loads(command.payload.data)["reason"] if command.payload else None
