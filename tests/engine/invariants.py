"""What must hold for the rows of a run after every decision (spec/engine.md §17)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dwserver.engine.model import Activity, Child, RunState, Task, Timer, Wait
from dwserver.engine.wakes import update_of
from dwserver.engine.words import (
    ActivityStatus,
    ChildStatus,
    EventType,
    RunStatus,
    TaskKind,
    TaskStatus,
    TimerKind,
    TimerStatus,
    WaitStatus,
)
from tests.engine import message_invariants
from tests.engine.kept_rows import Rows
from tests.engine.stage import MESSAGES

RESOLUTION: dict[EventType, object] = {
    EventType.ACTIVITY_COMPLETED: ActivityStatus.COMPLETED,
    EventType.ACTIVITY_FAILED: ActivityStatus.FAILED,
    EventType.ACTIVITY_TIMED_OUT: ActivityStatus.FAILED,
    EventType.ACTIVITY_CANCELLED: ActivityStatus.CANCELLED,
    EventType.TIMER_FIRED: TimerStatus.FIRED,
    EventType.TIMER_CANCELLED: TimerStatus.CANCELLED,
    EventType.CONDITION_WAIT_SATISFIED: WaitStatus.SATISFIED,
    EventType.SIGNAL_APPLIED: WaitStatus.SATISFIED,
    EventType.CHILD_RUN_COMPLETED: ChildStatus.COMPLETED,
    EventType.CHILD_RUN_FAILED: ChildStatus.FAILED,
    EventType.CHILD_RUN_CANCELLED: ChildStatus.CANCELLED,
    EventType.CHILD_RUN_TERMINATED: ChildStatus.TERMINATED,
}
# What the server finds out; the others are the worker's doing, or the end's.
OUTCOMES = {
    EventType.ACTIVITY_COMPLETED,
    EventType.ACTIVITY_FAILED,
    EventType.ACTIVITY_TIMED_OUT,
    EventType.TIMER_FIRED,
    EventType.CHILD_RUN_COMPLETED,
    EventType.CHILD_RUN_FAILED,
    EventType.CHILD_RUN_CANCELLED,
    EventType.CHILD_RUN_TERMINATED,
}
SCHEDULING = (
    EventType.ACTIVITY_SCHEDULED,
    EventType.TIMER_SCHEDULED,
    EventType.CONDITION_WAIT_OPENED,
    EventType.SIGNAL_WAIT_OPENED,
    EventType.CHILD_WORKFLOW_SCHEDULED,
)
CLOSING: dict[EventType, RunStatus] = {
    EventType.WORKFLOW_COMPLETED: RunStatus.COMPLETED,
    EventType.WORKFLOW_FAILED: RunStatus.FAILED,
    EventType.WORKFLOW_CONTINUED_AS_NEW: RunStatus.COMPLETED,
    EventType.WORKFLOW_CANCELLED: RunStatus.CANCELLED,
    EventType.WORKFLOW_TERMINATED: RunStatus.TERMINATED,
    EventType.WORKFLOW_TIMED_OUT: RunStatus.FAILED,
}
# Ends at which every open step was cancelled with an event.
CANCELLING = {
    EventType.WORKFLOW_CONTINUED_AS_NEW,
    EventType.WORKFLOW_CANCELLED,
    EventType.WORKFLOW_TERMINATED,
    EventType.WORKFLOW_TIMED_OUT,
}
AFTER_THE_END = {
    EventType.START_REJECTED,
    EventType.UPDATE_COMPLETED,
    EventType.ARCHIVE_REQUESTED,
    EventType.WORKFLOW_ARCHIVED,
}

Step = Activity | Timer | Child | Wait


def check(rows: Rows) -> None:
    """Everything; the order is from the simple to the derived."""
    check_history_is_gapless(rows)
    check_end(rows)
    check_steps(rows)
    check_member_order(rows)
    check_tasks(rows)
    check_attempts(rows)
    check_timers(rows)
    check_state(rows)
    message_invariants.check(rows)
    if not rows.run.status.is_terminal:
        check_will_wake(rows)
        check_no_outcome_is_lost(rows)


def steps_of(rows: Rows) -> dict[int, Step]:
    """The time-out of a wait is part of the wait."""
    timers = {n: t for n, t in rows.timers.items() if t.kind is TimerKind.PLAIN}
    return {**rows.activities, **timers, **rows.children, **rows.waits}


def _is_of_timeout(rows: Rows, number: int) -> bool:
    """The event is about the time-out of a wait, and no more than that."""
    event_type = rows.events[number].event_type
    kind = rows.payloads[number].get("timer_kind")
    return kind is not None and event_type != EventType.TIMER_FIRED


def placed(rows: Rows) -> list[int]:
    return sorted(number for number in rows.events if number > 0)


def check_history_is_gapless(rows: Rows) -> None:
    numbers = placed(rows)
    assert numbers == list(range(1, rows.run.last_sequence + 1))
    for number, event in rows.events.items():
        assert event.sequence == number
    moments = [rows.events[number].recorded_at for number in numbers]
    assert moments == sorted(moments)
    sizes = sum(len(event.payload) for event in rows.events.values())
    assert rows.run.history_bytes == sizes
    ids = [event.id for event in rows.events.values()]
    assert len(set(ids)) == len(ids)


def check_end(rows: Rows) -> None:
    types = [rows.events[number].event_type for number in placed(rows)]
    ends = [index for index, name in enumerate(types) if name in CLOSING]
    if not rows.run.status.is_terminal:
        assert ends == []
        assert (rows.run.closed_at, rows.run.closed_reason) == (None, None)
        return
    [end] = ends
    assert rows.run.status is CLOSING[EventType(types[end])]
    assert rows.run.closed_at == rows.events[end + 1].recorded_at
    assert set(types[end + 1 :]) <= AFTER_THE_END
    assert rows.run.wakes == ()
    for task in rows.state.tasks.values():
        assert task.kind is TaskKind.ACTIVITY
        assert task.status is TaskStatus.LEASED
    assert not any(timer.is_open for timer in rows.timers.values())
    if types[end] in CANCELLING:
        assert not rows.state.tasks
        assert not any(activity.is_open for activity in rows.activities.values())


def check_steps(rows: Rows) -> None:
    """Dense numbers, one scheduling event first, then at most one resolution."""
    steps = steps_of(rows)
    continued = any(
        event.event_type is EventType.WORKFLOW_CONTINUED_AS_NEW
        for event in rows.events.values()
    )
    assert sorted(steps) == list(range(1, rows.run.last_step + 1 - continued))
    scheduled: Counter[int] = Counter()
    resolved: Counter[int] = Counter()
    for number in [*placed(rows), *(n for n in rows.events if n < 0)]:
        event = rows.events[number]
        step: int = rows.payloads[number].get("sequence", 0)
        if _is_of_timeout(rows, number):
            continue
        if event.event_type in SCHEDULING:
            scheduled[step] += 1
        elif event.event_type in RESOLUTION:
            resolved[step] += 1
            status: object = RESOLUTION[EventType(event.event_type)]
            if isinstance(steps[step], Wait) and status is TimerStatus.FIRED:
                status = WaitStatus.TIMED_OUT
            assert steps[step].status is status
        elif event.event_type.startswith(("Activity", "ChildRun")):
            assert resolved[step] == 0, "nothing about a step after its outcome"
        else:
            continue
        assert scheduled[step] == 1
        assert resolved[step] <= 1
        assert number > 0 or number == -step
    assert set(scheduled) == set(steps)
    types = {event.event_type for event in rows.events.values()}
    if types & CANCELLING or not rows.run.status.is_terminal:
        closed = {
            number
            for number, step in steps.items()
            if not step.is_open and step.status is not WaitStatus.CLOSED
        }
        if rows.run.status.is_terminal:
            # Children that outlive the run have no outcome in its history.
            closed -= rows.children.keys() - set(resolved)
        assert closed == set(resolved)
    assert {number for number, step in steps.items() if step.is_held} == {
        -number for number in rows.events if -MESSAGES < number < 0
    }


def check_member_order(rows: Rows) -> None:
    """A member without metadata never stands before an earlier member's outcome, and
    is held back only as long as it must be."""
    positions = {
        rows.payloads[number]["sequence"]: number
        for number in placed(rows)
        if rows.events[number].event_type in RESOLUTION
        and rows.events[number].event_type
        not in (EventType.ACTIVITY_CANCELLED, EventType.TIMER_CANCELLED)
    }
    batches: dict[int, list[Step]] = {}
    for number, step in sorted(steps_of(rows).items()):
        assert step.step == number
        if isinstance(step, Wait):
            continue
        batches.setdefault(step.batch, []).append(step)
    for members in batches.values():
        for index, member in enumerate(members):
            before = members[:index]
            if member.is_held:
                assert member.parallel is None
                assert rows.run.status.is_terminal or any(m.is_open for m in before)
            if member.parallel is None and member.step in positions:
                for earlier in before:
                    assert positions[earlier.step] < positions[member.step]


def check_tasks(rows: Rows) -> None:
    open_tasks = list(rows.state.tasks.values())
    assert all(task.status.is_open for task in open_tasks)
    assert sum(task.kind is TaskKind.WORKFLOW for task in open_tasks) <= 1
    for task in rows.tasks.values():
        assert (task.closed_at is None) == task.status.is_open
        if task.status is TaskStatus.LEASED:
            assert None not in (task.lease_owner, task.leased_at, task.lease_expires_at)
        if task.status is TaskStatus.READY:
            assert (task.lease_owner, task.lease_expires_at) == (None, None)
            assert task.attempt_id is None


def check_attempts(rows: Rows) -> None:
    """Every attempt began once, in rising order, and ended at most once; or a deadline
    passed before it could begin."""
    begun: dict[str, list[int]] = {}
    ids: dict[str, str] = {}
    for number in placed(rows):
        if rows.events[number].event_type is EventType.ACTIVITY_STARTED:
            payload = rows.payloads[number]
            activity_id = payload["activity_execution_id"]
            begun.setdefault(activity_id, []).append(payload["attempt_number"])
            ids[payload["activity_attempt_id"]] = activity_id
    for activity in rows.activities.values():
        numbers = begun.get(activity.id, [])
        assert numbers == sorted(set(numbers))
        in_vain = _in_vain(activity, rows) - set(numbers)
        spent = sorted([*numbers, *in_vain])
        assert spent == list(range(1, activity.attempt_count + 1))
        closed = [
            a.number for a in rows.attempts.values() if a.activity_id == activity.id
        ]
        assert closed == sorted(set(closed))
        current = numbers[-1:] if _is_held_by_a_worker(activity, rows) else []
        if rows.run.status.is_terminal:
            assert set(closed) <= set(numbers)
        else:
            assert closed + current == numbers
        _check_tasks_of(activity, rows)
    for attempt in rows.attempts.values():
        assert ids[attempt.id] == attempt.activity_id


def _in_vain(activity: Activity, rows: Rows) -> set[int]:
    """Numbers of attempts that timed out without an attempt."""
    found = set()
    for number, event in rows.events.items():
        payload = rows.payloads[number]
        if (
            payload.get("activity_execution_id") == activity.id
            and "timeout_kind" in payload
            and payload.get("activity_attempt_id") is None
        ):
            is_final = event.event_type is EventType.ACTIVITY_TIMED_OUT
            found.add(payload["attempt_number" if is_final else "retry_after_attempt"])
    return found


def _is_held_by_a_worker(activity: Activity, rows: Rows) -> bool:
    return any(
        task.activity_id == activity.id and task.status is TaskStatus.LEASED
        for task in rows.state.tasks.values()
    )


def _check_tasks_of(activity: Activity, rows: Rows) -> None:
    own = [t for t in rows.state.tasks.values() if t.activity_id == activity.id]
    if rows.run.status.is_terminal:
        assert len(own) <= activity.is_open
        return
    assert len(own) == activity.is_open
    for task in own:
        assert task.attempt == activity.attempt_count
        if task.status is TaskStatus.LEASED:
            assert activity.status is ActivityStatus.RUNNING


def check_timers(rows: Rows) -> None:
    for timer in rows.timers.values():
        if timer.status is TimerStatus.FIRED:
            assert timer.closed_at is not None
            assert timer.closed_at >= timer.fire_at
    for number, event in rows.events.items():
        if event.event_type is EventType.TIMER_FIRED:
            payload = rows.payloads[number]
            assert payload["fired_at"] >= payload["fire_at"]


def check_state(rows: Rows) -> None:
    """The hot state is what loading the rows again would give."""
    run = rows.run

    def is_needed(step: Step) -> bool:
        newest = run.batch_size > 0 and step.step >= run.batch_first
        return step.is_open or step.is_held or newest

    assert rows.state == RunState(
        run,
        {i: task for i, task in rows.tasks.items() if task.status.is_open},
        {n: step for n, step in rows.activities.items() if is_needed(step)},
        {n: step for n, step in rows.timers.items() if is_needed(step)},
        {n: step for n, step in rows.children.items() if is_needed(step)},
        {n: step for n, step in rows.waits.items() if is_needed(step)},
        {n: signal for n, signal in rows.signals.items() if signal.is_open},
        {n: update for n, update in rows.updates.items() if update.is_open},
    )
    for rows_by_step in (
        rows.state.activities,
        rows.state.timers,
        rows.state.children,
        rows.state.waits,
    ):
        assert list(rows_by_step) == sorted(rows_by_step)


def check_will_wake(rows: Rows) -> None:
    """An open run never sleeps for ever."""
    task = _workflow_task(rows)
    if rows.run.wakes:
        assert task is not None
        assert task.status is TaskStatus.LEASED, "a cause waits behind nobody"
    if task is None:
        assert any(step.is_open for step in steps_of(rows).values())


def check_no_outcome_is_lost(rows: Rows) -> None:
    """The last outcome of a complete batch has been shown to the workflow, or will."""
    batches: dict[int, bool] = {}
    for step in steps_of(rows).values():
        is_over = isinstance(step, Wait) or not step.is_open
        batches[step.batch] = batches.get(step.batch, True) and is_over
    outcomes = [
        number
        for number in placed(rows)
        if rows.events[number].event_type in OUTCOMES
        and batches[steps_of(rows)[rows.payloads[number]["sequence"]].batch]
    ]
    task = _workflow_task(rows)
    if not outcomes or (task and task.status is TaskStatus.READY):
        return
    # The workflow does not advance in the task of an update.
    finished = [
        done.snapshot_sequence
        for done in rows.tasks.values()
        if done.kind is TaskKind.WORKFLOW
        and (done.status is TaskStatus.COMPLETED or done is task)
        and update_of(done) is None
    ]
    assert max(outcomes) <= max(finished, default=0) or rows.run.wakes


def _workflow_task(rows: Rows) -> Task | None:
    tasks = rows.state.tasks.values()
    return next((task for task in tasks if task.kind is TaskKind.WORKFLOW), None)


def check_family(rows: Rows, everyone: Mapping[str, Rows]) -> None:
    """A call is open as long as the run that it stands for is."""
    for call in rows.children.values():
        run = everyone[call.child_run_id].run
        assert call.is_open is not run.status.is_terminal
        assert (run.parent_run_id, run.parent_step) == (rows.run.id, call.step)
        assert run.workflow_id == call.child_workflow_id
        assert run.run_number == call.child_run_number


def check_is_final(before: Rows, after: Rows) -> None:
    """Nothing changes what a closed run ended as."""
    for name in ("status", "closed_at", "closed_reason", "last_step", "id"):
        assert getattr(before.run, name) == getattr(after.run, name)
    assert after.output == before.output
    for number in placed(before):
        assert after.events[number] == before.events[number]
