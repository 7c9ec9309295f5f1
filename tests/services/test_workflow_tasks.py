"""Leased workflow tasks: whose they are, renewals, failures, continued runs (§6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.lifecycle.task_failure import TaskFailed
from dwserver.engine.model import RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import RunStatus, TaskKind
from dwserver.matching.pollers import Delivery
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.deliveries import HistoryRequest
from dwserver.services.workflow_tasks import Renewed, TaskRef
from tests.support.builders import SECOND
from tests.support.small_server import (
    ARGUMENTS,
    CHARGE,
    SmallServer,
    ref_of,
    small_server,
)

LEASE = 60 * SECOND


@pytest.fixture
async def other(server: SmallServer) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    store, clock = server.faults.real, server.clock
    async with small_server(store, clock=clock, first_id=10**9) as other:
        yield other


async def every_verb(server: SmallServer, ref: TaskRef) -> list[object]:
    """What each operation on a leased task answers."""
    tasks = server.services.workflow_tasks
    wanted = HistoryRequest(500)
    return [
        await tasks.history(ref, after=0, framing=Framing.WRAPPER, wanted=wanted),
        await tasks.heartbeat(ref),
        await tasks.complete(ref, [CHARGE]),
        await tasks.fail(ref, message="a bug", is_waiting=False),
    ]


def reasons(answers: list[object]) -> set[str]:
    assert all(isinstance(answer, Rejection) for answer in answers), answers
    return {answer.reason for answer in answers if isinstance(answer, Rejection)}


async def leased(server: SmallServer) -> Delivery:
    await server.start()
    return await server.leased()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"task_id": "nobody"}, "task_not_found"),
        ({"namespace": "other"}, "task_not_found"),
        ({"owner": "worker-9"}, "lease_owner_mismatch"),
        ({"attempt": 2}, "workflow_task_attempt_mismatch"),
        # The owner is looked at first.
        ({"owner": "worker-9", "attempt": 2}, "lease_owner_mismatch"),
    ],
)
async def test_whose_lease_it_is(
    server: SmallServer, other: SmallServer, fields: dict[str, Any], reason: str
) -> None:
    delivery = await leased(server)
    before = await server.state(delivery.leased.run.id)
    ref = replace(ref_of(delivery), **fields)
    for each in (server, other):
        assert reasons(await every_verb(each, ref)) == {reason}
    assert await server.state(before.run.id) == before
    await server.complete(delivery, [CHARGE])


async def test_an_activity_task_is_no_workflow_task(server: SmallServer) -> None:
    activity = await server.with_activity()
    assert activity.leased.task.kind is TaskKind.ACTIVITY
    answers = await every_verb(server, ref_of(activity))
    assert reasons(answers) == {"task_not_found"}


async def test_a_lease_that_is_over(server: SmallServer, other: SmallServer) -> None:
    delivery = await leased(server)
    server.clock.advance(microseconds=LEASE)
    for each in (server, other):
        assert reasons(await every_verb(each, ref_of(delivery))) == {"lease_expired"}


async def test_a_completed_task(server: SmallServer, other: SmallServer) -> None:
    delivery = await leased(server)
    await server.complete(delivery, [CHARGE])
    for each in (server, other):
        assert reasons(await every_verb(each, ref_of(delivery))) == {"task_not_leased"}


async def test_a_task_of_a_closed_run(server: SmallServer, other: SmallServer) -> None:
    delivery = await leased(server)
    await server.complete(delivery, [CompleteWorkflow()])
    for each in (server, other):
        answers = await every_verb(each, ref_of(delivery))
        assert reasons(answers) == {"run_closed"}
        [first, *_] = answers
        assert isinstance(first, Rejection)
        assert first.fields["stop_reason"] == "run_completed"


async def test_a_heartbeat_renews_without_touching_the_run(
    server: SmallServer, other: SmallServer
) -> None:
    delivery = await leased(server)
    before = (await server.state(delivery.leased.run.id)).run
    server.clock.advance(seconds=50)
    renewed = await server.services.workflow_tasks.heartbeat(ref_of(delivery))
    assert isinstance(renewed, Renewed)
    assert renewed.lease_expires_at == server.clock.now() + LEASE
    state = await server.state(before.id)
    assert state.run == before
    [task] = state.tasks.values()
    assert task.lease_expires_at == renewed.lease_expires_at
    server.clock.advance(seconds=50)
    for each in (server, other):
        await each.core.leases.requeue_expired()
    await server.complete(delivery, [CHARGE])


async def test_a_lease_lost_between_look_and_renewal(
    server: SmallServer, other: SmallServer
) -> None:
    delivery = await leased(server)

    async def completed() -> None:
        await other.complete(delivery, [CHARGE])

    server.faults.before_next("renew_leases", completed)
    answer = await server.services.workflow_tasks.heartbeat(ref_of(delivery))
    assert isinstance(answer, Rejection)
    assert answer.reason == "task_not_leased"


async def test_a_completion_that_another_process_made_already(
    server: SmallServer, other: SmallServer
) -> None:
    delivery = await leased(server)
    await other.complete(delivery, [CHARGE])
    answer = await server.services.workflow_tasks.complete(ref_of(delivery), [CHARGE])
    assert isinstance(answer, Rejection)
    assert answer.reason == "task_not_leased"
    assert len((await server.state(delivery.leased.run.id)).activities) == 1


@pytest.mark.parametrize("is_waiting", [False, True])
async def test_a_failed_task_leaves_no_event(
    server: SmallServer, is_waiting: bool
) -> None:
    delivery = await leased(server)
    run_id = delivery.leased.run.id
    before = await server.event_types(run_id)
    failed = await server.services.workflow_tasks.fail(
        ref_of(delivery), message="a bug", is_waiting=is_waiting
    )
    assert isinstance(failed, TaskFailed)
    assert await server.event_types(run_id) == before


async def test_a_continued_run_takes_over_the_input(
    server: SmallServer, other: SmallServer
) -> None:
    memo = {"note": "first"}
    started = await server.start(
        input=RunInput(arguments=ARGUMENTS, memo=memo, business_key="order-7")
    )
    delivery = await server.leased()
    completed = await other.complete(delivery, [ContinueAsNew()])
    assert completed.run_status is RunStatus.COMPLETED
    first, second = await server.services.workflows.runs("default", "order-1")
    assert first.run.id == started.run.id
    assert (second.run.run_number, second.run.status) == (2, RunStatus.PENDING)
    assert (second.input.memo, second.input.business_key) == (memo, "order-7")
    assert second.current_run_id == first.current_run_id == second.run.id
    following = await other.poll()
    assert following is not None
    assert following.leased.run.id == second.run.id
    assert following.leased.task.id in completed.created_task_ids
