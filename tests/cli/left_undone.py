"""Databases with work that is long overdue, for the commands that do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.model import RetryPolicy
from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.engine.words import TaskKind
from dwserver.runtime.clock import ManualClock
from dwserver.store.opening import open_store
from tests.support.probes import run_in_thread
from tests.support.small_server import NAMESPACE, SmallServer, small_server

Left = TypeVar("Left")


def leave(url: str, work: Callable[[SmallServer], Awaitable[Left]]) -> Left:
    """Do ``work`` on a node of years ago, which is gone afterwards."""

    async def then() -> Left:
        store = open_store(url)
        await store.open()
        try:
            async with small_server(store, clock=ManualClock()) as node:
                await node.register()
                return await work(node)
        finally:
            await store.close()

    left: Left = run_in_thread(then())
    return left


async def closed_run(node: SmallServer, workflow_id: str = "order-1") -> str:
    """Id of a run that closed long ago."""
    started = await node.start(workflow_id)
    await node.complete(await node.leased(), [CompleteWorkflow()])
    return started.run.id


async def overdue_activity(node: SmallServer) -> str:
    """Id of an activity that should have ended long ago."""
    await node.start("order-1")
    policy = RetryPolicy(start_to_close_timeout=10)
    command = ScheduleActivity(activity_type="orders.Charge", retry_policy=policy)
    await node.complete(await node.leased(), [command])
    delivery = await node.leased(TaskKind.ACTIVITY)
    assert delivery.leased.task.activity_id is not None
    return delivery.leased.task.activity_id


async def due_schedules(node: SmallServer, *names: str) -> None:
    """Schedules that nobody has fired."""
    for name in names:
        new = NewSchedule(
            namespace=NAMESPACE,
            schedule_id=name,
            spec={"intervals": [{"every": "PT1H"}]},
            action={"workflow_type": "orders.Ship"},
        )
        await node.services.schedules.create(new, Commands({}, {}))


async def broken_schedule(node: SmallServer) -> None:
    """A due schedule whose action cannot be started."""
    new = NewSchedule(
        namespace=NAMESPACE,
        schedule_id="broken",
        spec={"intervals": [{"every": "PT1H"}]},
        action={"workflow_type": "t", "input": {"codec": "zip", "blob": "x"}},
    )
    await node.services.schedules.create(new, Commands({}, {}))


__all__ = [
    "broken_schedule",
    "closed_run",
    "due_schedules",
    "leave",
    "overdue_activity",
]
