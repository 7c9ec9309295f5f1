"""What happens to the steps of a run at random (see ``random_changes.py``)."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TypeVar

from dwserver.engine import held
from dwserver.engine.draft import Draft
from dwserver.engine.model import Activity, Child, Payload, Step, Timer, Wait
from dwserver.engine.rows import Rows
from dwserver.engine.words import (
    ActivityStatus,
    ChildStatus,
    EventType,
    ParentClosePolicy,
    TimerKind,
    TimerStatus,
    WaitFor,
    WaitStatus,
)
from tests.support.builders import (
    NOON,
    SECOND,
    a_child,
    a_timer,
    a_wait,
    an_activity,
    an_activity_task,
    an_id,
)
from tests.support.random_values import TEXTS, choose, document, maybe, policy

SomeStep = TypeVar("SomeStep", Activity, Timer, Child, Wait)


def new_batch(draft: Draft, random: Random) -> None:
    """Steps of one batch, the newest one from now on."""
    size = random.randint(1, 3)
    first = draft.last_step + 1
    for _ in range(size):
        make = random.choice((_new_activity, _new_timer, _new_child, _new_wait))
        make(draft, random, step=draft.next_step(), batch=first)
    draft.set_run(batch_first=first, batch_size=size, batch_resolved_sequence=0)


def _new_activity(draft: Draft, random: Random, *, step: int, batch: int) -> None:
    run = draft.run
    activity = an_activity(
        run,
        step=step,
        batch=batch,
        retry_policy=maybe(random, policy(random)),
        parallel=random.choice([None, {}, document(random)]),
        schedule_deadline_at=maybe(random, draft.context.now + SECOND),
    )
    arguments = Payload("json", random.choice(TEXTS))
    draft.schedule(activity, maybe(random, arguments))
    draft.tasks.add(an_activity_task(activity, run, priority=random.randint(0, 9)))
    draft.append(EventType.ACTIVITY_SCHEDULED, {})


def _new_timer(draft: Draft, random: Random, *, step: int, batch: int) -> None:
    timer = a_timer(
        draft.run,
        step=step,
        batch=batch,
        kind=random.choice(list(TimerKind)),
        fire_at=NOON + random.randrange(7200) * SECOND,
        parallel=maybe(random, document(random)),
    )
    draft.timers.add(timer)
    draft.append(EventType.TIMER_SCHEDULED, {})


def _new_child(draft: Draft, random: Random, *, step: int, batch: int) -> None:
    child = a_child(
        draft.run,
        step=step,
        batch=batch,
        status=random.choice((ChildStatus.SCHEDULED, ChildStatus.STARTED)),
        parent_close_policy=random.choice(list(ParentClosePolicy)),
        retry_policy=maybe(random, policy(random)),
        parallel=random.choice([None, {}, document(random)]),
    )
    draft.children.add(child)
    draft.append(EventType.CHILD_WORKFLOW_SCHEDULED, {})


def _new_wait(draft: Draft, random: Random, *, step: int, batch: int) -> None:
    """A wait, mostly with a time-out, which is a timer of the same step."""
    run = draft.run
    wait = a_wait(
        run,
        step=step,
        batch=batch,
        wait_for=random.choice(list(WaitFor)),
        name=maybe(random, random.choice(TEXTS)),
        condition_key=maybe(random, random.choice(TEXTS)),
        fingerprint=maybe(random, "f1"),
        timeout_seconds=maybe(random, 60),
        parallel=maybe(random, document(random)),
    )
    draft.waits.add(wait)
    draft.append(EventType.CONDITION_WAIT_OPENED, {})
    if random.random() < 0.7:
        _new_timer(draft, random, step=step, batch=batch)


def change_activity(draft: Draft, random: Random) -> None:
    """Start one, or close it with its event at once or held back."""
    open_ones = [a for a in draft.activities.values() if a.is_open]
    activity = choose(open_ones, random)
    if activity is None:
        return
    if random.random() < 0.4:
        draft.activities.put(_started(activity, draft.context.now))
        draft.append(EventType.ACTIVITY_STARTED, {})
        return
    status = random.choice((ActivityStatus.COMPLETED, ActivityStatus.FAILED))
    _close(draft, draft.activities, replace(activity, status=status), random)


def _close(
    draft: Draft, rows: Rows[int, SomeStep], step: SomeStep, random: Random
) -> None:
    """Close a step, its event held back or not. Of two steps with one number only one
    has an event that can be held."""
    is_held = random.random() < 0.5 and not _is_held_at(draft, held.of_step(step))
    rows.put(replace(step, closed_at=draft.context.now, is_held=is_held))
    held_at = held.of_step(step) if is_held else None
    draft.append(EventType.ACTIVITY_COMPLETED, {}, held_at=held_at)


def _is_held_at(draft: Draft, place: int) -> bool:
    steps: list[Step] = [
        *draft.activities.values(),
        *draft.timers.values(),
        *draft.children.values(),
        *draft.waits.values(),
    ]
    return any(
        step.is_held and not step.is_open and held.of_step(step) == place
        for step in steps
    )


def _started(activity: Activity, now: int) -> Activity:
    return replace(
        activity,
        status=ActivityStatus.RUNNING,
        attempt_count=activity.attempt_count + 1,
        started_at=now,
        close_deadline_at=now + SECOND,
        schedule_to_close_deadline_at=now + 2 * SECOND,
        heartbeat_deadline_at=now + 3 * SECOND,
        last_heartbeat_at=now,
    )


def change_timer(draft: Draft, random: Random) -> None:
    """Fire or cancel one, or let it wait although it is due."""
    timer = choose([t for t in draft.timers.values() if t.is_open], random)
    if timer is None:
        return
    if random.random() < 0.3:
        draft.timers.put(replace(timer, is_held=True))
        return
    status = random.choice((TimerStatus.FIRED, TimerStatus.CANCELLED))
    _close(draft, draft.timers, replace(timer, status=status, is_held=False), random)


def change_child(draft: Draft, random: Random) -> None:
    """One goes on in another run, or closes."""
    child = choose([c for c in draft.children.values() if c.is_open], random)
    if child is None:
        return
    if random.random() < 0.4:
        moved = replace(
            child,
            status=ChildStatus.STARTED,
            child_run_id=an_id("run"),
            child_run_number=child.child_run_number + 1,
            attempt_count=child.attempt_count + random.randrange(2),
        )
        draft.children.put(moved)
        draft.append(EventType.CHILD_RUN_STARTED, {})
        return
    status = random.choice([s for s in ChildStatus if not s.is_open])
    _close(draft, draft.children, replace(child, status=status), random)


def change_wait(draft: Draft, random: Random) -> None:
    """One is over."""
    wait = choose([w for w in draft.waits.values() if w.is_open], random)
    if wait is not None:
        status = random.choice([s for s in WaitStatus if s is not WaitStatus.OPEN])
        _close(draft, draft.waits, replace(wait, status=status), random)


def release(draft: Draft, random: Random) -> None:
    """All held events take their places."""
    _release_all(draft, draft.activities)
    _release_all(draft, draft.timers)
    _release_all(draft, draft.children)
    _release_all(draft, draft.waits)
    draft.set_run(batch_resolved_sequence=draft.last_sequence)


def _release_all(draft: Draft, rows: Rows[int, SomeStep]) -> None:
    for step in list(rows.values()):
        if step.is_held:
            if not step.is_open:
                draft.release(held.of_step(step))
            rows.put(replace(step, is_held=False))
