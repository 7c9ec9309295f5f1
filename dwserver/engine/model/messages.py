"""Messages to a run: signals and updates (§9.4–9.6).

``sequence`` is the sequence of the operator command that brought the message, hence
the order of arrival. ``event_sequence`` is the place of ``SignalReceived`` or
``UpdateAccepted`` in history; 0 while it waits for the leased workflow task to close.
The arguments are the payload of the command.
"""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.model.values import Payload
from dwserver.engine.words import SignalStatus, UpdateStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal; ``wait_id``: the signal wait that it belongs to, if one was open.
    ``step``: of the wait that took it."""

    id: str
    run_id: str
    command_id: str
    sequence: int
    name: str
    wait_id: str
    status: SignalStatus
    received_at: int
    event_sequence: int = 0
    step: int | None = None
    applied_at: int | None = None

    @property
    def is_open(self) -> bool:
        return self.status is SignalStatus.RECEIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update; ``result`` and ``failure_*`` once the worker has closed it."""

    id: str
    run_id: str
    command_id: str
    sequence: int
    name: str
    status: UpdateStatus
    accepted_at: int
    request_id: str | None = None
    event_sequence: int = 0
    step: int | None = None
    result: Payload | None = None
    failure_id: str | None = None
    failure_message: str | None = None
    applied_at: int | None = None
    closed_at: int | None = None

    @property
    def is_open(self) -> bool:
        return self.status is UpdateStatus.ACCEPTED
