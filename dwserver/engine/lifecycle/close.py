"""An operator cancels or terminates a run: both close it at once (§9.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dwserver.engine import closing_events
from dwserver.engine.arrivals import release_messages
from dwserver.engine.closing import cancel_what_is_open, close_run
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.operator import (
    Decided,
    OperatorRequest,
    accept,
    reject,
    stored,
)
from dwserver.engine.model import Failure
from dwserver.engine.words import (
    ClosedReason,
    CommandOutcome,
    CommandRejection,
    CommandType,
    EventType,
    FailureCategory,
    RunStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest(OperatorRequest):
    """``command_type``: cancel or terminate. A blank ``reason`` counts as none."""

    command_type: CommandType
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """In which words a run ends."""

    status: RunStatus
    closed_reason: ClosedReason
    outcome: CommandOutcome
    category: FailureCategory
    requested: EventType
    closed: EventType
    exception_class: str


_ENDS: Mapping[CommandType, _End] = {
    CommandType.CANCEL: _End(
        status=RunStatus.CANCELLED,
        closed_reason=ClosedReason.CANCELLED,
        outcome=CommandOutcome.CANCELLED,
        category=FailureCategory.CANCELLED,
        requested=EventType.CANCEL_REQUESTED,
        closed=EventType.WORKFLOW_CANCELLED,
        exception_class=r"Workflow\V2\Exceptions\WorkflowCancelledException",
    ),
    CommandType.TERMINATE: _End(
        status=RunStatus.TERMINATED,
        closed_reason=ClosedReason.TERMINATED,
        outcome=CommandOutcome.TERMINATED,
        category=FailureCategory.TERMINATED,
        requested=EventType.TERMINATE_REQUESTED,
        closed=EventType.WORKFLOW_TERMINATED,
        exception_class=r"Workflow\V2\Exceptions\WorkflowTerminatedException",
    ),
}


def close_on_request(draft: Draft, request: CloseRequest) -> Decided:
    """Close the run with everything it has open; a closed one rejects the command."""
    end = _ENDS[request.command_type]
    reason = (request.reason or "").strip() or None
    payload = stored(draft, {"reason": reason}) if reason else None
    if draft.run.status.is_terminal:
        rejected = reject(
            draft,
            request,
            request.command_type,
            reason=CommandRejection.RUN_NOT_ACTIVE,
            payload=payload,
        )
        return Decided(rejected, draft.run)
    # They came before the command.
    release_messages(draft)
    command = accept(
        draft, request, request.command_type, outcome=end.outcome, payload=payload
    )
    draft.append(
        end.requested,
        closing_events.close_requested(draft.run, command, reason),
        command_id=command.id,
    )
    cancel_what_is_open(draft, command=command)
    failure = _failure(draft, end, reason)
    draft.record_failure(failure)
    draft.append(
        end.closed,
        closing_events.closed_on_request(
            draft.run,
            command,
            failure,
            closed_reason=end.closed_reason,
            reason=reason,
        ),
        command_id=command.id,
    )
    close_run(draft, end.status, end.closed_reason)
    return Decided(command, draft.run)


def _failure(draft: Draft, end: _End, reason: str | None) -> Failure:
    run = draft.run
    text = f"Workflow {end.closed_reason}"
    return Failure(
        id=draft.context.next_id(),
        run_id=run.id,
        source_kind="workflow_run",
        source_id=run.id,
        propagation_kind=end.closed_reason,
        category=end.category,
        message=f"{text}: {reason}" if reason else f"{text}.",
        created_at=draft.context.now,
        exception_class=end.exception_class,
        event_sequence=draft.last_sequence + 1,
    )
