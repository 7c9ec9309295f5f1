"""Activities without a workflow (``spec/control-plane-api.md §10``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.hosts import HOST_TYPE, is_host
from dwserver.engine.lifecycle.standalone import StartActivity, start_activity
from dwserver.engine.model import Activity
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import StatusBucket
from dwserver.services.drain_gate import DrainGate
from dwserver.services.runs import Runs
from dwserver.services.workflows import Workflows
from dwserver.store.api import RunCursor, RunFilter, RunView, Store


@dataclass(frozen=True, slots=True)
class StandaloneActivity:
    """``view`` is the host run. ``activity`` is None once retention has deleted it."""

    view: RunView
    activity: Activity | None


class StandaloneActivities:
    def __init__(
        self, store: Store, *, runs: Runs, workflows: Workflows, drains: DrainGate
    ) -> None:
        self._drains = drains
        self._store = store
        self._runs = runs
        self._workflows = workflows

    async def start(
        self, start: StartActivity
    ) -> StandaloneActivity | Rejection | None:
        """None when the id is used, by whatever; a rejection when the workers of the
        queue drain."""
        refusal = await self._drains.refusal(
            start.namespace, start.task_queue, workflow_type=HOST_TYPE
        )
        if refusal is not None:
            used = await self._store.find_instance(start.namespace, start.activity_id)
            return None if used else refusal
        draft = await self._runs.create(lambda context: start_activity(start, context))
        if draft is None:
            return None
        run = draft.run
        [activity] = draft.activities.values()
        view = RunView(run, start.input, None, run_count=1, current_run_id=run.id)
        return StandaloneActivity(view, activity)

    async def find(self, namespace: str, activity_id: str) -> StandaloneActivity | None:
        detail = await self._workflows.describe(namespace, activity_id)
        if detail is None or not is_host(detail.view.run):
            return None
        whole = await self._store.whole_run(detail.view.run)
        activity = next(iter(whole.rows.activities.values()), None)
        return StandaloneActivity(detail.view, activity)

    async def find_all(
        self,
        namespace: str,
        bucket: StatusBucket | None,
        *,
        after: RunCursor | None,
        limit: int,
    ) -> tuple[list[RunView], bool]:
        """A page of host runs, the newest first, and whether another one follows."""
        hosts = RunFilter(namespace, HOST_TYPE, bucket)
        return await self._workflows.find_runs(hosts, after=after, limit=limit)
