"""Carry out parent-close policies after the close of the parent (``engine.md §8``).

The closing transition leaves an entry in the outbox. The process that committed it
starts at once; what it does not finish, another finds when the entry is due. All of it
may happen twice: a child that has closed is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from dwserver.engine.draft import AppliedPolicy, Draft
from dwserver.engine.lifecycle.child_outcome import give_up_on_child, policy_reason
from dwserver.engine.lifecycle.close import CloseRequest, close_on_request
from dwserver.engine.model import Child, JsonMap, OutboxEntry
from dwserver.engine.transition import RunChange
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import CommandType, OutboxKind, ParentClosePolicy
from dwserver.services.runs import RunNotFound, Runs
from dwserver.store.api import Store

BATCH = 50
# Children of one parent that are closed at the same time.
CHILDREN_AT_ONCE = 256
# Looks at the open children before the entry has to wait: they may continue as new.
MAX_ROUNDS = 5
# How long the answer to a close waits for the children of the run.
WAIT_SECONDS = 2.0
# How long others leave an entry to the process that has taken it.
CLAIM_SECONDS = 15

_COMMANDS = {
    ParentClosePolicy.REQUEST_CANCEL: CommandType.CANCEL,
    ParentClosePolicy.TERMINATE: CommandType.TERMINATE,
}
_NO_RUN = "The run of the child does not exist."
_NOT_OPEN = "The run of the child had closed before."


class ClosePolicies:
    """Also an observer of commits: see the module text."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        *,
        now: Callable[[], int],
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._runs = runs
        self._now = now
        self._spawn = spawn
        self._under_way: dict[str, asyncio.Event] = {}

    def committed(self, change: RunChange) -> None:
        for entry in change.outbox:
            if entry.kind is OutboxKind.PARENT_CLOSE:
                self._under_way[entry.run_id] = asyncio.Event()
                self._spawn("parent-close", self._carry_out(entry))

    def conflicted(self) -> None:
        """Nothing happened."""

    async def carried_out(self, run_id: str) -> None:
        """Return when the children of a run that was closed here have been closed, or
        when that takes too long: then they are closed a little later."""
        done = self._under_way.get(run_id)
        if done is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), WAIT_SECONDS)

    async def deliver_due(self) -> float | None:
        """Take a batch of what is due; 0 when there is probably more."""
        due = await self._store.due_outbox(now=self._now(), limit=BATCH)
        if not due:
            return None
        claimed_until = self._now() + CLAIM_SECONDS * MICROS
        await self._store.postpone_outbox(
            [entry.id for entry in due], available_at=claimed_until
        )
        outcomes = await asyncio.gather(
            *map(self._deliver, due), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return 0.0 if len(due) == BATCH else None

    async def _carry_out(self, entry: OutboxEntry) -> None:
        try:
            await self._finish(entry)
        finally:
            self._under_way.pop(entry.run_id).set()

    async def _deliver(self, entry: OutboxEntry) -> None:
        if entry.run_id not in self._under_way:
            await self._finish(entry)

    async def _finish(self, entry: OutboxEntry) -> None:
        if await self._close_children(entry):
            await self._store.delete_outbox([entry.id])

    async def _close_children(self, entry: OutboxEntry) -> bool:
        """Whether none is left."""
        run_ids = await self._chain(entry)
        for _ in range(MAX_ROUNDS):
            children = [
                child
                for child in await self._store.open_children(run_ids)
                if child.parent_close_policy in _COMMANDS
            ]
            if not children:
                return True
            for first in range(0, len(children), CHILDREN_AT_ONCE):
                part = children[first : first + CHILDREN_AT_ONCE]
                await asyncio.gather(*(self._close(child, entry) for child in part))
        return False

    async def _chain(self, entry: OutboxEntry) -> list[str]:
        """The closed run and those that it continued; never a later run of the id."""
        if not entry.payload["inherits_children"]:
            return [entry.run_id]
        workflow_id = str(entry.payload["workflow_id"])
        views = await self._store.runs_of_instance(entry.namespace, workflow_id)
        before = {view.run.id: view.run.continued_from_run_id for view in views}
        chain = [entry.run_id]
        while (previous := before.get(chain[-1])) is not None:
            chain.append(previous)
        return chain

    async def _close(self, child: Child, entry: OutboxEntry) -> None:
        """Close the child's run; its parent hears of it in that transition."""
        policy = child.parent_close_policy
        reason = policy_reason(policy, str(entry.payload["closed_reason"]))
        applied = AppliedPolicy(policy, reason)
        request = CloseRequest(
            namespace=entry.namespace,
            command_type=_COMMANDS[policy],
            reason=reason,
            context=_context(entry),
        )

        def decide(draft: Draft) -> str | None:
            if draft.run.status.is_terminal:
                return _NOT_OPEN
            close_on_request(draft, request)
            draft.policy = applied
            return None

        try:
            error = await self._runs.decide(child.child_run_id, decide)
        except RunNotFound:
            error = _NO_RUN
        if error is not None:
            await self._give_up(child, applied, error)

    async def _give_up(self, child: Child, applied: AppliedPolicy, error: str) -> None:
        """Not if the child has continued as another run or has been heard of: then
        the call does not stand for that run any more."""
        # The hot state may be older than what another process wrote.
        self._runs.hot.drop(child.run_id)
        try:
            await self._runs.decide(
                child.run_id,
                lambda parent: give_up_on_child(parent, child, applied, error=error),
            )
        except RunNotFound:
            return


def _context(entry: OutboxEntry) -> JsonMap:
    return {
        "caller": {"type": "server", "label": "Parent-close policy"},
        "auth": {"status": "not_applicable", "method": "none"},
        "server": {
            "namespace": entry.namespace,
            "parent_workflow_id": entry.payload["workflow_id"],
            "parent_run_id": entry.run_id,
        },
    }
