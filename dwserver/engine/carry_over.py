"""Messages that a run leaves to its successor (``spec/engine.md §9.5, §9.6``).

What a run has not taken notice of when it continues as new reaches the new run as if
it had been sent there: with a command, a row and an event of its own. An update keeps
its id, so that whoever waits for it finds it in the current run.
"""

from __future__ import annotations

from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.messages import take_in_signal, take_in_update
from dwserver.engine.model import Command, Signal, Update
from dwserver.engine.words import CommandOutcome, CommandStatus, CommandType


def carry_messages(old: Draft, new: Draft, background: Background) -> None:
    """Hand the open messages of ``old`` to ``new``, in the order of their arrival."""
    for message in old.open_messages():
        command = _command(old, new, message, background)
        new.record_command(command)
        new.set_run(command_sequence=command.sequence)
        if isinstance(message, Signal):
            take_in_signal(new, command)
        else:
            take_in_update(new, command, update_id=message.id)


def _command(
    old: Draft, new: Draft, message: Signal | Update, background: Background
) -> Command:
    run = new.run
    is_signal = isinstance(message, Signal)
    return Command(
        id=new.context.next_id(),
        namespace=run.namespace,
        workflow_id=run.workflow_id,
        run_id=run.id,
        sequence=run.command_sequence + 1,
        command_type=CommandType.SIGNAL if is_signal else CommandType.UPDATE,
        status=CommandStatus.ACCEPTED,
        outcome=CommandOutcome.SIGNAL_RECEIVED if is_signal else CommandOutcome.OPEN,
        created_at=new.context.now,
        target_name=message.name,
        request_id=None if isinstance(message, Signal) else message.request_id,
        payload=old.payload_of(message.sequence, background.payloads),
    )
