"""Child calls of an imported run, from the events of their parent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.imports.history import CHILD_ENDED, Told
from dwserver.engine.imports.payload_fields import (
    fields,
    integer,
    parallel_of,
    retry_policy_of,
    text,
)
from dwserver.engine.imports.records import BundleEvent, InconsistentBundle
from dwserver.engine.model import Child, Run
from dwserver.engine.payloads import UNKNOWN_DIGEST
from dwserver.engine.words import ChildStatus, EventType, ParentClosePolicy

_STARTED: Final = frozenset(
    {EventType.CHILD_WORKFLOW_SCHEDULED, EventType.CHILD_RUN_STARTED}
)
_ENDED: Final = {
    EventType.CHILD_RUN_COMPLETED: ChildStatus.COMPLETED,
    EventType.CHILD_RUN_FAILED: ChildStatus.FAILED,
    EventType.CHILD_RUN_CANCELLED: ChildStatus.CANCELLED,
    EventType.CHILD_RUN_TERMINATED: ChildStatus.TERMINATED,
}
_BY_POLICY: Final = {
    ParentClosePolicy.REQUEST_CANCEL: ChildStatus.CANCELLED,
    ParentClosePolicy.TERMINATE: ChildStatus.TERMINATED,
}


def children_of(
    run: Run,
    events: Iterable[BundleEvent],
    told: Told,
    *,
    linked: Mapping[int, ChildStatus],
) -> list[Child]:
    """In the order of their steps. ``linked``: how the calls stand by the links of the
    bundle, which is told nowhere else once the parent has closed."""
    calls: dict[int, Child] = {}
    for event in events:
        step = integer(event.payload, "sequence")
        if event.event_type in _STARTED and step is not None:
            calls[step] = _started(run, event, told, calls.get(step), step)
        elif event.event_type in CHILD_ENDED and step in calls:
            calls[step] = replace(
                calls[step],
                status=_ENDED[event.event_type],
                closed_at=event.recorded_at,
            )
        elif event.event_type is EventType.PARENT_CLOSE_POLICY_APPLIED:
            _follow_policy(calls, event)
        elif event.event_type is EventType.PARENT_CLOSE_POLICY_FAILED:
            _follow_policy(calls, event, status=ChildStatus.ABANDONED)
    return [_checked(run, calls[step], linked.get(step)) for step in sorted(calls)]


def _started(
    run: Run, event: BundleEvent, told: Told, known: Child | None, step: int
) -> Child:
    payload = event.payload
    workflow_id = text(payload, "child_workflow_instance_id")
    run_id = text(payload, "child_workflow_run_id")
    retry = integer(payload, "retry_attempt")
    if known is not None:
        return replace(
            known,
            child_workflow_id=workflow_id or known.child_workflow_id,
            child_run_id=run_id or known.child_run_id,
            child_run_number=integer(payload, "child_run_number")
            or known.child_run_number,
            attempt_count=retry or known.attempt_count,
        )
    named = text(payload, "child_workflow_type") or text(
        payload, "child_workflow_class"
    )
    call_id = text(payload, "child_call_id") or text(payload, "workflow_link_id")
    if workflow_id is None or run_id is None or call_id is None:
        missing = f"Event {event.sequence} does not name the child that it starts."
        raise InconsistentBundle(Rule.ROW_INVALID, missing)
    return Child(
        id=call_id,
        run_id=run.id,
        step=step,
        batch=told.first_of_batch(step),
        workflow_type=named or "imported-workflow",
        status=ChildStatus.STARTED,
        digest=UNKNOWN_DIGEST,
        child_workflow_id=workflow_id,
        child_run_id=run_id,
        created_at=event.recorded_at,
        child_run_number=integer(payload, "child_run_number") or 1,
        attempt_count=retry or 1,
        parent_close_policy=_policy(text(payload, "parent_close_policy")),
        retry_policy=retry_policy_of(fields(payload, "retry_policy")),
        parallel=parallel_of(payload),
    )


def _policy(word: str | None) -> ParentClosePolicy:
    try:
        return ParentClosePolicy(word or ParentClosePolicy.ABANDON)
    except ValueError:
        problem = f"The parent-close policy [{word}] is unknown."
        raise InconsistentBundle(Rule.ROW_INVALID, problem) from None


def _follow_policy(
    calls: dict[int, Child], event: BundleEvent, *, status: ChildStatus | None = None
) -> None:
    run_id = text(event.payload, "child_run_id")
    for step, call in calls.items():
        if call.child_run_id != run_id or not call.is_open:
            continue
        ended = status or _BY_POLICY.get(_policy(text(event.payload, "policy")))
        if ended is not None:
            calls[step] = replace(call, status=ended, closed_at=event.recorded_at)


def _checked(run: Run, call: Child, linked: ChildStatus | None) -> Child:
    if linked is None or linked.is_open or not call.is_open:
        return call
    if run.status.is_terminal:
        return replace(call, status=linked, closed_at=run.closed_at)
    problem = f"The child of step {call.step} has ended, but no event says how."
    raise InconsistentBundle(Rule.OUTCOME_NOT_IN_HISTORY, problem)
