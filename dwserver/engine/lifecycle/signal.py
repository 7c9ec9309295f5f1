"""A signal reaches a run (``spec/engine.md §9.5``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import held, message_events, waits
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.message import (
    Intake,
    MessageRequest,
    must_hold,
    refusal,
)
from dwserver.engine.lifecycle.operator import accept, reject
from dwserver.engine.model import Command, Run, Signal
from dwserver.engine.records import replace
from dwserver.engine.wakes import wake_for_signal
from dwserver.engine.words import (
    CommandOutcome,
    CommandRejection,
    CommandType,
    EventType,
    SignalStatus,
)

INTAKE = Intake(
    unknown_name=CommandRejection.UNKNOWN_SIGNAL,
    bad_arguments=CommandRejection.INVALID_SIGNAL_ARGUMENTS,
    pending=lambda draft: sum(signal.is_open for signal in draft.signals.values()),
    limit=lambda draft: draft.context.policy.limits.pending_signals,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRequest(MessageRequest):
    """A validated signal request."""


@dataclass(frozen=True, slots=True)
class Received:
    """Reply: the recorded command, perhaps a rejected one, and the run after it.
    ``signal`` is None for a rejected command."""

    command: Command
    signal: Signal | None
    run: Run


def receive_signal(draft: Draft, request: SignalRequest) -> Received:
    """Record the signal and wake the workflow, or record why not.

    The draft is of the current run of the workflow id; the caller has found it.
    """
    reason = refusal(draft, request, INTAKE)
    if reason is not None:
        command = reject(
            draft,
            request,
            CommandType.SIGNAL,
            reason=reason,
            target_name=request.name,
            payload=request.arguments,
        )
        return Received(command, None, draft.run)
    command = accept(
        draft,
        request,
        CommandType.SIGNAL,
        outcome=CommandOutcome.SIGNAL_RECEIVED,
        target_name=request.name,
        payload=request.arguments,
        is_applied=False,
    )
    signal = take_in(draft, command)
    return Received(command, signal, draft.run)


def take_in(draft: Draft, command: Command) -> Signal:
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
