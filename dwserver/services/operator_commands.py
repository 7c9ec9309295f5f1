"""Commands of operators to runs: signal, update, cancel, terminate.

Source: ``spec/control-plane-api.md`` §5.6–5.12, ``spec/engine.md`` §9.5–9.7, decisions
5 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.close import CloseRequest, close_on_request
from dwserver.engine.lifecycle.operator import reject
from dwserver.engine.model import Command, Run
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandRejection, CommandType
from dwserver.services.command_targets import Target, decide_command
from dwserver.services.runs import RunNotFound, Runs
from dwserver.store.api import Store

INSTANCE_NOT_FOUND: Final = Rejection("instance_not_found", "Workflow not found.")
HISTORICAL_RUN: Final = Rejection(
    "historical_run_command_rejected",
    "Commands go to the current run of a workflow id, and this run is not the current "
    "one. Leave out the run id, or name the current run.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """A recorded command, accepted or rejected, and its run."""

    command: Command
    run: Run


class OperatorCommands:
    """See the module text."""

    def __init__(self, store: Store, *, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    async def find_target(
        self, namespace: str, workflow_id: str, run_id: str | None
    ) -> Target | Rejection:
        """The workflow id, and the run if one is named: only the current one will do
        (§5.12)."""
        instance = await self._store.find_instance(namespace, workflow_id)
        if instance is None:
            return INSTANCE_NOT_FOUND
        if run_id is not None and run_id != instance.current_run_id:
            return HISTORICAL_RUN
        return Target(instance=instance, run_id=run_id)

    async def close(
        self, target: Target, request: CloseRequest
    ) -> Commanded | Rejection:
        """Cancel or terminate the run at once."""
        try:
            return await decide_command(
                self._store, self._runs, target, _Close(request)
            )
        except RunNotFound:
            return INSTANCE_NOT_FOUND


@dataclass(frozen=True, slots=True)
class _Close:
    request: CloseRequest

    @property
    def command_type(self) -> CommandType:
        return self.request.command_type

    @property
    def request_id(self) -> str | None:
        return self.request.request_id

    async def prepare(self, run: Run) -> None:
        """The hot state is all there is to know."""

    def decide(self, draft: Draft) -> Commanded:
        closed = close_on_request(draft, self.request)
        return Commanded(command=closed.command, run=closed.run)

    def reject(self, draft: Draft, reason: CommandRejection) -> Commanded:
        command = reject(draft, self.request, self.command_type, reason=reason)
        return Commanded(command=command, run=draft.run)

    def repeats(self, command: Command) -> bool:
        """Whatever reason the caller gives now."""
        return True

    def again(self, draft: Draft, command: Command) -> Commanded:
        return Commanded(command=command, run=draft.run)
