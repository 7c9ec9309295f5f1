"""An update reaches a run (``spec/engine.md §9.6``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import message_events
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.message import Intake, MessageRequest, refusal
from dwserver.engine.lifecycle.operator import accept, reject
from dwserver.engine.messages import new_update, take_in_update
from dwserver.engine.model import Command, Run, Update
from dwserver.engine.records import replace
from dwserver.engine.words import (
    CommandOutcome,
    CommandRejection,
    CommandType,
    EventType,
    UpdateStatus,
)

INTAKE = Intake(
    unknown_name=CommandRejection.UNKNOWN_UPDATE,
    bad_arguments=CommandRejection.INVALID_UPDATE_ARGUMENTS,
    pending=lambda draft: sum(update.is_open for update in draft.updates.values()),
    limit=lambda draft: draft.context.policy.limits.pending_updates,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest(MessageRequest):
    """A validated update request."""


@dataclass(frozen=True, slots=True)
class AcceptedUpdate:
    """Reply: the recorded command, the update, and the run after it. A rejected
    command leaves an update too, of status ``rejected``."""

    command: Command
    update: Update
    run: Run


def accept_update(draft: Draft, request: UpdateRequest) -> AcceptedUpdate:
    """Record the update and give it a task in its turn, or record why not.

    The draft is of the current run of the workflow id; the caller has found it. A
    request sent again (same ``request_id``) is the caller's to recognise.
    """
    reason = refusal(draft, request, INTAKE)
    if reason is not None:
        return _reject(draft, request, reason)
    command = accept(
        draft,
        request,
        CommandType.UPDATE,
        outcome=CommandOutcome.OPEN,
        target_name=request.name,
        payload=request.arguments,
        is_applied=False,
    )
    update = take_in_update(draft, command, update_id=draft.context.next_id())
    return AcceptedUpdate(command, update, draft.run)


def _reject(
    draft: Draft, request: UpdateRequest, reason: CommandRejection
) -> AcceptedUpdate:
    command = reject(
        draft,
        request,
        CommandType.UPDATE,
        reason=reason,
        target_name=request.name,
        payload=request.arguments,
    )
    update = replace(
        new_update(
            draft,
            command,
            update_id=draft.context.next_id(),
            status=UpdateStatus.REJECTED,
        ),
        closed_at=draft.context.now,
    )
    # What has ended has no more to tell about its workflow (§17 rule 5).
    if not draft.run.status.is_terminal:
        sequence = draft.append(
            EventType.UPDATE_REJECTED,
            message_events.update_rejected(
                draft.run, update, command, validation_errors=request.argument_errors
            ),
            command_id=command.id,
        )
        update = replace(update, event_sequence=sequence)
    draft.updates.add(update)
    return AcceptedUpdate(command, update, draft.run)
