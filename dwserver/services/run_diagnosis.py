"""What an operator needs to see why a run does not move (``spec/control-plane-api.md``
§5.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwserver.engine.definitions import may_continue
from dwserver.engine.model import Run, RunState
from dwserver.services.task_queues import QueueDetail, TaskQueues
from dwserver.services.workers import Workers
from dwserver.services.workflows import RunDetail, Workflows
from dwserver.store.api import Store, StoredEvent, WorkerRegistration


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiagnosis:
    """``state`` has no rows once the run is closed. ``now``: when all this was so.
    ``lacks_definition``: its queue has live workers, and all have another definition
    than the one that the run stays with."""

    detail: RunDetail
    state: RunState
    last_event: StoredEvent | None
    queue: QueueDetail
    now: int
    lacks_definition: bool = False


class Diagnosis:
    """``pins_definitions``: runs stay with the definition that they began with."""

    def __init__(
        self,
        store: Store,
        *,
        workflows: Workflows,
        queues: TaskQueues,
        workers: Workers,
        now: Callable[[], int],
        pins_definitions: bool = True,
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._queues = queues
        self._workers = workers
        self._now = now
        self._pins_definitions = pins_definitions

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
        queue = await self._queues.detail(namespace, run.task_queue)
        return RunDiagnosis(
            detail=detail,
            state=detail.state or RunState(run),
            last_event=last[0] if last else None,
            queue=queue,
            now=self._now(),
            lacks_definition=self._lacks_definition(run, queue.pollers),
        )

    def _lacks_definition(
        self, run: Run, workers: Sequence[WorkerRegistration]
    ) -> bool:
        recorded, name = run.definition_fingerprint, run.workflow_type
        if recorded is None or not self._pins_definitions:
            return False
        serving = [
            worker
            for worker in workers
            if self._workers.status(worker) == "active"
            and name in (worker.workflow_types or (name,))
        ]
        return bool(serving) and not any(
            may_continue(recorded, worker.fingerprints.get(name)) for worker in serving
        )
