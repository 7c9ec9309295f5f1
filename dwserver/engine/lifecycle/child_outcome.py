"""A run closes whose parent waits for it (``spec/engine.md §8``; decision 22).

The parent hears of it in the child's own transition: its child call follows the
child to its next run, is retried, or has its outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import child_events
from dwserver.engine.background import Background
from dwserver.engine.chain import open_successor
from dwserver.engine.child_events import RetryOf
from dwserver.engine.draft import AppliedPolicy, Draft
from dwserver.engine.model import Child, JsonMap, RunState
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import replace
from dwserver.engine.retries import retry_delay
from dwserver.engine.steps import resolve
from dwserver.engine.wakes import new_workflow_task, resume_of_child
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ChildStatus,
    ClosedReason,
    EventType,
    ParentClosePolicy,
    RunStatus,
)

_OUTCOME = {
    RunStatus.COMPLETED: (ChildStatus.COMPLETED, EventType.CHILD_RUN_COMPLETED),
    RunStatus.FAILED: (ChildStatus.FAILED, EventType.CHILD_RUN_FAILED),
    RunStatus.CANCELLED: (ChildStatus.CANCELLED, EventType.CHILD_RUN_CANCELLED),
    RunStatus.TERMINATED: (ChildStatus.TERMINATED, EventType.CHILD_RUN_TERMINATED),
}


@dataclass(frozen=True, slots=True)
class ChildHeard:
    """Reply: the child call as it stands now."""

    child: Child


def will_retry(parent: RunState, child: Draft) -> bool:
    """Whether :func:`hear_of_child` is going to need the child's background."""
    call = parent.children.get(child.run.parent_step or 0)
    return (
        call is not None
        and not parent.run.status.is_terminal
        and _is_current(call, child)
        and _delay_of_retry(call, child) is not None
    )


def hear_of_child(
    parent: Draft, child: Draft, background: Background
) -> ChildHeard | Rejection:
    """What the close of ``child``'s run means for its parent.

    Changes both drafts; what it sets on the child's it sets anew each time. A Rejection
    when no call of the parent stands for that run (any more).
    """
    call = parent.children.get(child.run.parent_step or 0)
    if call is None or not _is_current(call, child):
        return Rejection("child_call_closed", "Nothing waits for this run.")
    if child.run.closed_reason is ClosedReason.CONTINUED:
        return ChildHeard(_follow(parent, call, child))
    child.successor = child.instance = None
    delay = None if parent.run.status.is_terminal else _delay_of_retry(call, child)
    if delay is not None:
        return ChildHeard(_retry(parent, call, child, background, delay=delay))
    return ChildHeard(_close(parent, call, child))


def give_up_on_child(
    parent: Draft, found: Child, applied: AppliedPolicy, *, error: str
) -> bool:
    """The close policy cannot be carried out on the run that the call stood for when it
    was ``found``: the call ends. False when it stands for that run no more."""
    call = parent.children.get(found.step)
    if call is None or not call.is_open or call.child_run_id != found.child_run_id:
        return False
    parent.children.put(
        replace(call, status=ChildStatus.ABANDONED, closed_at=parent.context.now)
    )
    parent.append(
        EventType.PARENT_CLOSE_POLICY_FAILED,
        {
            **child_events.policy_applied(call, applied.policy, applied.reason),
            "error": error,
        },
    )
    return True


def policy_reason(policy: ParentClosePolicy, closed_as: str) -> str:
    """Why a child is closed after its parent."""
    return f"Parent workflow closed ({closed_as}); parent-close policy: {policy}."


def _is_current(call: Child, child: Draft) -> bool:
    return call.is_open and call.child_run_id == child.run.id


def _follow(parent: Draft, call: Child, child: Draft) -> Child:
    """The child goes on as another run; that is no news for the workflow."""
    if child.successor is None:
        raise ValueError("a run that continues has a successor")
    run = child.successor.run
    moved = replace(call, child_run_id=run.id, child_run_number=run.run_number)
    parent.children.put(moved)
    if not parent.run.status.is_terminal:
        parent.append(
            EventType.CHILD_RUN_STARTED, child_events.child_run_started(moved, run)
        )
    return moved


def _delay_of_retry(call: Child, child: Draft) -> int | None:
    """Microseconds until the child's next run; None when its outcome stands."""
    run, failure = child.run, child.own_failure
    if run.status is not RunStatus.FAILED or (failure and failure.non_retryable):
        return None
    return retry_delay(
        call.retry_policy,
        made=call.attempt_count,
        failed_as=(failure.exception_type, failure.exception_class) if failure else (),
        now=child.context.now,
        deadline=run.execution_deadline_at,
    )


def _retry(
    parent: Draft, call: Child, child: Draft, background: Background, *, delay: int
) -> Child:
    run_input = child.input or background.input
    retry = RetryOf(child.run.id, delay // MICROS)
    new = open_successor(child, run_input, background=background)
    moved = replace(
        call,
        child_run_id=new.run.id,
        child_run_number=new.run.run_number,
        attempt_count=call.attempt_count + 1,
    )
    new.append(
        EventType.WORKFLOW_STARTED,
        child_events.started_by_parent(
            new.run, run_input, parent=parent.run, child=moved, retry=retry
        ),
    )
    new_workflow_task(new, {}, delay=delay)
    parent.children.put(moved)
    parent.append(
        EventType.CHILD_RUN_STARTED,
        child_events.child_run_started(moved, new.run, retry=retry),
    )
    return moved


def _close(parent: Draft, call: Child, child: Draft) -> Child:
    status, event_type = _OUTCOME[child.run.status]
    closed = replace(call, status=status, closed_at=child.run.closed_at)
    parent.children.put(closed)
    if not parent.run.status.is_terminal:
        resolve(
            parent,
            closed,
            event_type=event_type,
            payload=_outcome(closed, child),
            resume=resume_of_child(closed, event_type),
        )
    elif child.policy is not None:
        applied = child.policy
        parent.append(
            EventType.PARENT_CLOSE_POLICY_APPLIED,
            child_events.policy_applied(closed, applied.policy, applied.reason),
        )
    return closed


def _outcome(call: Child, child: Draft) -> JsonMap:
    run = child.run
    match run.status:
        case RunStatus.COMPLETED:
            return child_events.child_completed(call, run, child.output)
        case RunStatus.FAILED:
            return child_events.child_failed(
                call, run, child.own_failure, told=child.exception
            )
        case _:
            return child_events.child_stopped(call, run, child.own_failure)
