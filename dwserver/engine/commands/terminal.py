"""``complete_workflow``, ``fail_workflow``, ``continue_as_new`` (§8.1–8.3, §11)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.background import Background
from dwserver.engine.carry_over import carry_messages
from dwserver.engine.chain import open_successor
from dwserver.engine.closing import cancel_what_is_open, close_run
from dwserver.engine.draft import Draft
from dwserver.engine.family import leaves_children
from dwserver.engine.model import Failure, JsonMap, Payload, Task
from dwserver.engine.payloads import WIRE_CODEC, embed
from dwserver.engine.records import quick_init, replace
from dwserver.engine.wakes import new_workflow_task
from dwserver.engine.words import (
    ClosedReason,
    EventType,
    FailureCategory,
    RunStatus,
)


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteWorkflow:
    result: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailWorkflow:
    """``exception``: the worker's own keys, merged over the recorded ones.
    ``category`` is the server's verdict, never the worker's."""

    message: str
    category: FailureCategory = FailureCategory.APPLICATION
    exception_type: str | None = None
    exception_class: str | None = None
    exception: JsonMap | None = None
    non_retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAsNew:
    """Absent fields keep what the closing run has."""

    arguments: Payload | None = None
    workflow_type: str | None = None
    queue: str | None = None


def complete(draft: Draft, command: CompleteWorkflow, cause: Task) -> None:
    draft.append(
        EventType.WORKFLOW_COMPLETED,
        {
            "output": embed(command.result),
            "payload_codec": WIRE_CODEC,
            "task": events.task_snapshot(cause),
        },
        task_id=cause.id,
    )
    draft.output = command.result
    close_run(draft, RunStatus.COMPLETED, ClosedReason.COMPLETED)


def fail(draft: Draft, command: FailWorkflow, cause: Task | None) -> None:
    context, run = draft.context, draft.run
    failure = Failure(
        id=context.next_id(),
        run_id=run.id,
        source_kind="workflow_run",
        source_id=run.id,
        propagation_kind="terminal",
        category=command.category,
        message=command.message,
        created_at=context.now,
        exception_type=command.exception_type,
        exception_class=command.exception_class,
        non_retryable=command.non_retryable,
        event_sequence=draft.last_sequence + 1,
    )
    payload: dict[str, object] = {
        "failure_id": failure.id,
        "source_kind": failure.source_kind,
        "source_id": failure.source_id,
        "failure_category": failure.category,
        "non_retryable": failure.non_retryable,
        "exception_type": failure.exception_type,
        "exception_class": failure.exception_class,
        "message": failure.message,
        "exception": events.exception_of(failure, command.exception),
    }
    if cause is not None:
        payload["task"] = events.task_snapshot(cause)
    draft.append(
        EventType.WORKFLOW_FAILED, payload, task_id=cause.id if cause else None
    )
    draft.record_failure(failure)
    draft.exception = command.exception
    close_run(draft, RunStatus.FAILED, ClosedReason.FAILED)


def continue_as_new(
    draft: Draft, command: ContinueAsNew, *, cause: Task, background: Background
) -> str:
    """Close this run and create its successor; the id of the new run's first task.

    Needs the run's input and its instance. Open children stay with the run that started
    them; the successor knows that they are there.
    """
    run, link_id = draft.run, draft.context.next_id()
    run_input = draft.input or background.input
    if command.arguments is not None:
        run_input = replace(run_input, arguments=command.arguments)
    new = open_successor(
        draft,
        run_input,
        background=background,
        workflow_type=command.workflow_type or run.workflow_type,
        task_queue=command.queue or run.task_queue,
        continued_from_run_id=run.id,
        inherits_children=leaves_children(draft),
    )
    cancel_what_is_open(draft)
    draft.append(
        EventType.WORKFLOW_CONTINUED_AS_NEW,
        {
            "sequence": draft.next_step(),
            "continued_to_run_id": new.run.id,
            "continued_to_run_number": new.run.run_number,
            "workflow_link_id": link_id,
            "closed_reason": ClosedReason.CONTINUED,
            "task": events.task_snapshot(cause),
        },
        task_id=cause.id,
    )
    close_run(draft, RunStatus.COMPLETED, ClosedReason.CONTINUED)
    new.append(
        EventType.WORKFLOW_STARTED,
        {
            **events.workflow_started(new.run, run_input, None),
            "workflow_link_id": link_id,
        },
    )
    task = new_workflow_task(new, {})
    carry_messages(draft, new, background)
    return task.id
