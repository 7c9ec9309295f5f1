"""Whether live workers fit the compatibility marker of a run
(``spec/control-plane-api.md`` §5.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dwserver.engine.model import Run
from dwserver.protocol.json_types import JsonObject
from dwserver.services.catalog import Services


@dataclass(frozen=True, slots=True)
class Fleet:
    """The task queues and build ids that active workers serve."""

    served: frozenset[tuple[str, str]]

    def fields(self, run: Run) -> JsonObject:
        """The four members that every view of a run has; unmarked work fits all."""
        marker = run.compatibility
        is_fit = marker is None or (run.task_queue, marker) in self.served
        reason = None
        if not is_fit:
            reason = f"No active worker of [{run.task_queue}] has build id [{marker}]."
        return {
            "compatibility": marker,
            "compatibility_status": "compatible" if is_fit else "no_compatible_worker",
            "compatibility_supported_in_fleet": is_fit,
            "compatibility_fleet_reason": reason,
        }


ANY_WORKER = Fleet(frozenset())


async def fleet_for(services: Services, namespace: str, runs: Iterable[Run]) -> Fleet:
    """The fleet that ``runs`` are judged by; workers are read only for marked runs."""
    if all(run.compatibility is None for run in runs):
        return ANY_WORKER
    workers = await services.workers.find_all(namespace)
    return Fleet(
        frozenset(
            (worker.task_queue, worker.build_id)
            for worker in workers
            if worker.build_id is not None
            and services.workers.status(worker) == "active"
        )
    )
