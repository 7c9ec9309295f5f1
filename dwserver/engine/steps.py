"""Batches of blocking steps and the barrier in front of the next workflow task.

The blocking commands of one completion form a batch (§10). The workflow runs again
when every member has closed, failures included: every SDK yields the list as a whole.
A wait is a member that holds nothing back, because only the worker can tell whether
it is over. Without group metadata replay takes results in the order of history, so a
member that closes before an earlier one has its resolution event held back until that
one closes; members that carry group metadata are matched by their step number and
need no order.
"""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine import held
from dwserver.engine.draft import Draft
from dwserver.engine.hosts import is_host
from dwserver.engine.model import Activity, Child, JsonMap, Step, Timer, Wait
from dwserver.engine.records import replace
from dwserver.engine.wakes import wake
from dwserver.engine.words import EventType, TimerKind

_FAILURES = frozenset(
    {
        EventType.ACTIVITY_FAILED,
        EventType.ACTIVITY_TIMED_OUT,
        EventType.CHILD_RUN_FAILED,
        EventType.CHILD_RUN_CANCELLED,
        EventType.CHILD_RUN_TERMINATED,
    }
)


def members(draft: Draft, batch: int) -> list[Step]:
    """Known members of a batch by kind, each kind in step order. The time-out of a
    wait is part of the wait."""
    found: list[Step] = [a for a in draft.activities.values() if a.batch == batch]
    for timer in draft.timers.values():
        if timer.batch == batch and timer.kind is TimerKind.PLAIN:
            found.append(timer)
    found += (child for child in draft.children.values() if child.batch == batch)
    found += (wait for wait in draft.waits.values() if wait.batch == batch)
    return found


def put(draft: Draft, step: Step) -> None:
    """Write a step to the collection of its kind."""
    match step:
        case Activity():
            draft.activities.put(step)
        case Timer():
            draft.timers.put(step)
        case Child():
            draft.children.put(step)
        case Wait():
            draft.waits.put(step)


def open_batch(draft: Draft, *, size: int) -> int:
    """Begin the batch of the blocking commands of a completion; its first step."""
    first = draft.last_step + 1
    draft.set_run(batch_first=first, batch_size=size, batch_resolved_sequence=0)
    return first


def resolve(
    draft: Draft,
    step: Step,
    *,
    event_type: EventType,
    payload: JsonMap,
    resume: JsonMap,
    task_id: str | None = None,
) -> str | None:
    """Record that ``step`` (already closed) has its outcome.

    Returns the id of the workflow task that this made ready, None while the batch is
    incomplete (unless :func:`breaks_barrier`) or a leased task will be followed up.
    """
    run = draft.run
    is_newest = run.batch_first == step.batch
    # Most batches have one member: nothing to wait for, nothing to hold back.
    is_alone = is_newest and run.batch_size == 1
    batch = () if is_alone else members(draft, step.batch)
    still_open = [m.step for m in batch if m.is_open and not isinstance(m, Wait)]
    held_at = None
    if still_open and must_wait_for_earlier(step, still_open):
        held_at = held.of_step(step)
        put(draft, replace(step, is_held=True))
    draft.append(event_type, payload, task_id=task_id, held_at=held_at)
    if held_at is None:
        release_unblocked(draft, batch)
    if still_open and not breaks_barrier(draft, step, event_type):
        return None
    if is_newest and not still_open:
        draft.set_run(batch_resolved_sequence=draft.last_sequence)
    return None if is_host(run) else wake(draft, resume)


def must_wait_for_earlier(step: Step, still_open: Sequence[int]) -> bool:
    """Workers take the results of a list without metadata in history order (§10 b)."""
    return step.parallel is None and min(still_open) < step.step


def breaks_barrier(draft: Draft, step: Step, event_type: EventType) -> bool:
    """A failed member of a group with metadata may wake before the others close."""
    return (
        draft.context.policy.wakes_at_first_failure
        and step.parallel is not None
        and event_type in _FAILURES
    )


def release_unblocked(draft: Draft, batch: Sequence[Step]) -> None:
    """Held members up to the first one that is still open take their place."""
    if not any(member.is_held for member in batch):
        return
    waiting = [
        member
        for member in batch
        if not isinstance(member, Wait) and (member.is_held or member.is_open)
    ]
    for member in sorted(waiting, key=lambda member: member.step):
        if member.is_open:
            return
        draft.release(held.of_step(member))
        put(draft, replace(member, is_held=False))
