"""Start a workflow with its first signal, one transition (``spec/engine.md`` §9.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dwserver.engine.context import Context
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.signal import Received, SignalRequest, receive_signal
from dwserver.engine.lifecycle.start import Start, start_new
from dwserver.engine.model import Command, JsonMap
from dwserver.engine.words import CommandOutcome

MODE: Final = "signal_with_start"


def start_with_signal(
    start: Start, signal: SignalRequest, context: Context
) -> tuple[Draft, Received]:
    """The first run of a free workflow id, which has the signal before its first task.
    Both commands name one intake. The draft is worth nothing if the signal was
    rejected."""
    intake = intake_of(context.next_id(), CommandOutcome.STARTED_NEW)
    draft = start_new(replace(start, context={**start.context, **intake}), context)
    request = replace(signal, context={**signal.context, **intake})
    return draft, receive_signal(draft, request)


def intake_of(group_id: str, start_outcome: CommandOutcome) -> JsonMap:
    """What the context of a command says about the request that brought it."""
    return {
        "intake": {
            "group_id": group_id,
            "mode": MODE,
            "start_outcome": start_outcome,
        }
    }


def started_as(command: Command) -> CommandOutcome | None:
    """How the start of the request that brought ``command`` came out; None for a
    command that came alone."""
    intake = command.context.get("intake")
    if not isinstance(intake, Mapping):
        return None
    return CommandOutcome(intake["start_outcome"])
