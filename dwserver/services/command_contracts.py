"""Which signals and updates a run is known to take (decision 5).

A live worker of the run's queue that declares the type decides; without one the run's
own ``WorkflowStarted`` does, if it declares something; else nothing is known and every
name is taken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from dwserver.engine.model import Run
from dwserver.engine.words import EventType
from dwserver.protocol.command_contracts import (
    NOTHING_DECLARED,
    Contract,
    read_contract,
)
from dwserver.services.hot_runs import HotRuns
from dwserver.services.workers import Workers
from dwserver.store.api import Store, WorkerRegistration

MAX_REMEMBERED: Final = 10_000
# WorkflowStarted is the first event of a run, or the second after StartAccepted.
_FIRST_EVENTS: Final = 2
_DECLARES: Final = b'"declared_'


class CommandContracts:
    """``cache_ttl`` (µs): how long another process's registration may go unnoticed;
    what registers here is seen at once."""

    def __init__(
        self,
        store: Store,
        *,
        workers: Workers,
        hot: HotRuns,
        now: Callable[[], int],
        cache_ttl: int,
    ) -> None:
        self._store = store
        self._workers = workers
        self._hot = hot
        self._now = now
        self._cache_ttl = cache_ttl
        self._generation = workers.generation
        self._live: dict[tuple[str, str], tuple[int, Mapping[str, Contract]]] = {}
        self._recorded: OrderedDict[str, Contract] = OrderedDict()

    async def of_run(self, run: Run) -> Contract:
        live = await self._of_queue(run.namespace, run.task_queue)
        if run.workflow_type in live:
            return live[run.workflow_type]
        return await self._of_history(run.id)

    async def of_type(self, namespace: str, queue: str, workflow_type: str) -> Contract:
        """What live workers declare; for a run that is yet to start."""
        live = await self._of_queue(namespace, queue)
        return live.get(workflow_type, NOTHING_DECLARED)

    async def _of_queue(self, namespace: str, queue: str) -> Mapping[str, Contract]:
        generation = self._workers.generation
        if self._generation != generation:
            self._generation = generation
            self._live.clear()
        key = (namespace, queue)
        known = self._live.get(key)
        if known is not None and known[0] > self._now():
            return known[1]
        found = await self._workers.find_all(namespace, queue=queue)
        live = [w for w in found if self._workers.status(w) == "active"]
        contracts = _declared_by(live)
        if len(self._live) >= MAX_REMEMBERED:
            self._live.clear()
        if self._workers.generation == generation:
            self._live[key] = (self._now() + self._cache_ttl, contracts)
        return contracts

    async def _of_history(self, run_id: str) -> Contract:
        known = self._recorded.get(run_id)
        if known is not None:
            self._recorded.move_to_end(run_id)
            return known
        contract = self._recorded[run_id] = await self._read(run_id)
        if len(self._recorded) > MAX_REMEMBERED:
            self._recorded.popitem(last=False)
        return contract

    async def _read(self, run_id: str) -> Contract:
        hot = self._hot.get(run_id)
        if hot is not None and hot.history is not None:
            rendered = hot.history.fragments[:_FIRST_EVENTS]
            if not any(_DECLARES in fragment for fragment in rendered):
                return NOTHING_DECLARED
        events = await self._store.history(
            run_id, after=0, upto=_FIRST_EVENTS, limit=_FIRST_EVENTS
        )
        for event in events:
            if event.event_type == EventType.WORKFLOW_STARTED:
                return read_contract(orjson.loads(event.payload), prefix="declared_")
        return NOTHING_DECLARED


def _declared_by(workers: list[WorkerRegistration]) -> dict[str, Contract]:
    """By workflow type; of workers that disagree the one heard of last is right."""
    declared: dict[str, Contract] = {}
    for worker in workers:
        blocks = worker.details.get("workflow_command_contracts")
        for workflow_type, block in blocks.items() if isinstance(blocks, dict) else ():
            read = read_contract(block)
            known = declared.get(workflow_type, NOTHING_DECLARED)
            if read:
                declared[workflow_type] = {
                    **read,
                    **{
                        kind: entry.merged(read[kind]) if kind in read else entry
                        for kind, entry in known.items()
                    },
                }
    return declared
