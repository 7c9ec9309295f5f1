"""Changes of a run drawn at random: all kinds of rows, in every state.

They obey the rules of storage (versions, sequences, what a held event is), not those of
workflows: a task may complete while its activity goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypeVar

from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.model import Activity, Payload, RetryPolicy, RunState, Task, Wake
from dwserver.engine.transition import LeaseGuard, RunChange
from dwserver.engine.words import (
    ActivityStatus,
    ClosedReason,
    EventType,
    RunStatus,
    TaskStatus,
    TimerKind,
    TimerStatus,
)
from tests.support.builders import (
    NOON,
    SECOND,
    a_closed_attempt,
    a_command,
    a_failure,
    a_task,
    a_timer,
    an_activity,
    an_activity_task,
    an_id,
)

_TEXTS = (
    "",
    "plain",
    "naïve — Ωmega",
    "emoji 🜚",
    "quote '\" \\ %s $1 {rows}",
    "x" * 300,
)

Item = TypeVar("Item")


def a_random_change(state: RunState, random: Random) -> RunChange:
    """One to four things that happen to the run at once."""
    now = NOON + random.randrange(3600) * SECOND
    context = Context(
        now=now, next_id=an_id, encode=lambda _: _payload(random), policy=Policy()
    )
    draft = Draft(state, context)
    for step in random.sample(_STEPS, k=random.randint(1, 4)):
        step(draft, random)
    change = draft.freeze()
    if random.random() < 0.3:
        change = replace(change, lease_guards=_valid_guards(state))
    return change


def _payload(random: Random) -> bytes:
    return f'{{"text":"{random.randrange(10**9)}"}}'.encode()


def _valid_guards(state: RunState) -> tuple[LeaseGuard, ...]:
    return tuple(
        LeaseGuard(task.id, task.lease_expires_at)
        for task in state.tasks.values()
        if task.lease_expires_at is not None
    )


def _choose(items: list[Item], random: Random) -> Item | None:
    return random.choice(items) if items else None


def _document(random: Random) -> dict[str, object]:
    return {
        "text": random.choice(_TEXTS),
        "list": [1, None, True, 1.5, {"deep": {}}],
        "number": random.randrange(-(2**53), 2**53),
    }


def _maybe(random: Random, value: Item) -> Item | None:
    return value if random.random() < 0.5 else None


def _new_batch(draft: Draft, random: Random) -> None:
    """Activities and timers of one batch, the newest one from now on."""
    size = random.randint(1, 3)
    first = draft.last_step + 1
    for _ in range(size):
        step = draft.next_step()
        if random.random() < 0.5:
            _new_activity(draft, random, step=step, batch=first)
        else:
            _new_timer(draft, random, step=step, batch=first)
    draft.set_run(batch_first=first, batch_size=size, batch_resolved_sequence=0)


def _new_activity(draft: Draft, random: Random, *, step: int, batch: int) -> None:
    run = draft.run
    policy = RetryPolicy(
        max_attempts=3,
        backoff_seconds=(1, 2),
        non_retryable_error_types=(random.choice(_TEXTS),),
        heartbeat_timeout=random.randrange(100),
    )
    activity = an_activity(
        run,
        step=step,
        batch=batch,
        retry_policy=_maybe(random, policy),
        parallel=random.choice([None, {}, _document(random)]),
        schedule_deadline_at=_maybe(random, draft.context.now + SECOND),
    )
    arguments = Payload("json", random.choice(_TEXTS))
    draft.schedule(activity, _maybe(random, arguments))
    draft.tasks.add(an_activity_task(activity, run, priority=random.randint(0, 9)))
    draft.append(EventType.ACTIVITY_SCHEDULED, {})


def _new_timer(draft: Draft, random: Random, *, step: int, batch: int) -> None:
    timer = a_timer(
        draft.run,
        step=step,
        batch=batch,
        kind=random.choice(list(TimerKind)),
        fire_at=NOON + random.randrange(7200) * SECOND,
        parallel=_maybe(random, _document(random)),
    )
    draft.timers.add(timer)
    draft.append(EventType.TIMER_SCHEDULED, {})


def _new_workflow_task(draft: Draft, random: Random) -> None:
    task = a_task(
        draft.run,
        available_at=draft.context.now + random.randrange(-9, 9) * SECOND,
        compatibility=_maybe(random, "build-7"),
        resume=random.choice([{}, _document(random)]),
    )
    draft.tasks.add(task)


def _change_task(draft: Draft, random: Random) -> None:
    """Lease, requeue or close one that is open."""
    task = _choose(list(draft.open_tasks()), random)
    if task is None:
        return
    draft.tasks.put(random.choice((_leased, _requeued, _closed))(draft, task, random))


def _leased(draft: Draft, task: Task, random: Random) -> Task:
    return replace(
        task,
        status=TaskStatus.LEASED,
        lease_owner=f"worker-{random.randrange(3)}",
        leased_at=draft.context.now,
        lease_expires_at=draft.context.now + random.randrange(600) * SECOND,
        attempt=task.attempt + 1,
        attempt_id=None if task.activity_id is None else an_id("attempt"),
        snapshot_sequence=draft.last_sequence,
    )


def _requeued(draft: Draft, task: Task, random: Random) -> Task:
    if task.attempt_id is not None:
        draft.close_attempt(a_closed_attempt(task))
    return replace(
        task,
        status=TaskStatus.READY,
        available_at=draft.context.now + random.randrange(60) * SECOND,
        lease_owner=None,
        leased_at=None,
        lease_expires_at=None,
        attempt_id=None,
        repair_count=task.repair_count + 1,
        last_error=random.choice(_TEXTS),
    )


def _closed(draft: Draft, task: Task, random: Random) -> Task:
    status = random.choice(
        (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
    )
    return replace(task, status=status, closed_at=draft.context.now)


def _change_activity(draft: Draft, random: Random) -> None:
    """Start one, or close it with its event at once or held back."""
    open_ones = [a for a in draft.activities.values() if a.is_open]
    activity = _choose(open_ones, random)
    if activity is None:
        return
    if random.random() < 0.4:
        draft.activities.put(_started(activity, draft.context.now))
        draft.append(EventType.ACTIVITY_STARTED, {})
        return
    is_held = random.random() < 0.5
    status = random.choice((ActivityStatus.COMPLETED, ActivityStatus.FAILED))
    draft.activities.put(
        replace(activity, status=status, closed_at=draft.context.now, is_held=is_held)
    )
    held_at = -activity.step if is_held else None
    draft.append(EventType.ACTIVITY_COMPLETED, {}, held_at=held_at)


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


def _change_timer(draft: Draft, random: Random) -> None:
    """Fire one, its event at once or held back, or cancel it."""
    timer = _choose([t for t in draft.timers.values() if t.is_open], random)
    if timer is None:
        return
    is_held = random.random() < 0.5
    status = TimerStatus.FIRED if is_held else TimerStatus.CANCELLED
    draft.timers.put(
        replace(timer, status=status, closed_at=draft.context.now, is_held=is_held)
    )
    held_at = -timer.step if is_held else None
    draft.append(EventType.TIMER_FIRED, {}, held_at=held_at)


def _release(draft: Draft, random: Random) -> None:
    """All held events take their places."""
    for activity in list(draft.activities.values()):
        if activity.is_held:
            draft.release(-activity.step)
            draft.activities.put(replace(activity, is_held=False))
    for timer in list(draft.timers.values()):
        if timer.is_held:
            draft.release(-timer.step)
            draft.timers.put(replace(timer, is_held=False))
    draft.set_run(batch_resolved_sequence=draft.last_sequence)


def _change_run(draft: Draft, random: Random) -> None:
    status = random.choice(list(RunStatus))
    wakes = tuple(Wake(_document(random)) for _ in range(random.randrange(3)))
    draft.set_run(
        status=status,
        closed_reason=_maybe(random, random.choice(list(ClosedReason))),
        closed_at=draft.context.now if status.is_terminal else None,
        compatibility=_maybe(random, random.choice(_TEXTS)),
        wakes=wakes,
        task_failures=random.randrange(5),
        run_deadline_at=_maybe(random, draft.context.now),
    )
    if status.is_terminal:
        draft.output = Payload("avro", random.choice(_TEXTS))


def _record(draft: Draft, random: Random) -> None:
    """A command, a failure and an event that belong to nothing."""
    sequence = draft.run.command_sequence + 1
    draft.set_run(command_sequence=sequence)
    payload = Payload("json", random.choice(_TEXTS))
    draft.record_command(
        a_command(
            draft.run,
            sequence=sequence,
            payload=_maybe(random, payload),
            context=random.choice([{}, _document(random)]),
        )
    )
    message = random.choice(_TEXTS)
    draft.record_failure(
        a_failure(
            draft.run,
            message=message,
            created_at=draft.context.now,
            non_retryable=random.random() < 0.5,
        )
    )
    draft.append(EventType.WORKFLOW_FAILED, {}, command_id=an_id("command"))


_STEPS: tuple[Callable[[Draft, Random], None], ...] = (
    _new_batch,
    _new_workflow_task,
    _change_task,
    _change_activity,
    _change_timer,
    _release,
    _change_run,
    _record,
)
