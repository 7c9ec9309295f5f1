"""Start and look at workflows (``spec/control-plane-api.md §5``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dwserver.engine.lifecycle.start import Start, Started, start_again, start_new
from dwserver.engine.model import Failure, Instance, RunState
from dwserver.engine.outcome import Rejection
from dwserver.services.history_waiters import HistoryWaiters
from dwserver.services.runs import RunContended, Runs
from dwserver.services.start_gate import StartGate
from dwserver.store.api import (
    RunCursor,
    RunFilter,
    RunView,
    Store,
    StoredEvent,
)

MAX_START_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with the open rows that say what it waits for."""

    view: RunView
    state: RunState | None
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class HistorySlice:
    """Events after a position; ``has_more`` when the run has further ones now.
    ``pruned_at``: retention has deleted all of them."""

    events: tuple[StoredEvent, ...]
    has_more: bool
    pruned_at: int | None = None


class Workflows:
    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        gate: StartGate,
        waiters: HistoryWaiters,
        recheck_seconds: float,
    ) -> None:
        self._store = store
        self._runs = runs
        self._gate = gate
        self._waiters = waiters
        self._recheck_seconds = recheck_seconds

    async def start(self, start: Start) -> Started | Rejection:
        """A new run, the active one, or a refusal. The id is assumed to be free; the
        uniqueness guard of the write says when it is not."""
        refusal = await self._gate.refusal(start)
        for _ in range(MAX_START_ROUNDS):
            if refusal is None:
                draft = await self._runs.create(
                    lambda context: start_new(start, context)
                )
                if draft is not None:
                    return Started(draft.run, "started_new")
            instance = await self._store.find_instance(
                start.namespace, start.workflow_id
            )
            if instance is None:
                if refusal is not None:
                    return refusal
                continue
            if instance.workflow_type != start.workflow_type:
                return type_conflict(instance, start)
            started = await self._runs.decide(
                instance.current_run_id, lambda draft: start_again(draft, start)
            )
            if started.run.id == instance.current_run_id:
                return started
        raise RunContended(start.workflow_id)

    async def find_runs(
        self, run_filter: RunFilter, *, after: RunCursor | None, limit: int
    ) -> tuple[list[RunView], bool]:
        """A page of runs and whether another one follows."""
        found = await self._store.list_runs(run_filter, after=after, limit=limit + 1)
        return found[:limit], len(found) > limit

    async def runs(self, namespace: str, workflow_id: str) -> list[RunView]:
        """All runs of a workflow id, oldest first; empty when there is none."""
        return await self._store.runs_of_instance(namespace, workflow_id)

    async def describe(
        self, namespace: str, workflow_id: str, run_id: str | None = None
    ) -> RunDetail | None:
        """The current run, or the one named; None when the id does not have it."""
        if run_id is None:
            instance = await self._store.find_instance(namespace, workflow_id)
            if instance is None:
                return None
            run_id = instance.current_run_id
        view = await self._store.find_run_view(namespace, run_id)
        if view is None or view.run.workflow_id != workflow_id:
            return None
        is_open = not view.run.status.is_terminal
        state = await self._store.load_run(run_id) if is_open else None
        failures = await self._store.failures_of_run(run_id, limit=10)
        return RunDetail(view, state, tuple(failures))

    async def history(
        self, namespace: str, workflow_id: str, run_id: str, *, after: int, limit: int
    ) -> HistorySlice | None:
        """A page of history; None when the workflow id does not have this run."""
        view = await self._store.find_run_view(namespace, run_id)
        if view is None or view.run.workflow_id != workflow_id:
            return None
        events = await self._store.history(
            run_id, after=after, upto=None, limit=limit + 1
        )
        return HistorySlice(tuple(events[:limit]), len(events) > limit, view.pruned_at)

    async def wait_for_event(
        self,
        run_id: str,
        *,
        after: int,
        seconds: float,
        is_connected: Callable[[], bool],
    ) -> None:
        """Return when the run has an event after ``after``, or when time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while is_connected() and (left := deadline - loop.time()) > 0:
            with self._waiters.listen(run_id) as news:
                found = await self._store.history(
                    run_id, after=after, upto=None, limit=1
                )
                if found:
                    return
                if await self._waiters.wait(news, min(left, self._recheck_seconds)):
                    return


def type_conflict(instance: Instance, start: Start) -> Rejection:
    """A workflow id belongs to one workflow type."""
    text = (
        f"Workflow instance [{instance.workflow_id}] is reserved for durable type "
        f"[{instance.workflow_type}] and cannot be reused for "
        f"[{start.workflow_type}]."
    )
    errors = {"workflow_type": [text]}
    return Rejection(
        "validation_failed", text, {"errors": errors, "validation_errors": errors}
    )
