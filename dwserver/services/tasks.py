"""Find a task by the id that a worker sends: hot first, else in the database."""

from __future__ import annotations

from dwserver.engine.model import Task
from dwserver.engine.words import TaskKind
from dwserver.services.hot_runs import HotRuns
from dwserver.store.api import Store


class Tasks:
    def __init__(self, store: Store, hot: HotRuns) -> None:
        self._store = store
        self._hot = hot

    async def find(self, namespace: str, task_id: str, kind: TaskKind) -> Task | None:
        """The task in whatever status; None when the namespace has no such task of
        this kind."""
        task = self._hot.find_task(namespace, task_id)
        if task is None:
            task = await self._store.find_task(namespace, task_id)
        return task if task is not None and task.kind is kind else None
