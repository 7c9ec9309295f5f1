"""Starting, finding and watching workflows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.start import DuplicatePolicy, Started
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_waits import waiting_for
from dwserver.engine.words import RunStatus
from dwserver.services.runs import RunContended
from dwserver.store.api import RunFilter, Store, StoreError
from tests.support.small_server import (
    CHARGE,
    LONG,
    ONE_MINUTE,
    SmallServer,
    a_start_request,
    small_server,
)
from tests.support.waiting import eventually

USE_EXISTING = DuplicatePolicy.USE_EXISTING


@pytest.fixture
async def other(sqlite_store: Store) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    async with small_server(sqlite_store, first_id=10**9) as server:
        yield server


# start -------------------------------------------------------------------------------


async def test_a_new_workflow(server: SmallServer) -> None:
    started = await server.start()
    assert started.outcome == "started_new"
    assert started.run.status is RunStatus.PENDING
    state = await server.state(started.run.id)
    assert state.run == started.run
    assert len(state.tasks) == 1
    assert await server.event_types(started.run.id) == [
        "StartAccepted",
        "WorkflowStarted",
    ]
    assert server.faults.calls["commit"] == 1


async def test_an_id_is_used_once(server: SmallServer, other: SmallServer) -> None:
    first = await other.start()
    again = await server.start()
    assert again.outcome == "rejected_duplicate"
    assert again.rejection_reason == "instance_already_started"
    assert again.run.id == first.run.id
    assert await server.event_types(first.run.id) == [
        "StartAccepted",
        "WorkflowStarted",
        "StartRejected",
    ]
    assert len((await server.state(first.run.id)).tasks) == 1


async def test_a_caller_may_accept_the_active_run(server: SmallServer) -> None:
    first = await server.start()
    again = await server.start(duplicate_policy=USE_EXISTING)
    assert (again.outcome, again.rejection_reason) == ("returned_existing_active", None)
    assert again.run.id == first.run.id


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_the_id_of_a_closed_run_stays_used(
    server: SmallServer, policy: DuplicatePolicy
) -> None:
    await server.start()
    await server.complete(await server.leased(), [CompleteWorkflow()])
    again = await server.start(duplicate_policy=policy)
    assert again.outcome == "rejected_duplicate"


async def test_an_id_belongs_to_one_type(server: SmallServer) -> None:
    first = await server.start()
    refused = await server.services.workflows.start(
        a_start_request(workflow_type="orders.Other", duplicate_policy=USE_EXISTING)
    )
    assert isinstance(refused, Rejection)
    assert refused.reason == "validation_failed"
    assert list(refused.fields["validation_errors"]) == ["workflow_type"]
    assert len(await server.event_types(first.run.id)) == 2


async def test_starts_of_one_id_at_once_make_one_run(
    server: SmallServer, other: SmallServer
) -> None:
    found = await asyncio.gather(
        *(
            each.start(duplicate_policy=USE_EXISTING)
            for each in (server, other, server, other)
        )
    )
    assert len({started.run.id for started in found}) == 1
    assert sorted(started.outcome for started in found) == [
        *["returned_existing_active"] * 3,
        "started_new",
    ]
    assert len(await server.services.workflows.runs("default", "order-1")) == 1


async def test_an_id_that_is_neither_free_nor_taken_is_contended(
    server: SmallServer,
) -> None:
    """The instance goes away again and again between the write and the look."""
    server.faults.refuse_next_commits(100)
    with pytest.raises(RunContended):
        await server.services.workflows.start(a_start_request())


async def test_a_repeated_start_after_an_unknown_outcome(server: SmallServer) -> None:
    server.faults.lose_next_commit_answer()
    with pytest.raises(StoreError):
        await server.start()
    again = await server.start(duplicate_policy=USE_EXISTING)
    assert again.outcome == "returned_existing_active"


# find --------------------------------------------------------------------------------


async def test_describe_the_current_or_a_named_run(server: SmallServer) -> None:
    run = (await server.start()).run
    describe = server.services.workflows.describe
    for run_id in (None, run.id):
        detail = await describe("default", "order-1", run_id)
        assert detail is not None
        assert detail.view.run == run
        assert detail.state is not None
    assert await describe("default", "nobody") is None
    assert await describe("default", "order-1", "nobody") is None
    assert await describe("other", "order-1", run.id) is None
    other_run = (await server.start("order-2")).run
    assert await describe("default", "order-1", other_run.id) is None


async def test_a_closed_run_has_no_open_rows(server: SmallServer) -> None:
    await server.start()
    await server.complete(await server.leased(), [CompleteWorkflow()])
    detail = await server.services.workflows.describe("default", "order-1")
    assert detail is not None
    assert detail.state is None
    assert detail.view.run.status is RunStatus.COMPLETED


async def test_pages_of_runs(server: SmallServer) -> None:
    for number in range(3):
        await server.start(f"order-{number}")
    found, has_more = await server.services.workflows.find_runs(
        RunFilter("default"), after=None, limit=2
    )
    assert (len(found), has_more) == (2, True)
    found, has_more = await server.services.workflows.find_runs(
        RunFilter("default"), after=None, limit=3
    )
    assert (len(found), has_more) == (3, False)


async def test_pages_of_history(server: SmallServer) -> None:
    run = (await server.start()).run
    history = server.services.workflows.history
    page = await history("default", "order-1", run.id, after=0, limit=1)
    assert page is not None
    assert ([event.sequence for event in page.events], page.has_more) == ([1], True)
    page = await history("default", "order-1", run.id, after=1, limit=1)
    assert page is not None
    assert ([event.sequence for event in page.events], page.has_more) == ([2], False)
    assert await history("default", "order-9", run.id, after=0, limit=1) is None


async def test_what_a_run_waits_for(server: SmallServer) -> None:
    run = (await server.start()).run

    async def shown() -> tuple[str, str] | None:
        return waiting_for(await server.state(run.id))

    assert await shown() == ("workflow-task", "Workflow task ready")
    task = await server.leased()
    assert await shown() == ("workflow-task", "Workflow task leased to worker")
    await server.complete(task, [ONE_MINUTE])
    assert await shown() == ("timer", "Waiting for timer")
    await server.start("order-2")
    await server.complete(await server.leased(), [CHARGE, ONE_MINUTE])
    detail = await server.services.workflows.describe("default", "order-2")
    assert detail is not None
    assert detail.state is not None
    assert waiting_for(detail.state) == (
        "activity",
        "Waiting for activity orders.Charge",
    )


# waiting for history -----------------------------------------------------------------


async def watch(
    server: SmallServer, run_id: str, *, after: int, seconds: float = LONG
) -> None:
    await server.services.workflows.wait_for_event(
        run_id, after=after, seconds=seconds, is_connected=lambda: True
    )


async def test_what_happened_already_is_not_waited_for(server: SmallServer) -> None:
    run = (await server.start()).run
    await watch(server, run.id, after=1)


async def test_the_next_event_ends_the_wait(server: SmallServer) -> None:
    started: Started = await server.start()
    async with server.faults.holding("history") as held:
        watching = asyncio.create_task(watch(server, started.run.id, after=2))
        await held.reached()
        # Between the look and the wait.
        await server.start()
    await watching


async def test_an_event_of_another_process_ends_the_wait(
    server: SmallServer, other: SmallServer
) -> None:
    started = await server.start()
    watching = asyncio.create_task(watch(server, started.run.id, after=2))
    await eventually(lambda: server.faults.calls["history"])
    await other.start()
    await watching


async def test_the_wait_ends_in_time(server: SmallServer) -> None:
    run = (await server.start()).run
    await watch(server, run.id, after=2, seconds=0.01)


async def test_a_client_that_has_gone_is_not_waited_for(server: SmallServer) -> None:
    run = (await server.start()).run
    await server.services.workflows.wait_for_event(
        run.id, after=2, seconds=LONG, is_connected=lambda: False
    )
    assert server.faults.calls["history"] == 0


async def test_shutdown_ends_every_wait(server: SmallServer) -> None:
    run = (await server.start()).run
    watching = asyncio.create_task(watch(server, run.id, after=2))
    await eventually(lambda: server.faults.calls["history"])
    server.core.waiters.release_all()
    await watching
    await watch(server, run.id, after=2)
