"""Activities that nobody's workflow asked for (``spec/control-plane-api.md §10``).

Each is the only step of a run that hosts it. No workflow task is ever made for such a
run: it ends as its activity does.
"""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.commands import activities, terminal
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.terminal import CompleteWorkflow, FailWorkflow
from dwserver.engine.context import Context
from dwserver.engine.draft import Draft
from dwserver.engine.hosts import HOST_TYPE, is_host
from dwserver.engine.lifecycle.operator import OperatorRequest, accept
from dwserver.engine.model import (
    Failure,
    Instance,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Task,
)
from dwserver.engine.steps import open_batch
from dwserver.engine.words import (
    CommandOutcome,
    CommandType,
    EventType,
    RunStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartActivity(OperatorRequest):
    """``input.arguments`` are those of the activity; its ``memo`` says what describes
    it."""

    activity_id: str
    activity_type: str
    task_queue: str
    input: RunInput
    payload_codec: str
    retry_policy: RetryPolicy | None = None
    compatibility: str | None = None


def start_activity(start: StartActivity, context: Context) -> Draft:
    """The host run of a free workflow id, with its activity ready for a worker."""
    now = context.now
    run = Run(
        id=context.next_id(),
        namespace=start.namespace,
        workflow_id=start.activity_id,
        workflow_type=HOST_TYPE,
        run_number=1,
        status=RunStatus.WAITING,
        task_queue=start.task_queue,
        payload_codec=start.payload_codec,
        started_at=now,
        last_progress_at=now,
        compatibility=start.compatibility,
    )
    draft = Draft.of_new_run(run, start.input, context)
    command = accept(
        draft,
        start,
        CommandType.START,
        outcome=CommandOutcome.STARTED_NEW,
        payload=start.input.arguments,
    )
    for event_type, payload in (
        (EventType.START_ACCEPTED, events.start_decided(run, start.input, command)),
        (
            EventType.WORKFLOW_STARTED,
            events.workflow_started(run, start.input, command),
        ),
    ):
        draft.append(event_type, payload, command_id=command.id)
    schedule = ScheduleActivity(
        activity_type=start.activity_type,
        arguments=start.input.arguments,
        retry_policy=start.retry_policy,
    )
    batch = open_batch(draft, size=1)
    activities.apply(draft, schedule, batch=batch, cause=None)
    draft.new_instance = Instance(
        namespace=start.namespace,
        workflow_id=start.activity_id,
        workflow_type=HOST_TYPE,
        current_run_id=run.id,
        run_count=1,
        created_at=now,
    )
    return draft


def end_with_result(draft: Draft, result: Payload | None, cause: Task) -> None:
    """The activity succeeded; its run, if it is but a host, completes with it."""
    if is_host(draft.run):
        terminal.complete(draft, CompleteWorkflow(result=result), cause)


def end_with_failure(draft: Draft, failure: Failure, cause: Task | None) -> None:
    """The activity failed for good; its run, if it is but a host, fails with it."""
    if is_host(draft.run):
        told = FailWorkflow(
            message=failure.message,
            category=failure.category,
            exception_type=failure.exception_type,
            exception_class=failure.exception_class,
            non_retryable=failure.non_retryable,
        )
        terminal.fail(draft, told, cause)
