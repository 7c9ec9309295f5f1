"""A matcher on its own: ready tasks in memory, claims that succeed unless told not to.

The claims with a real database are tested in ``tests/services/test_polls.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from dwserver.engine.leases import Leased
from dwserver.engine.model import Run, Task
from dwserver.engine.words import TaskKind
from dwserver.matching.matcher import Matcher
from dwserver.matching.pollers import Delivery, Poller
from dwserver.store.api import Definitions, QueueKey, ReadyTask
from tests.support.builders import NOON, a_run, a_task, leased
from tests.support.waiting import eventually

ORDERS = QueueKey("default", "orders", TaskKind.WORKFLOW)
LONG = 60.0


def a_poller(
    worker_id: str = "worker-1", *, key: QueueKey = ORDERS, **fields: Any
) -> Poller:
    """A poller for any type of an unversioned, connected worker."""
    values: dict[str, Any] = {
        "build_id": None,
        "types": None,
        "is_connected": lambda: True,
        **fields,
    }
    return Poller(key=key, worker_id=worker_id, **values)


def a_workflow_task(run: Run | None = None, **fields: Any) -> Task:
    return a_task(run or a_run(), **fields)


def is_listed(task: Task, wanted: Definitions | None) -> bool:
    recorded = task.definition_fingerprint
    return (
        recorded is None
        or wanted is None
        or recorded in wanted.fingerprints
        or task.type_name in wanted.types
    )


def delivery_of(task: Task, owner: str) -> Delivery:
    return Delivery(Leased(a_run(id=task.run_id), leased(task, owner=owner), None))


def task_id(delivery: Delivery | None) -> str | None:
    return None if delivery is None else delivery.leased.task.id


@dataclass
class Counts:
    """The observer of matching."""

    handed: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)

    def handed_off(self, kind: str) -> None:
        self.handed.append(kind)

    def claimed(self, kind: str) -> None:
        self.claims.append(kind)

    def round_finished(self, candidates: int) -> None:
        self.rounds.append(candidates)


class Stage:
    """``tasks``: what the database has ready. A claim takes a task out of it."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.now = NOON
        self.queries: list[list[QueueKey]] = []
        self.limits: list[int] = []
        self.tried: list[str] = []
        self.claimed: list[tuple[str, str]] = []
        self.query_errors: list[Exception] = []
        self.claim_errors: dict[str, Exception] = {}
        self.lost: set[str] = set()
        self.may_query = asyncio.Event()
        self.may_claim = asyncio.Event()
        self.may_query.set()
        self.may_claim.set()
        self.spawned: set[asyncio.Task[None]] = set()
        self.failed: list[BaseException] = []
        self.counts = Counts()
        self.matcher = Matcher(
            self, now=lambda: self.now, spawn=self._spawn, observer=self.counts
        )
        self.matcher.bind(self._claim)

    # the store
    async def ready_tasks(
        self,
        keys: list[QueueKey],
        *,
        now: int,
        limit: int,
        wanted: Mapping[QueueKey, Definitions] | None,
    ) -> list[ReadyTask]:
        self.queries.append(list(keys))
        self.limits.append(limit)
        await self.may_query.wait()
        if self.query_errors:
            raise self.query_errors.pop()
        return [
            ReadyTask(
                key,
                task.id,
                task.run_id,
                task.type_name,
                task.compatibility,
                task.available_at,
                task.definition_fingerprint,
            )
            for key in keys
            for task in [
                task
                for task in self.tasks
                if task.queue == key.queue
                and task.available_at <= now
                and is_listed(task, (wanted or {}).get(key))
            ][:limit]
        ]

    # the claims
    async def _claim(self, candidate: ReadyTask, poller: Poller) -> Delivery | None:
        self.tried.append(candidate.task_id)
        await self.may_claim.wait()
        if (error := self.claim_errors.pop(candidate.task_id, None)) is not None:
            raise error
        found = next((t for t in self.tasks if t.id == candidate.task_id), None)
        if found is None or candidate.task_id in self.lost:
            return None
        self.tasks.remove(found)
        self.claimed.append((found.id, poller.worker_id))
        return delivery_of(found, poller.worker_id)

    def _spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> object:
        task = asyncio.create_task(coroutine, name=name)
        self.spawned.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.spawned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(error)

    # what tests do
    def wait(
        self, poller: Poller, *, seconds: float = LONG
    ) -> asyncio.Task[Delivery | None]:
        return asyncio.create_task(self.matcher.wait(poller, seconds=seconds))

    def spawn_idle(self, seconds: float) -> asyncio.Task[None]:
        return asyncio.create_task(self.matcher.idle(seconds=seconds))

    async def waiting(
        self, *pollers: Poller, seconds: float = LONG
    ) -> list[asyncio.Task[Delivery | None]]:
        """Polls that have begun to wait, in this order, and found nothing so far."""
        polls = [self.wait(poller, seconds=seconds) for poller in pollers]
        await eventually(lambda: all(map(self.is_waiting, pollers)))
        await self.at_rest()
        return polls

    def is_waiting(self, poller: Poller) -> bool:
        return self.matcher.pollers.is_waiting(poller)

    async def at_rest(self) -> None:
        await eventually(lambda: not self.spawned, what="end of the rounds")

    def commit(self, task: Task) -> Callable[[], None] | None:
        """A transition creates the task: what to do once it is durable, or None when
        nobody was there to take it and matching has been told."""
        poller = self.matcher.reserve(task)
        if poller is None:
            self.tasks.append(task)
            self.matcher.became_ready(task)
            return None
        return lambda: self.matcher.deliver(poller, delivery_of(task, poller.worker_id))
