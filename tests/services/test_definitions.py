"""Runs stay with the definition of their first worker: hand-off, claims, leases that
end, several processes, on both databases (topology §5.10, R8)."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.matching.pollers import Delivery
from dwserver.store.api import Store
from tests.support.small_server import (
    CHARGE,
    LONG,
    NAMESPACE,
    WORKFLOW,
    SmallServer,
    a_poll,
    small_server,
)
from tests.support.waiting import eventually

F1, F2 = "sha256:f1", "sha256:f2"
OLD, NEW = "old-worker", "new-worker"


async def with_workers(server: SmallServer) -> SmallServer:
    await server.register(OLD, fingerprints={WORKFLOW: F1})
    await server.register(NEW, fingerprints={WORKFLOW: F2})
    return server


@pytest.fixture
async def here(node: SmallServer) -> SmallServer:
    """A node with a worker of each definition, and one that tells nothing."""
    return await with_workers(node)


async def polled(server: SmallServer, worker_id: str) -> Delivery | None:
    return await server.poll(a_poll(worker_id=worker_id))


async def given(server: SmallServer, worker_id: str) -> Delivery:
    delivery = await polled(server, worker_id)
    assert delivery is not None, f"no task for {worker_id}"
    return delivery


async def waiting(server: SmallServer, worker_id: str) -> asyncio.Task[Delivery | None]:
    """A poll that has looked and found nothing."""
    pollers = server.core.matcher.pollers
    count = sum(pollers.counts().values())
    poll = asyncio.create_task(
        server.poll(a_poll(worker_id=worker_id, wait_seconds=LONG))
    )
    await eventually(lambda: sum(pollers.counts().values()) == count + 1)
    return poll


async def charged(server: SmallServer) -> None:
    """The open activity ends, which makes the next workflow task."""
    await server.complete_activity(await server.leased(TaskKind.ACTIVITY))


async def begun(server: SmallServer, worker_id: str = OLD) -> str:
    """A run whose first task was done by the worker, and whose next one is ready."""
    run_id = (await server.start()).run.id
    await server.complete(await given(server, worker_id), [CHARGE])
    await charged(server)
    return run_id


async def recorded(server: SmallServer, run_id: str) -> tuple[str | None, str | None]:
    """Of the run and of its open workflow task, as the database has it."""
    state = await server.state(run_id)
    (task,) = state.tasks.values()
    return state.run.definition_fingerprint, task.definition_fingerprint


async def test_a_claim_records_the_definition(here: SmallServer) -> None:
    run_id = (await here.start()).run.id
    assert await recorded(here, run_id) == (None, None)
    await given(here, OLD)
    assert await recorded(here, run_id) == (F1, F1)


async def test_a_hand_off_records_the_definition(here: SmallServer) -> None:
    poll = await waiting(here, OLD)
    run_id = (await here.start()).run.id
    assert await poll is not None
    assert await recorded(here, run_id) == (F1, F1)


async def test_later_tasks_go_to_no_other_definition(here: SmallServer) -> None:
    run_id = await begun(here)
    assert await polled(here, NEW) is None
    assert await recorded(here, run_id) == (F1, F1)
    delivery = await given(here, OLD)
    await here.complete(delivery, [CompleteWorkflow()])
    # What the refused polls cost: nothing.
    assert delivery.leased.task.repair_count == 0
    assert delivery.leased.task.attempt == 1


async def test_a_later_task_is_handed_past_another_definition(
    here: SmallServer,
) -> None:
    await here.start()
    await here.complete(await given(here, OLD), [CHARGE])
    newer = await waiting(here, NEW)
    older = await waiting(here, OLD)
    await charged(here)
    assert await older is not None
    assert not newer.done()
    here.core.matcher.drain()
    assert await newer is None


async def test_a_worker_that_tells_nothing_gets_every_task(here: SmallServer) -> None:
    run_id = await begun(here)
    await given(here, "worker-1")
    assert await recorded(here, run_id) == (F1, F1)


async def test_a_lease_that_ends_goes_to_no_other_definition(
    here: SmallServer,
) -> None:
    newer = await waiting(here, NEW)
    await here.start()
    assert await newer is not None
    older, newer = await waiting(here, OLD), await waiting(here, NEW)
    here.clock.advance(seconds=61)
    await here.core.leases.requeue_expired()
    delivery = await newer
    assert delivery is not None
    assert delivery.leased.task.attempt == 2
    assert not older.done()
    # The holder's own process gave it back: the same rule.
    await here.services.polls.undeliverable(delivery)
    assert await polled(here, NEW) is not None
    here.core.matcher.drain()
    assert await older is None


async def test_the_next_run_is_for_any_definition(here: SmallServer) -> None:
    await begun(here)
    await here.complete(await given(here, OLD), [CompleteWorkflow()])
    run_id = (await here.start("order-2")).run.id
    await given(here, NEW)
    assert await recorded(here, run_id) == (F2, F2)


async def test_an_answer_that_nobody_got_binds_nobody(here: SmallServer) -> None:
    run_id = (await here.start()).run.id
    await here.services.polls.undeliverable(await given(here, OLD))
    assert await recorded(here, run_id) == (None, None)
    await given(here, NEW)
    assert await recorded(here, run_id) == (F2, F2)


async def test_the_setting_lets_everybody_go_on(any_store: Store) -> None:
    environ = {"DW_V2_PIN_TO_RECORDED_FINGERPRINT": "false"}
    async with small_server(any_store, environ=environ) as server:
        await server.register()
        await with_workers(server)
        run_id = await begun(server)
        await given(server, NEW)
        assert await recorded(server, run_id) == (F1, F1)


async def test_it_is_the_database_that_knows(
    here: SmallServer, second_node: SmallServer
) -> None:
    """Another process, and one with an old copy of the run."""
    run_id = (await here.start()).run.id
    assert here.core.runs.hot.get(run_id) is not None
    delivery = await given(second_node, OLD)
    await second_node.complete(delivery, [CHARGE])
    activity = await second_node.leased(TaskKind.ACTIVITY)
    await second_node.complete_activity(activity)
    for server in (here, second_node):
        assert await polled(server, NEW) is None
    assert await polled(here, OLD) is not None


async def test_two_first_claims_record_one_definition(
    here: SmallServer, second_node: SmallServer
) -> None:
    run_id = (await here.start()).run.id
    one, two = await asyncio.gather(polled(here, OLD), polled(second_node, NEW))
    leased = [each for each in (one, two) if each is not None]
    assert len(leased) == 1
    of_holder = {OLD: F1, NEW: F2}[leased[0].leased.task.lease_owner or ""]
    assert await recorded(here, run_id) == (of_holder, of_holder)
    (task,) = (await here.state(run_id)).tasks.values()
    assert (task.status, task.attempt) == (TaskStatus.LEASED, 1)


async def test_operators_see_which_run_has_nobody_left(here: SmallServer) -> None:
    async def lacks_definition() -> bool:
        found = await here.services.diagnosis.of_run(NAMESPACE, "order-1")
        assert found is not None
        return found.lacks_definition

    await begun(here)
    assert not await lacks_definition()
    for worker_id in (OLD, "worker-1"):
        await here.services.workers.deregister(NAMESPACE, worker_id)
    assert await lacks_definition()
    # Workers of other types do not count, nor does a queue that nobody serves.
    await here.register("bills", workflow_types=("orders.Bill",))
    assert await lacks_definition()
    await here.services.workers.deregister(NAMESPACE, NEW)
    assert not await lacks_definition()
