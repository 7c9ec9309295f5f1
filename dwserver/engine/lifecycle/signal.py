"""A signal reaches a run (``spec/engine.md §9.5``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.message import Intake, MessageRequest, refusal
from dwserver.engine.lifecycle.operator import accept, reject
from dwserver.engine.messages import take_in_signal
from dwserver.engine.model import Command, Run, Signal
from dwserver.engine.words import CommandOutcome, CommandRejection, CommandType

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
    signal = take_in_signal(draft, command)
    return Received(command, signal, draft.run)
