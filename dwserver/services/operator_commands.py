"""Commands of operators to runs: signal, update, cancel, terminate, repair, archive.

Source: ``spec/control-plane-api.md`` §5.6–5.12, ``spec/engine.md`` §9.5–9.7, decisions
5 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.archive import ArchiveRequest, archive
from dwserver.engine.lifecycle.close import CloseRequest, close_on_request
from dwserver.engine.lifecycle.operator import Decided, OperatorRequest, reject
from dwserver.engine.lifecycle.repair import repair
from dwserver.engine.model import Command, Run
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import TermGuard
from dwserver.engine.words import CommandRejection, CommandType
from dwserver.services.close_policies import ClosePolicies
from dwserver.services.command_contracts import CommandContracts
from dwserver.services.command_targets import Action, Target, decide_command
from dwserver.services.messages import (
    Commanded,
    Message,
    SignalAction,
    UpdateAction,
    Updated,
)
from dwserver.services.runs import RunNotFound, Runs
from dwserver.services.update_waiters import UpdateWaiters
from dwserver.store.api import Store

INSTANCE_NOT_FOUND: Final = Rejection("instance_not_found")
HISTORICAL_RUN: Final = Rejection("historical_run_command_rejected")

Reply = TypeVar("Reply")


class OperatorCommands:
    """See the module text."""

    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        contracts: CommandContracts,
        waiters: UpdateWaiters,
        close_policies: ClosePolicies,
    ) -> None:
        self._store = store
        self._runs = runs
        self._close_policies = close_policies
        self._contracts = contracts
        self._waiters = waiters

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
        self, target: Target, request: CloseRequest, *, term: TermGuard | None = None
    ) -> Commanded | Rejection:
        """Cancel or terminate the run at once, and by their policies its children.
        ``term``: of the leader that asks instead of an operator."""
        action = _Administration(
            request.command_type,
            request,
            lambda draft: close_on_request(draft, request),
        )
        closed = await self._decide(target, action, term=term)
        if isinstance(closed, Commanded):
            await self._close_policies.carried_out(closed.run.id)
        return closed

    async def archive(
        self, target: Target, request: ArchiveRequest
    ) -> Commanded | Rejection:
        """Keep the closed run from retention; an archived one stays archived."""
        action = _Administration(
            CommandType.ARCHIVE, request, lambda draft: archive(draft, request)
        )
        return await self._decide(target, action)

    async def repair(
        self, target: Target, request: OperatorRequest
    ) -> Commanded | Rejection:
        """Make what the open run lacks and announce what nobody takes."""
        # The hot state may not know of a renewal by another process.
        self._runs.hot.drop(target.run_id or target.instance.current_run_id)
        action = _Administration(
            CommandType.REPAIR, request, lambda draft: repair(draft, request)
        )
        return await self._decide(target, action)

    async def signal(self, target: Target, message: Message) -> Commanded | Rejection:
        return await self._decide(target, SignalAction(message, self._contracts))

    async def update(self, target: Target, message: Message) -> Updated | Rejection:
        """Accepted and open, or rejected; closed only when it was sent before."""
        updated = await self._decide(target, UpdateAction(message, self._contracts))
        if isinstance(updated, Rejection) or updated.update is not None:
            return updated
        command = updated.command
        found = await self._store.find_update_of_command(
            command.run_id, command.sequence
        )
        return replace(updated, update=found)

    async def until_closed(
        self, updated: Updated, *, seconds: float, is_connected: Callable[[], bool]
    ) -> Updated:
        """The same with the update closed, or as it is when time is up."""
        if updated.update is None:
            return updated
        update = await self._waiters.closed(
            updated.update, seconds=seconds, is_connected=is_connected
        )
        return replace(updated, update=update, is_wait_over=update.is_open)

    async def _decide(
        self, target: Target, action: Action[Reply], *, term: TermGuard | None = None
    ) -> Reply | Rejection:
        try:
            return await decide_command(
                self._store, self._runs, target=target, action=action, term=term
            )
        except RunNotFound:
            return INSTANCE_NOT_FOUND


@dataclass(frozen=True, slots=True)
class _Administration:
    """A command that is no message; see ``command_targets.Action``."""

    command_type: CommandType
    request: OperatorRequest
    take: Callable[[Draft], Decided]

    @property
    def request_id(self) -> str | None:
        return self.request.request_id

    async def prepare(self, run: Run) -> None:
        """The hot state is all there is to know."""

    def decide(self, draft: Draft) -> Commanded:
        decided = self.take(draft)
        return Commanded(command=decided.command, run=decided.run)

    def reject(self, draft: Draft, reason: CommandRejection) -> Commanded:
        command = reject(draft, self.request, self.command_type, reason=reason)
        return Commanded(command=command, run=draft.run)

    def repeats(self, command: Command) -> bool:
        """Whatever reason the caller gives now."""
        return True

    def again(self, draft: Draft, command: Command) -> Commanded:
        return Commanded(command=command, run=draft.run)
