"""Answers to updates (``spec/control-plane-api.md`` §5.8)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.engine.model import Update
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.engine.words import CommandOutcome, UpdateStatus
from dwserver.http.control_plane.command_views import command_body, rejected_status
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.framing import Framing, display, encode_for
from dwserver.services.messages import Updated

_STATUS: Final[Mapping[UpdateStatus, int]] = MappingProxyType(
    {
        UpdateStatus.ACCEPTED: 202,
        UpdateStatus.COMPLETED: 200,
        UpdateStatus.FAILED: 422,
    }
)
_OUTCOME: Final[Mapping[UpdateStatus, CommandOutcome]] = MappingProxyType(
    {
        UpdateStatus.COMPLETED: CommandOutcome.UPDATE_COMPLETED,
        UpdateStatus.FAILED: CommandOutcome.UPDATE_FAILED,
    }
)


def update_status(done: Updated) -> int:
    """HTTP status, by what has become of the update so far."""
    return rejected_status(done.command) or _STATUS[_status(done)]


def update_body(done: Updated, framing: Framing) -> JsonObject:
    """Members of a command, and how the update stands; ``framing`` is for a result
    that came unencoded."""
    status, update = _status(done), done.update
    body = command_body(done)
    if status in _OUTCOME:
        body["outcome"] = _OUTCOME[status]
    if update is not None and update.failure_message is not None:
        body["message"] = update.failure_message
    return {
        **body,
        "update_id": update.id if update else None,
        "update_status": status,
        "update_name": done.command.target_name,
        "workflow_sequence": update.step if update else None,
        **_result(update, framing),
        "failure_id": update.failure_id if update else None,
        "failure_message": update.failure_message if update else None,
        **_instants(done, status),
    }


def _status(done: Updated) -> UpdateStatus:
    return done.update.status if done.update else UpdateStatus.REJECTED


def _result(update: Update | None, framing: Framing) -> JsonObject:
    if update is None or update.result is None:
        return {"result": None, "result_envelope": None}
    return {
        "result": display(update.result)[1],
        "result_envelope": encode_for(update.result, framing),
    }


def _instants(done: Updated, status: UpdateStatus) -> JsonObject:
    update, is_rejected = done.update, status is UpdateStatus.REJECTED
    decided_at = micro(done.command.created_at)
    return {
        "accepted_at": None if is_rejected else decided_at,
        "applied_at": micro_or_none(update.applied_at) if update else None,
        "rejected_at": decided_at if is_rejected else None,
        "closed_at": (
            decided_at
            if is_rejected
            else micro_or_none(update.closed_at if update else None)
        ),
    }
