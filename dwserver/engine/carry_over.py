"""Messages that a run leaves to its successor (``spec/engine.md §9.5, §9.6``).

What a run has not taken notice of when it continues as new reaches the new run as if
it had been sent there: with a command, a row and an event of its own. An update keeps
its id, so that whoever waits for it finds it in the current run.
"""

from __future__ import annotations

from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle import signal, update
from dwserver.engine.lifecycle.operator import OperatorRequest, accept
from dwserver.engine.model import Signal
from dwserver.engine.words import CommandOutcome, CommandType


def carry_messages(old: Draft, new: Draft, background: Background) -> None:
    """Hand the open messages of ``old`` to ``new``, in the order of their arrival."""
    for message in old.open_messages():
        payload = old.payload_of(message.sequence, background.payloads)
        if isinstance(message, Signal):
            signal.take_in(
                new,
                accept(
                    new,
                    OperatorRequest(namespace=new.run.namespace),
                    CommandType.SIGNAL,
                    outcome=CommandOutcome.SIGNAL_RECEIVED,
                    target_name=message.name,
                    payload=payload,
                    is_applied=False,
                ),
            )
            continue
        command = accept(
            new,
            OperatorRequest(namespace=new.run.namespace, request_id=message.request_id),
            CommandType.UPDATE,
            outcome=CommandOutcome.OPEN,
            target_name=message.name,
            payload=payload,
            is_applied=False,
        )
        update.take_in(new, command, update_id=message.id)
