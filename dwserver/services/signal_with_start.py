"""Signal a workflow, and start it first if its id is free.

Source: ``spec/engine.md §9.5``, decision 7. One transition either way: a new run has
the signal from the beginning, an active one gets just the signal, and a used id is
refused like any other start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.start import (
    DuplicatePolicy,
    Start,
    Started,
    start_again,
)
from dwserver.engine.lifecycle.start_with_signal import (
    intake_of,
    start_with_signal,
    started_as,
)
from dwserver.engine.model import Command, Run
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandOutcome, CommandRejection, CommandType
from dwserver.services.command_contracts import CommandContracts
from dwserver.services.command_targets import Target, decide_command
from dwserver.services.messages import Commanded, Message, SignalAction
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.services.start_gate import StartGate
from dwserver.services.workflows import type_conflict
from dwserver.store.api import Store

MAX_ROUNDS: Final = 5
RETURNED: Final = CommandOutcome.RETURNED_EXISTING_ACTIVE


@dataclass(frozen=True, slots=True)
class SignalledStart:
    """``signalled`` is None when the workflow id is used and nothing was signalled."""

    started: Started
    signalled: Commanded | None = None


class SignalWithStart:
    """See the module text."""

    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        gate: StartGate,
        contracts: CommandContracts,
    ) -> None:
        self._store = store
        self._runs = runs
        self._gate = gate
        self._contracts = contracts

    async def send(self, start: Start, message: Message) -> SignalledStart | Rejection:
        """Raises :class:`RunContended`, ``StoreError``."""
        for _ in range(MAX_ROUNDS):
            instance = await self._store.find_instance(
                start.namespace, start.workflow_id
            )
            if instance is None:
                done = await self._start(start, message)
                if done is None:
                    continue
                return done
            if instance.workflow_type != start.workflow_type:
                return type_conflict(instance, start)
            group = intake_of(self._runs.context().next_id(), RETURNED)
            signal = replace(message, context={**message.context, **group})
            action = _Existing(start, SignalAction(signal, self._contracts))
            try:
                return await decide_command(
                    self._store,
                    self._runs,
                    target=Target(instance=instance),
                    action=action,
                )
            except RunNotFound:
                continue
        raise RunContended(start.workflow_id)

    async def _start(
        self, start: Start, message: Message
    ) -> SignalledStart | Rejection | None:
        """A new run with the signal; None when the id has been taken meanwhile. A
        signal that would be rejected starts nothing, nor does one for workers that are
        not there."""
        refusal = await self._gate.refusal(start)
        if refusal is not None:
            return refusal
        action = SignalAction(message, self._contracts)
        contract = await self._contracts.of_type(
            start.namespace, start.task_queue, start.workflow_type
        )
        action.hold_against(contract)
        draft, received = start_with_signal(
            start, action.request(), self._runs.context()
        )
        signalled = action.answer(received.command, received.run)
        if received.signal is None:
            return _refused(signalled)
        if await self._runs.create(lambda _: draft) is None:
            return None
        return SignalledStart(Started(draft.run, CommandOutcome.STARTED_NEW), signalled)


class _Existing:
    """The signal for an id that is in use; see ``command_targets.Action``."""

    command_type: Final = CommandType.SIGNAL

    def __init__(self, start: Start, signal: SignalAction) -> None:
        self._start = start
        self._signal = signal

    @property
    def request_id(self) -> str | None:
        return self._signal.request_id

    async def prepare(self, run: Run) -> None:
        await self._signal.prepare(run)

    def decide(self, draft: Draft) -> SignalledStart:
        """An active run that the caller accepts gets the signal; otherwise the start
        is refused as any other."""
        accepts = self._start.duplicate_policy is DuplicatePolicy.USE_EXISTING
        if not accepts or draft.run.status.is_terminal:
            return SignalledStart(start_again(draft, self._start))
        signalled = self._signal.decide(draft)
        return SignalledStart(Started(draft.run, RETURNED), signalled)

    def reject(self, draft: Draft, reason: CommandRejection) -> SignalledStart:
        """No run is named here that could be another than the current one."""
        raise AssertionError(reason)

    def repeats(self, command: Command) -> bool:
        return self._signal.repeats(command)

    def again(self, draft: Draft, command: Command) -> SignalledStart:
        outcome = started_as(command) or RETURNED
        signalled = self._signal.again(draft, command)
        return SignalledStart(Started(draft.run, outcome), signalled)


def _refused(signalled: Commanded) -> Rejection:
    """What a signal that starts nothing is answered: there is no run to record it."""
    command = signalled.command
    return Rejection(
        command.rejection_reason or "",
        fields={
            "outcome": command.outcome or None,
            "run_id": None,
            "signal_name": command.target_name,
            "command_status": command.status,
            "command_source": "control_plane",
            "rejection_reason": command.rejection_reason,
            "validation_errors": signalled.shown_errors,
        },
    )
