"""Open waits and the signals that they wait for (``spec/engine.md §9``)."""

from __future__ import annotations

from dwserver.engine.draft import Draft
from dwserver.engine.model import Signal, Wait
from dwserver.engine.words import WaitFor


def open_waits(draft: Draft) -> list[Wait]:
    """In step order."""
    return [wait for wait in draft.waits.values() if wait.is_open]


def newest_open_condition(draft: Draft) -> Wait | None:
    for wait in reversed(draft.waits.values()):
        if wait.is_open and wait.wait_for is WaitFor.CONDITION:
            return wait
    return None


def signal_for(draft: Draft, wait: Wait) -> Signal | None:
    """The signal that a signal wait is to get."""
    for signal in draft.signals.values():
        if signal.is_open and signal.wait_id == wait.id:
            return signal
    return None


def wait_without_signal(draft: Draft, name: str) -> Wait | None:
    """The oldest open signal wait of that name that has no signal yet."""
    for wait in open_waits(draft):
        is_for_it = wait.wait_for is WaitFor.SIGNAL and wait.name == name
        if is_for_it and signal_for(draft, wait) is None:
            return wait
    return None


def signal_without_wait(draft: Draft, name: str) -> Signal | None:
    """The oldest signal of that name that no open wait is to get."""
    taken = {wait.id for wait in open_waits(draft)}
    for signal in draft.signals.values():
        if signal.is_open and signal.name == name and signal.wait_id not in taken:
            return signal
    return None
