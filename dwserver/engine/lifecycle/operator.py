"""Operator commands: what all of them have, and the rows that they leave (§1).

Every command that reaches a run takes the next number of its sequence, whether it is
accepted or rejected (``spec/control-plane-api.md §5.6.1``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dwserver.engine.draft import Draft
from dwserver.engine.model import Command, JsonMap, Payload, Run
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.engine.words import (
    CommandOutcome,
    CommandRejection,
    CommandStatus,
    CommandType,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRequest:
    """``context`` is the attribution (§3 rule 5); ``request_id`` makes the request
    safe to send again, where its service looks for it. ``is_retried``: one that was
    rejected is decided anew when it is sent again."""

    namespace: str
    request_id: str | None = None
    is_retried: bool = False
    context: JsonMap = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """Reply: the recorded command, perhaps a rejected one, and the run after it."""

    command: Command
    run: Run


def stored(draft: Draft, fields: JsonMap) -> Payload:
    """What a command was given, or found, as the payload of its row."""
    return Payload(PLAIN_CODEC, draft.context.encode(fields).decode())


def accept(
    draft: Draft,
    request: OperatorRequest,
    command_type: CommandType,
    *,
    outcome: CommandOutcome,
    target_name: str | None = None,
    payload: Payload | None = None,
    is_applied: bool = True,
) -> Command:
    """Record an accepted command. ``is_applied`` is False for a message, which takes
    effect when the workflow has seen it."""
    run, now = draft.run, draft.context.now
    command = Command(
        id=draft.context.next_id(),
        namespace=request.namespace,
        workflow_id=run.workflow_id,
        run_id=run.id,
        sequence=run.command_sequence + 1,
        command_type=command_type,
        status=CommandStatus.ACCEPTED,
        outcome=outcome,
        created_at=now,
        target_name=target_name,
        request_id=request.request_id,
        payload=payload,
        context=request.context,
        applied_at=now if is_applied else None,
    )
    draft.record_command(command)
    draft.set_run(command_sequence=command.sequence)
    return command


def reject(
    draft: Draft,
    request: OperatorRequest,
    command_type: CommandType,
    *,
    reason: CommandRejection,
    target_name: str | None = None,
    payload: Payload | None = None,
) -> Command:
    """Record a rejected command; its outcome follows from ``reason``."""
    run, context = draft.run, draft.context
    command = Command(
        id=context.next_id(),
        namespace=request.namespace,
        workflow_id=run.workflow_id,
        run_id=run.id,
        sequence=run.command_sequence + 1,
        command_type=command_type,
        status=CommandStatus.REJECTED,
        outcome=reason.outcome,
        created_at=context.now,
        target_name=target_name,
        rejection_reason=reason,
        request_id=None if request.is_retried else request.request_id,
        payload=payload,
        context=request.context,
    )
    draft.record_command(command)
    draft.set_run(command_sequence=command.sequence)
    return command
