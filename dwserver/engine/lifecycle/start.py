"""Start a workflow, or meet one that has its id (§4, §11, decision 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dwserver.engine import events
from dwserver.engine.context import Context
from dwserver.engine.draft import Draft
from dwserver.engine.leases import after
from dwserver.engine.lifecycle.operator import OperatorRequest, accept, reject
from dwserver.engine.model import Instance, Run, RunInput
from dwserver.engine.records import quick_init
from dwserver.engine.wakes import new_workflow_task
from dwserver.engine.words import (
    CommandOutcome,
    CommandRejection,
    CommandType,
    EventType,
    RunStatus,
)


class DuplicatePolicy(StrEnum):
    FAIL = "fail"
    USE_EXISTING = "use-existing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(OperatorRequest):
    """A validated start request."""

    workflow_id: str
    workflow_type: str
    task_queue: str
    input: RunInput
    payload_codec: str
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.FAIL
    execution_timeout_seconds: int | None = None
    run_timeout_seconds: int | None = None
    compatibility: str | None = None
    priority: int = 5


@quick_init
@dataclass(frozen=True, slots=True)
class Started:
    """Reply: the run that the workflow id stands for now, and how that came about."""

    run: Run
    outcome: str
    rejection_reason: str | None = None


def start_new(start: Start, context: Context) -> Draft:
    """The first run of a free workflow id, with its first workflow task."""
    now = context.now
    run = Run(
        id=context.next_id(),
        namespace=start.namespace,
        workflow_id=start.workflow_id,
        workflow_type=start.workflow_type,
        run_number=1,
        status=RunStatus.PENDING,
        task_queue=start.task_queue,
        payload_codec=start.payload_codec,
        started_at=now,
        last_progress_at=now,
        compatibility=start.compatibility,
        priority=start.priority,
        execution_timeout_seconds=start.execution_timeout_seconds,
        run_timeout_seconds=start.run_timeout_seconds,
        execution_deadline_at=after(now, start.execution_timeout_seconds),
        run_deadline_at=after(now, start.run_timeout_seconds),
    )
    draft = Draft.of_new_run(run, start.input, context)
    command = accept(
        draft,
        start,
        CommandType.START,
        outcome=CommandOutcome.STARTED_NEW,
        payload=start.input.arguments,
    )
    draft.append(
        EventType.START_ACCEPTED,
        events.start_decided(run, start.input, command),
        command_id=command.id,
    )
    draft.append(
        EventType.WORKFLOW_STARTED,
        events.workflow_started(run, start.input, command),
        command_id=command.id,
    )
    new_workflow_task(draft, {})
    draft.new_instance = Instance(
        namespace=start.namespace,
        workflow_id=start.workflow_id,
        workflow_type=start.workflow_type,
        current_run_id=run.id,
        run_count=1,
        created_at=now,
    )
    return draft


def start_again(draft: Draft, start: Start) -> Started:
    """A start of an id whose current run is the draft's: returned if it is active and
    the caller accepts that, else rejected. Either way the run's history says so."""
    run, arguments = draft.run, start.input.arguments
    if (
        start.duplicate_policy is DuplicatePolicy.USE_EXISTING
        and not run.status.is_terminal
    ):
        event = EventType.START_ACCEPTED
        command = accept(
            draft,
            start,
            CommandType.START,
            outcome=CommandOutcome.RETURNED_EXISTING_ACTIVE,
            payload=arguments,
        )
    else:
        event = EventType.START_REJECTED
        command = reject(
            draft,
            start,
            CommandType.START,
            reason=CommandRejection.INSTANCE_ALREADY_STARTED,
            payload=arguments,
        )
    draft.append(
        event, events.start_decided(run, start.input, command), command_id=command.id
    )
    return Started(run, command.outcome, command.rejection_reason)
