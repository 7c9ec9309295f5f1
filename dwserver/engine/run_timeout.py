"""The deadline of a run or of its whole execution passes (``spec/engine.md §11``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import closing_events
from dwserver.engine.closing import cancel_what_is_open, close_run
from dwserver.engine.draft import Draft
from dwserver.engine.model import Failure, Run, Task
from dwserver.engine.records import replace
from dwserver.engine.wire_time import iso_or_none
from dwserver.engine.words import (
    ClosedReason,
    EventType,
    FailureCategory,
    RunStatus,
    RunTimeoutKind,
    TaskStatus,
)

EXCEPTION_CLASS = r"Workflow\V2\Exceptions\WorkflowTimeoutException"


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """Reply to a completion that came too late: instead of it, the time-out was
    recorded. No :class:`Rejection`, which leaves a run as it was."""

    run: Run


def overdue_kind(draft: Draft) -> RunTimeoutKind | None:
    """The deadline that an open run has passed; that of the execution comes first."""
    run, now = draft.run, draft.context.now
    if run.status.is_terminal:
        return None
    if run.execution_deadline_at is not None and run.execution_deadline_at <= now:
        return RunTimeoutKind.EXECUTION
    if run.run_deadline_at is not None and run.run_deadline_at <= now:
        return RunTimeoutKind.RUN
    return None


def time_out_run(draft: Draft) -> bool:
    """Close an overdue run with everything it has open; False when it is not."""
    kind = overdue_kind(draft)
    if kind is None:
        return False
    run, context = draft.run, draft.context
    cancel_what_is_open(draft)
    failure = Failure(
        id=context.next_id(),
        run_id=run.id,
        source_kind="workflow_run",
        source_id=run.id,
        propagation_kind="timeout",
        category=FailureCategory.TIMEOUT,
        message=_message(run, kind),
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


def _message(run: Run, kind: RunTimeoutKind) -> str:
    if kind is RunTimeoutKind.EXECUTION:
        name, deadline = "execution", run.execution_deadline_at
    else:
        name, deadline = "run", run.run_deadline_at
    return f"Workflow {name} deadline expired at {iso_or_none(deadline)}."


def time_out_instead(draft: Draft, task: Task) -> RunTimedOut | None:
    """What a completion of ``task`` comes to if the run is overdue."""
    if overdue_kind(draft) is None:
        return None
    draft.tasks.put(
        replace(task, status=TaskStatus.COMPLETED, closed_at=draft.context.now)
    )
    time_out_run(draft)
    return RunTimedOut(draft.run)
