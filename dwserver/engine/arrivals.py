"""What is held back while a workflow task is leased, and how it is let go (§9.4).

Replay sees history in one order only. A message must not come before the commands of
a task that was leased before it arrived, and a wait must not time out while the worker
may just be finding its condition true.
"""

from __future__ import annotations

from dwserver.engine import held
from dwserver.engine.draft import Draft
from dwserver.engine.model import Signal
from dwserver.engine.records import replace
from dwserver.engine.wait_endings import time_out


def release(draft: Draft) -> None:
    """The leased workflow task has closed or lost its lease: messages take their place
    in order of arrival, then overdue time-outs of waits fire."""
    release_messages(draft)
    for timer in list(draft.timers.values()):
        if timer.is_open and timer.is_held:
            time_out(draft, timer)


def release_messages(draft: Draft) -> None:
    for message in draft.open_messages():
        if message.event_sequence:
            continue
        sequence = draft.release(held.of_message(message))
        if isinstance(message, Signal):
            draft.signals.put(replace(message, event_sequence=sequence))
        else:
            draft.updates.put(replace(message, event_sequence=sequence))
