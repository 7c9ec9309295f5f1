"""What an operator needs to see why a run does not move (``spec/control-plane-api.md``
§5.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dwserver.engine.model import RunState
from dwserver.services.task_queues import QueueDetail, TaskQueues
from dwserver.services.workflows import RunDetail, Workflows
from dwserver.store.api import Store, StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiagnosis:
    """``state`` has no rows once the run is closed. ``now``: when all this was so."""

    detail: RunDetail
    state: RunState
    last_event: StoredEvent | None
    queue: QueueDetail
    now: int


class Diagnosis:
    def __init__(
        self,
        store: Store,
        *,
        workflows: Workflows,
        queues: TaskQueues,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._queues = queues
        self._now = now

    async def of_run(
        self, namespace: str, workflow_id: str, run_id: str | None = None
    ) -> RunDiagnosis | None:
        """Of the current run, or the one named; None when the id does not have it."""
        detail = await self._workflows.describe(namespace, workflow_id, run_id)
        if detail is None:
            return None
        run = detail.view.run
        last = await self._store.history(
            run.id, after=run.last_sequence - 1, upto=run.last_sequence, limit=1
        )
        return RunDiagnosis(
            detail=detail,
            state=detail.state or RunState(run),
            last_event=last[0] if last else None,
            queue=await self._queues.detail(namespace, run.task_queue),
            now=self._now(),
        )
