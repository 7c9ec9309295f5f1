"""Read what a decision needs of a run besides its hot state."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from dwserver.engine.background import NO_BACKGROUND, Background
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.markers import UpsertSearchAttributes
from dwserver.engine.commands.terminal import ContinueAsNew
from dwserver.engine.commands.updates import CompleteUpdate
from dwserver.engine.model import Run, RunState
from dwserver.engine.records import replace
from dwserver.store.api import Store

WITH_INPUT = (ContinueAsNew, UpsertSearchAttributes, StartChildWorkflow)


async def read_background(store: Store, run: Run) -> Background:
    """Input and instance, as guarded by the version of ``run``."""
    given = await store.run_input(run.id)
    if given is None:
        raise LookupError(run.id)
    instance = await store.find_instance(run.namespace, run.workflow_id)
    return Background(input=given, instance=instance)


class CompletionBackground:
    """What the commands of a completion need; most need nothing.

    ``prepare`` is for ``Runs.decide`` and sets ``known``.
    """

    def __init__(self, store: Store, commands: Sequence[WorkflowCommand]) -> None:
        self._store = store
        self._commands = commands
        self._needs_input = any(isinstance(c, WITH_INPUT) for c in commands)
        self._upserts = any(isinstance(c, UpsertSearchAttributes) for c in commands)
        self.known = NO_BACKGROUND

    def prepare(self, state: RunState) -> Awaitable[None] | None:
        sequences = messages_needed(state, self._commands)
        if not self._needs_input and not sequences:
            self.known = NO_BACKGROUND
            return None
        return self._read(state.run, sequences)

    async def _read(self, run: Run, sequences: Sequence[int]) -> None:
        known = NO_BACKGROUND
        if self._needs_input:
            known = await read_background(self._store, run)
        if self._upserts:
            types = await self._store.search_attribute_types(run.namespace)
            known = replace(known, attribute_types=types)
        if sequences:
            payloads = await self._store.message_payloads(run.id, sequences)
            known = replace(known, payloads=payloads)
        self.known = known


def messages_needed(state: RunState, commands: Sequence[WorkflowCommand]) -> list[int]:
    """The messages whose arguments the completion may write: of updates that it
    completes, of signals that open waits get, of all that a new run inherits."""
    if not state.signals and not state.updates:
        return []
    if any(isinstance(command, ContinueAsNew) for command in commands):
        return [*state.signals, *state.updates]
    completed = {c.update_id for c in commands if isinstance(c, CompleteUpdate)}
    waits = {wait.id for wait in state.waits.values() if wait.is_open}
    return [
        *(s.sequence for s in state.signals.values() if s.wait_id in waits),
        *(u.sequence for u in state.updates.values() if u.id in completed),
    ]
