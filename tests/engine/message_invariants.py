"""What must hold for waits, signals and updates after every decision (§9, §17)."""

from __future__ import annotations

from collections import Counter

from dwserver.engine.model import Signal, Task, Update, Wait
from dwserver.engine.words import (
    CommandStatus,
    CommandType,
    EventType,
    RunStatus,
    SignalStatus,
    TaskKind,
    TaskStatus,
    TimerKind,
    TimerStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from tests.engine.kept_rows import Rows
from tests.engine.stage import MESSAGES

TIMEOUT_AFTER = {
    WaitStatus.OPEN: {TimerStatus.PENDING},
    WaitStatus.SATISFIED: {TimerStatus.CANCELLED},
    WaitStatus.CLOSED: {TimerStatus.CANCELLED},
    WaitStatus.TIMED_OUT: {TimerStatus.FIRED},
}
UPDATE_EVENTS = {
    UpdateStatus.ACCEPTED: (1, 0, 0),
    UpdateStatus.COMPLETED: (1, 1, 1),
    UpdateStatus.FAILED: (1, 0, 1),
    UpdateStatus.REJECTED: (0, 0, 0),
}


def check(rows: Rows) -> None:
    check_waits(rows)
    check_signals(rows)
    check_updates(rows)
    check_order_of_arrival(rows)
    check_what_is_held(rows)
    if not rows.run.status.is_terminal:
        check_nothing_is_left_behind(rows)


def check_waits(rows: Rows) -> None:
    """A time-out belongs to its wait, and only the newest batch has open waits."""
    for step, wait in rows.waits.items():
        assert (wait.closed_at is None) == wait.is_open
        timer = rows.timers.get(step)
        if timer is not None:
            assert timer.kind == f"{wait.wait_for}_timeout"
            assert timer.status in TIMEOUT_AFTER[wait.status]
        elif wait.is_open and wait.timeout_seconds is not None:
            assert wait.wait_for is WaitFor.SIGNAL
            assert any(s.wait_id == wait.id for s in rows.signals.values())
        if wait.is_open:
            assert not rows.run.status.is_terminal
            assert wait.batch == rows.run.batch_first
    ids = [wait.id for wait in rows.waits.values() if wait.is_open]
    assert len(set(ids)) == len(ids)


def check_signals(rows: Rows) -> None:
    seen = _events_of(rows, EventType.SIGNAL_RECEIVED, "signal_id")
    applied = _events_of(rows, EventType.SIGNAL_APPLIED, "signal_id")
    assert set(applied.values()) <= {1}
    for sequence, signal in rows.signals.items():
        assert seen.pop(signal.id) == 1
        command = rows.commands[sequence - 1]
        assert command.id == signal.command_id
        assert command.command_type is CommandType.SIGNAL
        assert command.status is CommandStatus.ACCEPTED
        assert (command.applied_at is None) == signal.is_open
        assert (signal.applied_at is None) == signal.is_open
        if signal.id in applied:
            assert signal.status is SignalStatus.APPLIED
            assert rows.waits[signal.step or 0].wait_for is WaitFor.SIGNAL
    assert not seen


def check_updates(rows: Rows) -> None:
    """At most one answer for each update, and an answer for each when the run ends,
    unless its successor gives it."""
    counts = [
        _events_of(rows, event_type, "update_id")
        for event_type in (
            EventType.UPDATE_ACCEPTED,
            EventType.UPDATE_APPLIED,
            EventType.UPDATE_COMPLETED,
        )
    ]
    for sequence, update in rows.updates.items():
        assert tuple(c[update.id] for c in counts) == UPDATE_EVENTS[update.status]
        assert (update.closed_at is None) == update.is_open
        command = rows.commands[sequence - 1]
        assert command.id == update.command_id
        is_rejected = update.status is UpdateStatus.REJECTED
        assert (command.status is CommandStatus.REJECTED) is is_rejected
        is_failed = update.status is UpdateStatus.FAILED
        assert (update.failure_id is not None) is is_failed
        if update.is_open and rows.run.status.is_terminal:
            assert rows.run.status is RunStatus.COMPLETED
            assert rows.run.closed_reason == "continued"


def check_order_of_arrival(rows: Rows) -> None:
    """Messages stand in history as they came."""
    messages: list[Signal | Update] = [*rows.signals.values()]
    messages += (
        update
        for update in rows.updates.values()
        if update.status is not UpdateStatus.REJECTED
    )
    messages.sort(key=lambda message: message.sequence)
    places = [m.event_sequence for m in messages if m.event_sequence]
    assert places == sorted(places)
    for message in messages:
        if message.event_sequence:
            event = rows.events[message.event_sequence]
            assert event.command_id == message.command_id
        else:
            assert -(MESSAGES * 2 + message.sequence) in rows.events


def check_what_is_held(rows: Rows) -> None:
    """Nothing is held back without a leased task, but a time-out whose signal came."""
    task = _workflow_task(rows)
    is_leased = task is not None and task.status is TaskStatus.LEASED
    held = [number for number in rows.events if number < -MESSAGES]
    assert not held or is_leased
    for step, timer in rows.timers.items():
        if timer.kind is TimerKind.PLAIN:
            continue
        assert timer.is_open or not timer.is_held
        if timer.is_held and not is_leased:
            assert _signal_for(rows, rows.waits[step]) is not None


def check_nothing_is_left_behind(rows: Rows) -> None:
    """Without an open task no message waits that could move the workflow."""
    if _workflow_task(rows) is not None:
        return
    assert not any(update.is_open for update in rows.updates.values())
    shown = max(
        task.snapshot_sequence
        for task in rows.tasks.values()
        if task.kind is TaskKind.WORKFLOW and task.status is TaskStatus.COMPLETED
    )
    for wait in rows.waits.values():
        if not wait.is_open:
            continue
        signal_for_it = _signal_for(rows, wait)
        # A worker may wait for the rest of the list that the wait is in.
        assert signal_for_it is None or signal_for_it.event_sequence <= shown
        if wait.wait_for is WaitFor.CONDITION:
            for signal in rows.signals.values():
                assert not signal.is_open, "the condition has not seen it"


def _signal_for(rows: Rows, wait: Wait) -> Signal | None:
    for signal in rows.signals.values():
        if signal.is_open and signal.wait_id == wait.id:
            return signal
    return None


def _events_of(rows: Rows, event_type: EventType, key: str) -> Counter[str]:
    """How often the events of a type name each id, held ones included."""
    return Counter(
        rows.payloads[number][key]
        for number, event in rows.events.items()
        if event.event_type == event_type
    )


def _workflow_task(rows: Rows) -> Task | None:
    tasks = rows.state.tasks.values()
    return next((task for task in tasks if task.kind is TaskKind.WORKFLOW), None)
