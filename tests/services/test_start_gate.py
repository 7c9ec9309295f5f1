"""Starts that no live worker could take are refused, if the server is set to do so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.lifecycle.start import DuplicatePolicy, Started
from dwserver.engine.model.schedules import OverlapPolicy, Schedule
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import TermGuard
from dwserver.services.messages import Message
from dwserver.store.api import Store
from tests.support.builders import NOON, SECOND, a_schedule, a_schedule_creation
from tests.support.small_server import (
    ARGUMENTS,
    SmallServer,
    a_start_request,
    small_server,
)

CLOSED = {
    "DW_V2_FLEET_VALIDATION_MODE": "fail",
    "DW_V2_CURRENT_COMPATIBILITY": "b1",
}
HOUR = 3600 * SECOND


@pytest.fixture
async def gated(any_store: Store) -> AsyncIterator[SmallServer]:
    async with small_server(any_store, environ=CLOSED) as server:
        yield server


async def start(server: SmallServer, **fields: Any) -> Started | Rejection:
    request = a_start_request(**{"compatibility": "b1", **fields})
    return await server.services.workflows.start(request)


async def is_started(server: SmallServer, **fields: Any) -> bool:
    return isinstance(await start(server, **fields), Started)


async def test_the_first_worker_never_comes_too_late(gated: SmallServer) -> None:
    assert await is_started(gated)


async def test_a_start_that_no_live_worker_could_take_is_refused(
    gated: SmallServer,
) -> None:
    await gated.register("old", build_id="b0")
    refused = await start(gated)
    assert isinstance(refused, Rejection)
    assert refused.reason == "compatibility_blocked"
    assert refused.fields["outcome"] == "rejected_compatibility_blocked"
    assert await gated.faults.real.find_instance("default", "order-1") is None


@pytest.mark.parametrize("build_id", ["b1", "*"])
async def test_a_worker_that_supports_the_marker_opens_the_gate_at_once(
    gated: SmallServer, build_id: str
) -> None:
    await gated.register("old", build_id="b0")
    assert not await is_started(gated)
    await gated.register("new", build_id=build_id)
    assert await is_started(gated)


async def test_workers_that_are_silent_or_elsewhere_do_not_count(
    gated: SmallServer,
) -> None:
    await gated.register("silent", build_id="b0", last_heartbeat_at=NOON - HOUR)
    await gated.register("elsewhere", build_id="b0", task_queue="bills")
    assert await is_started(gated)
    assert not await is_started(gated, workflow_id="order-2", task_queue="bills")


async def test_runs_without_a_marker_and_open_gates_let_pass(
    any_store: Store, gated: SmallServer
) -> None:
    await gated.register("old", build_id="b0")
    assert await is_started(gated, compatibility=None)
    async with small_server(any_store, first_id=10**9) as warning:
        assert await is_started(warning, workflow_id="order-2")


async def test_an_id_that_is_used_is_answered_as_ever(gated: SmallServer) -> None:
    assert await is_started(gated)
    await gated.register("old", build_id="b0")
    again = await start(gated, duplicate_policy=DuplicatePolicy.USE_EXISTING)
    assert isinstance(again, Started)
    assert again.outcome == "returned_existing_active"
    duplicate = await start(gated)
    assert isinstance(duplicate, Started)
    assert duplicate.rejection_reason == "instance_already_started"


async def test_a_signal_starts_nothing_either(gated: SmallServer) -> None:
    await gated.register("old", build_id="b0")
    refused = await gated.services.signal_with_start.send(
        a_start_request(compatibility="b1"),
        Message(namespace="default", name="approve", arguments=ARGUMENTS, context={}),
    )
    assert isinstance(refused, Rejection)
    assert refused.reason == "compatibility_blocked"


# drains -----------------------------------------------------------------------------
async def test_a_queue_whose_workers_all_drain_takes_no_starts(
    node: SmallServer, second_node: SmallServer
) -> None:
    await node.drain("b1")
    await node.register("old", build_id="b1", task_queue="bills")
    await node.drain("b1", queue="bills")
    # Those of `orders` are of no build, and its drained one has no workers.
    assert await is_started(node, compatibility=None)
    bills = {"workflow_id": "bill-1", "task_queue": "bills", "compatibility": None}
    assert await is_started(second_node, **bills)
    await node.register("old", build_id="b1", task_queue="bills")
    # Which is known to every process in a few seconds.
    for server in (node, second_node):
        server.clock.advance(seconds=6)
        refused = await start(server, **{**bills, "workflow_id": "bill-2"})
        assert isinstance(refused, Rejection)
        assert refused.fields == {
            "workflow_id": "bill-2",
            "workflow_type": "orders.Ship",
            "outcome": "rejected_task_queue_draining",
            "command_status": "rejected",
            "command_source": "control_plane",
            "rejection_reason": "task_queue_draining",
            "task_queue": "bills",
            "routing_status": "draining",
            "active_worker_count": 0,
            "draining_worker_count": 1,
            "stale_worker_count": 0,
            "draining_build_ids": ["b1"],
            "drain_intent": "draining",
        }
    again = await start(node, **bills)
    assert isinstance(again, Started)
    assert again.rejection_reason == "instance_already_started"
    # A worker of another build, or the end of the drain, opens it at once.
    await second_node.register("new", build_id="b2", task_queue="bills")
    assert await is_started(node, **{**bills, "workflow_id": "bill-3"})


async def test_a_drain_outlives_its_workers_and_keeps_nothing_out(
    node: SmallServer,
) -> None:
    """Whoever comes next takes what waits."""
    await node.drain("b1", queue="bills")
    await node.register("old", build_id="b1", task_queue="bills")
    bills = {"task_queue": "bills", "compatibility": None}
    assert not await is_started(node, **bills)
    await node.services.workers.deregister("default", "old")
    assert await is_started(node, **bills)


async def test_a_signal_starts_nothing_on_a_queue_that_drains(
    node: SmallServer,
) -> None:
    await node.drain("b1", queue="bills")
    await node.register("old", build_id="b1", task_queue="bills")
    refused = await node.services.signal_with_start.send(
        a_start_request(compatibility=None, task_queue="bills"),
        Message(namespace="default", name="approve", arguments=ARGUMENTS, context={}),
    )
    assert isinstance(refused, Rejection)
    assert refused.reason == "task_queue_draining"


# schedules --------------------------------------------------------------------------
async def due(server: SmallServer, **fields: Any) -> tuple[Schedule, TermGuard]:
    """A schedule that is due, and the leader that fires it."""
    schedule = a_schedule(**{"next_fire_at": NOON, **fields})
    assert await server.faults.real.commit(a_schedule_creation(schedule))
    lease = await server.faults.real.acquire_leadership("s", "me", duration=HOUR)
    assert lease is not None
    return schedule, TermGuard("s", lease.term)


async def current(server: SmallServer, schedule: Schedule) -> Schedule:
    found = await server.services.schedules.find("default", schedule.schedule_id)
    assert found is not None
    return found


async def test_a_schedule_skips_the_occurrence(gated: SmallServer) -> None:
    await gated.register("old", build_id="b0")
    schedule, term = await due(gated)
    (fired,) = await gated.services.schedules.fire_due(term, limit=10)
    assert (fired.outcome, fired.reason) == ("skipped", "compatibility_blocked")
    after = await current(gated, schedule)
    assert after.next_fire_at == NOON + HOUR
    assert (after.skipped_trigger_count, after.fires_count) == (1, 0)
    assert await gated.services.schedules.fire_due(term, limit=10) == []


async def test_a_buffered_fire_keeps_its_place_and_is_told_of_once(
    gated: SmallServer,
) -> None:
    await gated.register("old", build_id="b0")
    entry = {"buffered_at": "2026-04-13T11:00:00+00:00"}
    schedule, term = await due(
        gated, overlap_policy=OverlapPolicy.BUFFER_ONE, buffered_actions=(entry,)
    )
    schedules = gated.services.schedules
    # The occurrence that is due as well is skipped on its own account.
    assert len(await schedules.fire_due(term, limit=10)) == 2
    assert await schedules.fire_due(term, limit=10) == []
    after = await current(gated, schedule)
    assert len(after.buffered_actions) == 1
    assert after.skipped_trigger_count == 2
    await gated.register("new", build_id="b1")
    (drained,) = await schedules.fire_due(term, limit=10)
    assert drained.outcome == "drained"
    assert (await current(gated, schedule)).buffered_actions == ()
    assert replace(after, version=0).fires_count == 0


async def test_a_buffer_that_cannot_be_drained_does_not_hold_those_behind_it(
    gated: SmallServer,
) -> None:
    await gated.register("old", build_id="b0")
    await gated.register("new", build_id="b1", task_queue="bills")
    entry = {"buffered_at": "2026-04-13T11:00:00+00:00"}
    _, term = await due(gated, id="d1", next_fire_at=None, buffered_actions=(entry,))
    free = a_schedule(
        id="d2",
        next_fire_at=None,
        buffered_actions=(entry,),
        action={"workflow_type": "orders.Bill", "task_queue": "bills"},
    )
    assert await gated.faults.real.commit(a_schedule_creation(free))
    schedules = gated.services.schedules
    passes = [await schedules.fire_due(term, limit=1) for _ in range(3)]
    outcomes = [(each.schedule.id, each.outcome) for done in passes for each in done]
    assert outcomes == [("d1", "skipped"), ("d2", "drained")]
