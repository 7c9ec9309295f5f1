"""An operator archives a closed run: retention keeps it from then on (§4)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import administration_events
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.operator import (
    Decided,
    OperatorRequest,
    accept,
    reject,
    stored,
)
from dwserver.engine.words import (
    CommandOutcome,
    CommandRejection,
    CommandType,
    EventType,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRequest(OperatorRequest):
    """A blank ``reason`` counts as none."""

    reason: str | None = None


def archive(draft: Draft, request: ArchiveRequest) -> Decided:
    """Archive the run; an archived one stays as it is, an open one rejects the
    command."""
    reason = (request.reason or "").strip() or None
    payload = stored(draft, {"reason": reason}) if reason else None
    if not draft.run.status.is_terminal:
        rejected = reject(
            draft,
            request,
            CommandType.ARCHIVE,
            reason=CommandRejection.RUN_NOT_CLOSED,
            payload=payload,
        )
        return Decided(rejected, draft.run)
    is_first = draft.run.archived_at is None
    outcome = CommandOutcome.ARCHIVED if is_first else CommandOutcome.ARCHIVE_NOT_NEEDED
    command = accept(
        draft, request, CommandType.ARCHIVE, outcome=outcome, payload=payload
    )
    draft.append(
        EventType.ARCHIVE_REQUESTED,
        administration_events.archive_requested(draft.run, command, reason),
        command_id=command.id,
    )
    if is_first:
        draft.append(
            EventType.WORKFLOW_ARCHIVED,
            administration_events.archived(draft.run, command, reason),
            command_id=command.id,
        )
        draft.set_run(archived_at=draft.context.now)
    return Decided(command, draft.run)
