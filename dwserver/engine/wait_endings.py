"""How waits end (``spec/engine.md §9``).

A condition is satisfied when the worker moves past its wait, for only the worker can
tell that it holds. A signal wait is satisfied when the workflow has seen its signal.
Either times out when the timer of its step fires. And it closes without a word when
its run does, or when the workflow moves past a signal that never came.
"""

from __future__ import annotations

from dwserver.engine import events, message_events, wait_events
from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.model import AppliedCommand, Signal, Task, Timer, Wait
from dwserver.engine.records import replace
from dwserver.engine.steps import members
from dwserver.engine.waits import open_waits, signal_for
from dwserver.engine.wakes import resume_of_timeout, wake
from dwserver.engine.words import (
    CommandOutcome,
    EventType,
    SignalStatus,
    TaskStatus,
    TimerStatus,
    WaitFor,
    WaitStatus,
)


def time_out(draft: Draft, timer: Timer) -> None:
    """The time-out of a wait is due. It does not fire yet while a workflow task is
    leased, and not at all once a signal has come for the wait."""
    now = draft.context.now
    wait = draft.waits[timer.step]
    task = draft.open_workflow_task()
    is_leased = task is not None and task.status is TaskStatus.LEASED
    if is_leased or signal_for(draft, wait) is not None:
        if not timer.is_held:
            draft.timers.put(replace(timer, is_held=True))
        return
    fired = replace(timer, status=TimerStatus.FIRED, closed_at=now, is_held=False)
    draft.timers.put(fired)
    draft.waits.put(replace(wait, status=WaitStatus.TIMED_OUT, closed_at=now))
    draft.append(
        EventType.TIMER_FIRED,
        events.timer_fired(fired, wait, fired_at=now),
        task_id=fired.task_id,
    )
    if not _others_hold_back(draft, wait):
        wake(draft, resume_of_timeout(fired, wait))


def _others_hold_back(draft: Draft, wait: Wait) -> bool:
    """The workflow runs again anyway when the rest of the batch has closed."""
    batch = members(draft, wait.batch)
    return any(step.is_open and not isinstance(step, Wait) for step in batch)


def move_past(draft: Draft, cause: Task) -> None:
    """The worker went on, so its waits are over."""
    for wait in open_waits(draft):
        timer = _pending_timer(draft, wait)
        is_condition = wait.wait_for is WaitFor.CONDITION
        status = WaitStatus.SATISFIED if is_condition else WaitStatus.CLOSED
        _end(draft, wait, status)
        if is_condition:
            draft.append(
                EventType.CONDITION_WAIT_SATISFIED,
                wait_events.condition_wait_satisfied(wait, timer, cause),
                task_id=cause.id,
            )
        _cancel(draft, timer, wait)


def give_signals(draft: Draft, cause: Task, background: Background) -> None:
    """Signal waits whose signals the closed task has shown are satisfied."""
    for wait in open_waits(draft):
        signal = signal_for(draft, wait)
        if signal is None or not is_shown(signal, cause):
            continue
        value = draft.payload_of(signal.sequence, background.payloads)
        taken = _apply(draft, signal, wait)
        _end(draft, wait, WaitStatus.SATISFIED)
        draft.append(
            EventType.SIGNAL_APPLIED,
            message_events.signal_applied(taken, wait, value=value, cause=cause),
            task_id=cause.id,
            command_id=signal.command_id,
        )
        _cancel(draft, _pending_timer(draft, wait), wait)


def take_signals(draft: Draft, cause: Task, wait: Wait | None) -> None:
    """The workflow has taken notice of the signals that ``cause`` showed, but for
    those that a signal wait is yet to get. ``wait``: the condition they may be for."""
    waiting = {open_wait.id for open_wait in open_waits(draft)}
    for signal in list(draft.signals.values()):
        if signal.is_open and is_shown(signal, cause) and signal.wait_id not in waiting:
            _apply(draft, signal, wait)


def is_shown(signal: Signal, task: Task) -> bool:
    """The history that the task delivered has the signal."""
    return 0 < signal.event_sequence <= task.snapshot_sequence


def _apply(draft: Draft, signal: Signal, wait: Wait | None) -> Signal:
    now = draft.context.now
    applied = replace(
        signal,
        status=SignalStatus.APPLIED,
        step=wait.step if wait else None,
        applied_at=now,
    )
    draft.signals.put(applied)
    draft.apply_command(
        AppliedCommand(signal.sequence, CommandOutcome.SIGNAL_RECEIVED, now)
    )
    return applied


def _end(draft: Draft, wait: Wait, status: WaitStatus) -> None:
    draft.waits.put(replace(wait, status=status, closed_at=draft.context.now))


def _pending_timer(draft: Draft, wait: Wait) -> Timer | None:
    timer = draft.timers.get(wait.step)
    return timer if timer is not None and timer.is_open else None


def _cancel(draft: Draft, timer: Timer | None, wait: Wait) -> None:
    if timer is None:
        return
    now = draft.context.now
    cancelled = replace(
        timer, status=TimerStatus.CANCELLED, closed_at=now, is_held=False
    )
    draft.timers.put(cancelled)
    draft.append(
        EventType.TIMER_CANCELLED,
        events.timer_cancelled(cancelled, wait, cancelled_at=now),
    )
