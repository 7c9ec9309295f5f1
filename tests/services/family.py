"""Parents and children on the services of a node, for tests on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from dwserver.engine.closing import close_run
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import CompleteWorkflow, FailWorkflow
from dwserver.engine.draft import Draft
from dwserver.engine.words import ClosedReason, RunStatus, TaskKind, TaskStatus
from dwserver.matching.pollers import Delivery
from dwserver.store.api import Store
from dwserver.store.opening import open_store
from tests.support.small_server import ARGUMENTS, SmallServer, small_server

KID = StartChildWorkflow(workflow_type="kid", arguments=ARGUMENTS)
DONE = CompleteWorkflow(result=ARGUMENTS)
BROKEN = FailWorkflow(message="no", exception_type="Broken")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store on a fresh database of each engine."""
    store = open_store(store_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def server(store: Store) -> AsyncIterator[SmallServer]:
    async with small_server(store) as server:
        await server.register()
        yield server


@pytest.fixture
async def two_nodes(
    postgres_url: str,
) -> AsyncIterator[tuple[SmallServer, SmallServer]]:
    """Two processes on one database, each with its own connections."""
    stores = [open_store(postgres_url) for _ in range(2)]
    for store in stores:
        await store.open()
    async with (
        small_server(stores[0]) as one,
        small_server(stores[1], first_id=10**9) as two,
    ):
        await one.register()
        yield one, two
    for store in stores:
        await store.close()


async def with_children(
    server: SmallServer, count: int, command: StartChildWorkflow = KID
) -> tuple[str, list[Delivery]]:
    """The run of a parent, and the first tasks of its children, leased."""
    started = await server.start("parent")
    await server.complete(await server.leased(), [command] * count)
    return started.run.id, [await server.leased() for _ in range(count)]


async def finish(
    server: SmallServer, child: Delivery, *commands: WorkflowCommand
) -> None:
    await server.complete(child, commands or [DONE])


def terminate(draft: Draft) -> None:
    """A decision that ends the run at once."""
    close_run(draft, RunStatus.TERMINATED, ClosedReason.TERMINATED)


async def resolutions(server: SmallServer, run_id: str) -> Counter[str]:
    """How often each kind of news of children stands in a history."""
    types = await server.event_types(run_id)
    return Counter(name for name in types if name.startswith("ChildRun"))


async def assert_resolved_once(server: SmallServer, run_id: str, count: int) -> None:
    """Every child has one outcome, and the parent is woken once."""
    assert await resolutions(server, run_id) == {
        "ChildRunStarted": count,
        "ChildRunCompleted": count,
    }
    await assert_woken_once(server, run_id)


async def assert_woken_once(server: SmallServer, run_id: str) -> None:
    """One ready workflow task of the parent, and no open child."""
    state = await server.state(run_id)
    tasks = [t for t in state.tasks.values() if t.kind is TaskKind.WORKFLOW]
    assert [task.status for task in tasks] == [TaskStatus.READY]
    assert not any(child.is_open for child in state.children.values())


async def delivered(server: SmallServer) -> None:
    """The process has nothing more to carry out for parents that it closed."""
    while tasks := [
        task for task in server.supervisor._tasks if task.get_name() == "parent-close"
    ]:
        await asyncio.wait(tasks)
