"""The deadline of a run or of its whole execution passes (``spec/engine.md §11``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import closing_events
from dwserver.engine.closing import cancel_what_is_open, close_run
from dwserver.engine.draft import Draft
from dwserver.engine.model import Failure, Run, Task
from dwserver.engine.records import replace
from dwserver.engine.wire_time import iso
from dwserver.engine.words import (
    ClosedReason,
    EventType,
    FailureCategory,
    RunStatus,
    RunTimeoutKind,
    TaskStatus,
)

EXCEPTION_CLASS = r"Workflow\V2\Exceptions\WorkflowTimeoutException"
_DEADLINE_NAMES = {
    RunTimeoutKind.EXECUTION: "execution",
    RunTimeoutKind.RUN: "run",
}


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """Reply to a completion that came too late: instead of it, the time-out was
    recorded. No :class:`Rejection`, which leaves a run as it was."""

    run: Run


def is_overdue(draft: Draft) -> bool:
    """The run is open and a deadline of it has passed."""
    run = draft.run
    deadline = run.deadline_at
    return (
        deadline is not None
        and deadline <= draft.context.now
        and not run.status.is_terminal
    )


def time_out_run(draft: Draft) -> bool:
    """Close an overdue run with everything it has open; False when it is not."""
    if not is_overdue(draft):
        return False
    run, context = draft.run, draft.context
    at, kind = run.run_deadline_at, RunTimeoutKind.RUN
    execution = run.execution_deadline_at
    if execution is not None and execution <= context.now:
        at, kind = execution, RunTimeoutKind.EXECUTION
    cancel_what_is_open(draft)
    failure = Failure(
        id=context.next_id(),
        run_id=run.id,
        source_kind="workflow_run",
        source_id=run.id,
        propagation_kind="timeout",
        category=FailureCategory.TIMEOUT,
        message=f"Workflow {_DEADLINE_NAMES[kind]} deadline expired at {iso(at or 0)}.",
        created_at=context.now,
        exception_class=EXCEPTION_CLASS,
        event_sequence=draft.last_sequence + 1,
    )
    draft.record_failure(failure)
    draft.append(
        EventType.WORKFLOW_TIMED_OUT,
        closing_events.run_timed_out(run, failure, kind),
    )
    close_run(draft, RunStatus.FAILED, ClosedReason.TIMED_OUT)
    return True


def time_out_instead(draft: Draft, task: Task) -> RunTimedOut | None:
    """What a completion of ``task`` comes to if the run is overdue."""
    if not is_overdue(draft):
        return None
    draft.tasks.put(
        replace(task, status=TaskStatus.COMPLETED, closed_at=draft.context.now)
    )
    time_out_run(draft)
    return RunTimedOut(draft.run)
