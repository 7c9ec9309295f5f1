"""Start a workflow, or meet one that has its id (§4, §11, decision 7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dwserver.engine import events
from dwserver.engine.context import Context
from dwserver.engine.draft import Draft
from dwserver.engine.leases import after
from dwserver.engine.model import Command, Instance, JsonMap, Run, RunInput
from dwserver.engine.records import quick_init
from dwserver.engine.wakes import new_workflow_task
from dwserver.engine.words import (
    CommandStatus,
    CommandType,
    EventType,
    RunStatus,
)


class DuplicatePolicy(StrEnum):
    FAIL = "fail"
    USE_EXISTING = "use-existing"


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A validated start request; ``context`` is its attribution (§3 rule 5)."""

    namespace: str
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
    context: JsonMap = field(default_factory=dict)


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
        command_sequence=1,
        compatibility=start.compatibility,
        priority=start.priority,
        execution_timeout_seconds=start.execution_timeout_seconds,
        run_timeout_seconds=start.run_timeout_seconds,
        execution_deadline_at=after(now, start.execution_timeout_seconds),
        run_deadline_at=after(now, start.run_timeout_seconds),
    )
    draft = Draft.of_new_run(run, start.input, context)
    command = _command(start, run, 1, "started_new", context)
    draft.record_command(command)
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
    run = draft.run
    if (
        start.duplicate_policy is DuplicatePolicy.USE_EXISTING
        and not run.status.is_terminal
    ):
        outcome, reason, event = (
            "returned_existing_active",
            None,
            EventType.START_ACCEPTED,
        )
    else:
        outcome, reason, event = (
            "rejected_duplicate",
            "instance_already_started",
            EventType.START_REJECTED,
        )
    sequence = run.command_sequence + 1
    command = _command(start, run, sequence, outcome, draft.context, reason)
    draft.set_run(command_sequence=sequence)
    draft.record_command(command)
    draft.append(
        event, events.start_decided(run, start.input, command), command_id=command.id
    )
    return Started(run, outcome, reason)


def _command(
    start: Start,
    run: Run,
    sequence: int,
    outcome: str,
    context: Context,
    reason: str | None = None,
) -> Command:
    return Command(
        id=context.next_id(),
        namespace=start.namespace,
        workflow_id=start.workflow_id,
        run_id=run.id,
        sequence=sequence,
        command_type=CommandType.START,
        status=CommandStatus.REJECTED if reason else CommandStatus.ACCEPTED,
        outcome=outcome,
        created_at=context.now,
        rejection_reason=reason,
        payload=start.input.arguments,
        context=start.context,
    )
