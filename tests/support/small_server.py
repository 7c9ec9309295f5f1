"""The services of a node on a store: no HTTP, no loops, a clock that stands still.

Two of them on one store behave as two processes on one database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dwserver.config.settings import load_settings
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.lifecycle.activity_outcome import Recorded
from dwserver.engine.lifecycle.start import Start, Started
from dwserver.engine.model import Payload, RunInput, RunState
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import TaskKind
from dwserver.matching.pollers import Delivery
from dwserver.roles.core import Core, build_core
from dwserver.runtime.clock import ManualClock
from dwserver.runtime.ids import IdSource, SequentialIds
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.services.activity_tasks import AttemptRef
from dwserver.services.catalog import Services
from dwserver.services.polls import PollRequest
from dwserver.services.queue_admission import Budget
from dwserver.services.workflow_tasks import TaskRef
from dwserver.store.api import Store
from dwserver.store.rollouts import CohortKey
from tests.support.builders import NOON, SECOND, a_worker
from tests.support.faulty_store import FaultyStore

NAMESPACE = "default"
QUEUE = "orders"
WORKFLOW = "orders.Ship"
ACTIVITY = "orders.Charge"
ARGUMENTS = Payload("avro", "AAAA")
CHARGE = ScheduleActivity(activity_type=ACTIVITY, arguments=ARGUMENTS)
ONE_MINUTE = StartTimer(delay_seconds=60)
LONG = 60.0


def a_start_request(workflow_id: str = "order-1", **fields: Any) -> Start:
    values: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_id": workflow_id,
        "workflow_type": WORKFLOW,
        "task_queue": QUEUE,
        "input": RunInput(arguments=ARGUMENTS),
        "payload_codec": "avro",
        **fields,
    }
    return Start(**values)


def a_poll(kind: TaskKind = TaskKind.WORKFLOW, **fields: Any) -> PollRequest:
    """A poll of the registered worker that looks once."""
    values: dict[str, Any] = {
        "namespace": NAMESPACE,
        "kind": kind,
        "worker_id": "worker-1",
        "task_queue": QUEUE,
        "wait_seconds": 0.0,
        "is_connected": lambda: True,
        **fields,
    }
    return PollRequest(**values)


def ref_of(delivery: Delivery) -> TaskRef:
    """How the holder of a workflow task names it."""
    task = delivery.leased.task
    assert task.lease_owner is not None
    return TaskRef(task.namespace, task.id, task.lease_owner, task.attempt)


def attempt_of(delivery: Delivery) -> AttemptRef:
    """How the holder of an activity task names its attempt."""
    task = delivery.leased.task
    assert task.lease_owner is not None
    assert task.attempt_id is not None
    return AttemptRef(task.namespace, task.id, task.attempt_id, task.lease_owner)


@dataclass(frozen=True, slots=True)
class SmallServer:
    """``faults`` sits between the services and the store."""

    core: Core
    faults: FaultyStore
    clock: ManualClock
    supervisor: Supervisor
    ids: IdSource
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def services(self) -> Services:
        return self.core.services

    async def register(self, worker_id: str = "worker-1", **fields: Any) -> None:
        """A worker for every type."""
        values: dict[str, Any] = {
            "workflow_types": (),
            "activity_types": (),
            "fingerprints": {},
            **fields,
        }
        worker = a_worker(worker_id, **values)
        registered = await self.services.workers.register(worker)
        assert not isinstance(registered, Rejection), registered

    async def drain(self, build_id: str | None, *, queue: str = QUEUE) -> None:
        """Its workers hear of it by their next sign of life."""
        await self.services.rollouts.drain(CohortKey(NAMESPACE, queue, build_id))

    async def resume(self, build_id: str | None, *, queue: str = QUEUE) -> None:
        await self.services.rollouts.resume(CohortKey(NAMESPACE, queue, build_id))

    async def start(self, workflow_id: str = "order-1", **fields: Any) -> Started:
        started = await self.services.workflows.start(
            a_start_request(workflow_id, **fields)
        )
        assert not isinstance(started, Rejection), started
        return started

    async def poll(self, request: PollRequest | None = None) -> Delivery | None:
        answer = await self.services.polls.poll(request or a_poll())
        assert not isinstance(answer, Rejection | Budget), answer
        return answer

    async def leased(self, kind: TaskKind = TaskKind.WORKFLOW) -> Delivery:
        """A task that is there for the registered worker."""
        delivery = await self.poll(a_poll(kind))
        assert delivery is not None, f"no {kind} task"
        return delivery

    async def complete(
        self, delivery: Delivery, commands: Sequence[WorkflowCommand]
    ) -> Completed:
        completed = await self.services.workflow_tasks.complete(
            ref_of(delivery), commands
        )
        assert isinstance(completed, Completed), completed
        return completed

    async def complete_activity(
        self, delivery: Delivery, result: Payload | None = ARGUMENTS
    ) -> Recorded:
        recorded = await self.services.activity_tasks.complete(
            attempt_of(delivery), result
        )
        assert isinstance(recorded, Recorded), recorded
        return recorded

    async def with_activity(self, workflow_id: str = "order-1") -> Delivery:
        """A started workflow whose first activity is leased."""
        await self.start(workflow_id)
        await self.complete(await self.leased(), [CHARGE])
        return await self.leased(TaskKind.ACTIVITY)

    async def state(self, run_id: str) -> RunState:
        """The run as the database has it."""
        state = await self.faults.real.load_run(run_id)
        assert state is not None
        return state

    async def event_types(self, run_id: str) -> list[str]:
        events = await self.faults.real.history(run_id, after=0, upto=None, limit=1000)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        return [str(event.event_type) for event in events]


@asynccontextmanager
async def small_server(
    store: Store,
    *,
    clock: ManualClock | None = None,
    first_id: int = 1,
    environ: Mapping[str, str] | None = None,
    ids: IdSource | None = None,
) -> AsyncIterator[SmallServer]:
    """``store`` is open. Servers on one store need ids far apart. ``environ``: settings
    other than the defaults; ``ids`` instead of numbers."""
    faults = FaultyStore(store)
    clock = clock or ManualClock(NOON)
    supervisor = Supervisor()
    ids, metrics = ids or SequentialIds(first_id), Metrics()
    core = build_core(
        load_settings(
            {"DW_DATABASE_URL": "sqlite:///unused.sqlite", **(environ or {})}
        ),
        store=faults.store,
        clock=clock,
        ids=ids,
        metrics=metrics,
        supervisor=supervisor,
    )
    for service in core.coordination.services:
        supervisor.add(service)
    await supervisor.start()
    try:
        yield SmallServer(core, faults, clock, supervisor, ids, metrics)
    finally:
        core.release_waits()
        await supervisor.stop()


__all__ = [
    "ACTIVITY",
    "ARGUMENTS",
    "CHARGE",
    "LONG",
    "NAMESPACE",
    "ONE_MINUTE",
    "QUEUE",
    "SECOND",
    "WORKFLOW",
    "SmallServer",
    "a_poll",
    "a_start_request",
    "attempt_of",
    "ref_of",
    "small_server",
]
