"""Signals and updates become part of a run (``spec/engine.md §9.4–9.6``).

The command that brought a message has been recorded; here it gets its row and its
event, and the task that shows it to the workflow.
"""

from __future__ import annotations

from dwserver.engine import held, message_events, waits
from dwserver.engine.draft import Draft
from dwserver.engine.model import Command, Signal, Update
from dwserver.engine.records import replace
from dwserver.engine.wakes import wake_for_signal, wake_for_update
from dwserver.engine.words import EventType, SignalStatus, TaskStatus, UpdateStatus


def take_in_signal(draft: Draft, command: Command) -> Signal:
    """The signal of an accepted command, with its event, and the task that shows it."""
    is_held = must_hold(draft)
    name = command.target_name or ""
    wait = waits.wait_without_signal(draft, name)
    taker = wait or (None if is_held else waits.newest_open_condition(draft))
    signal = Signal(
        id=draft.context.next_id(),
        run_id=draft.run.id,
        command_id=command.id,
        sequence=command.sequence,
        name=name,
        wait_id=wait.id if wait else f"signal-command:{command.id}",
        status=SignalStatus.RECEIVED,
        received_at=draft.context.now,
    )
    sequence = draft.append(
        EventType.SIGNAL_RECEIVED,
        message_events.signal_received(draft.run, signal, command, wait=taker),
        command_id=command.id,
        held_at=held.of_message(signal) if is_held else None,
    )
    if not is_held:
        signal = replace(signal, event_sequence=sequence)
    draft.signals.add(signal)
    wake_for_signal(draft, signal)
    return signal


def take_in_update(draft: Draft, command: Command, *, update_id: str) -> Update:
    """The update of an accepted command, with its event, and perhaps its task."""
    update = new_update(
        draft, command, update_id=update_id, status=UpdateStatus.ACCEPTED
    )
    is_held = must_hold(draft)
    sequence = draft.append(
        EventType.UPDATE_ACCEPTED,
        message_events.update_accepted(draft.run, update, command),
        command_id=command.id,
        held_at=held.of_message(update) if is_held else None,
    )
    if not is_held:
        update = replace(update, event_sequence=sequence)
    draft.updates.add(update)
    wake_for_update(draft, update)
    return update


def new_update(
    draft: Draft, command: Command, *, update_id: str, status: UpdateStatus
) -> Update:
    return Update(
        id=update_id,
        run_id=draft.run.id,
        command_id=command.id,
        sequence=command.sequence,
        name=command.target_name or "",
        status=status,
        accepted_at=draft.context.now,
        request_id=command.request_id,
    )


def must_hold(draft: Draft) -> bool:
    """A worker is at work on what it was shown: what arrives must not slip into
    history before its commands, or replay would see it earlier than it did (§9.4)."""
    if not draft.context.policy.holds_messages:
        return False
    task = draft.open_workflow_task()
    return task is not None and task.status is TaskStatus.LEASED
