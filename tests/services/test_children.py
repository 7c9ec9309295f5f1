"""Children that close together with their parent's news of it (decision 22)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dwserver.engine.commands.markers import UpsertSearchAttributes
from dwserver.engine.commands.terminal import ContinueAsNew
from dwserver.engine.lifecycle.close import CloseRequest, close_on_request
from dwserver.engine.lifecycle.start import DuplicatePolicy
from dwserver.engine.model import RetryPolicy, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import RunTimedOut, time_out_run
from dwserver.engine.words import CommandType, RunStatus, TaskKind
from dwserver.store.api import QueueKey, StoreUnavailable
from tests.services.family import (
    BROKEN,
    DONE,
    KID,
    assert_resolved_once,
    assert_woken_once,
    finish,
    resolutions,
    server,
    store,
    terminate,
    two_nodes,
    with_children,
)
from tests.services.run_room import noting
from tests.support.small_server import (
    ARGUMENTS,
    NAMESPACE,
    QUEUE,
    SmallServer,
    a_start_request,
    ref_of,
    small_server,
)
from tests.support.waiting import eventually

__all__ = ["server", "store", "two_nodes"]

# one node ----------------------------------------------------------------------------


async def test_from_the_command_to_the_result(server: SmallServer) -> None:
    parent, [child] = await with_children(server, 1)
    assert child.leased.run.parent_run_id == parent
    await finish(server, child)
    resumed = await server.leased()
    assert resumed.leased.run.id == parent
    assert resumed.leased.task.resume["workflow_event_type"] == "ChildRunCompleted"
    assert (await server.complete(resumed, [DONE])).run_status is RunStatus.COMPLETED
    assert await server.event_types(child.leased.run.id) == [
        "WorkflowStarted",
        "WorkflowCompleted",
    ]


async def test_a_child_has_the_memo_of_its_parent_and_its_own_arguments(
    server: SmallServer,
) -> None:
    given = RunInput(arguments=None, memo={"m": 1}, search_attributes={"City": "Rome"})
    await server.start("parent", input=given)
    await server.complete(
        await server.leased(),
        [UpsertSearchAttributes(attributes={"City": "Oslo"}), KID],
    )
    run_id = (await server.leased()).leased.run.id
    assert await server.faults.real.run_input(run_id) == RunInput(
        arguments=ARGUMENTS, memo={"m": 1}, search_attributes={"City": "Oslo"}
    )


async def test_siblings_that_close_at_once_share_commits(server: SmallServer) -> None:
    parent, children = await with_children(server, 50)
    server.faults.calls.clear()
    await asyncio.gather(*(finish(server, child) for child in children))
    assert server.faults.calls["commit"] < 10
    await assert_resolved_once(server, parent, 50)
    for child in children:
        assert (await server.state(child.leased.run.id)).run.status.is_terminal


async def test_a_parent_that_changes_meanwhile(server: SmallServer) -> None:
    """Its own decisions share drafts with those for its children."""
    parent, children = await with_children(server, 20)
    again = a_start_request("parent", duplicate_policy=DuplicatePolicy.USE_EXISTING)
    await asyncio.gather(
        *(finish(server, child) for child in children),
        *(server.services.workflows.start(again) for _ in range(5)),
    )
    await assert_resolved_once(server, parent, 20)
    assert (await server.event_types(parent)).count("StartAccepted") == 6


async def test_many_children_of_one_completion(server: SmallServer) -> None:
    await server.start("parent")
    completed = await server.complete(await server.leased(), [KID] * 999)
    assert len(set(completed.created_task_ids)) == 999
    state = await server.state(completed.run_id)
    assert len(state.children) == 999


async def test_a_child_that_fails_is_run_again_and_then_counts(
    server: SmallServer,
) -> None:
    policy = RetryPolicy(max_attempts=2, backoff_seconds=(5,))
    parent, [first] = await with_children(server, 1, replace(KID, retry_policy=policy))
    await finish(server, first, BROKEN)
    state = await server.state(parent)
    assert (state.children[1].attempt_count, state.tasks) == (2, {})
    assert await server.poll() is None
    server.clock.advance(seconds=5)
    server.core.matcher.heard_of(QueueKey(NAMESPACE, QUEUE, TaskKind.WORKFLOW))
    second = await server.leased()
    assert second.leased.run.workflow_id == first.leased.run.workflow_id
    assert second.leased.run.run_number == 2
    again = await server.faults.real.run_input(second.leased.run.id)
    assert again is not None
    assert again.arguments == ARGUMENTS
    await finish(server, second, BROKEN)
    assert await resolutions(server, parent) == {
        "ChildRunStarted": 2,
        "ChildRunFailed": 1,
    }
    await assert_woken_once(server, parent)


async def test_many_children_that_fail_are_run_again(server: SmallServer) -> None:
    policy = RetryPolicy(max_attempts=2)
    parent, children = await with_children(
        server, 20, replace(KID, retry_policy=policy)
    )
    await asyncio.gather(*(finish(server, child, BROKEN) for child in children))
    again = [await server.leased() for _ in children]
    assert {child.leased.run.run_number for child in again} == {2}
    await asyncio.gather(*(finish(server, child) for child in again))
    await assert_woken_once(server, parent)


async def test_a_child_that_continues_is_followed(server: SmallServer) -> None:
    parent, [first] = await with_children(server, 1)
    await finish(server, first, ContinueAsNew())
    state = await server.state(parent)
    assert state.tasks == {}
    second = await server.leased()
    assert state.children[1].child_run_id == second.leased.run.id
    await finish(server, second)
    await assert_woken_once(server, parent)


async def test_a_parent_closes_in_the_lane_that_its_child_waits_for(
    server: SmallServer,
) -> None:
    """Three generations in one transition: the parent's own end goes on top."""
    top = (await server.start("top")).run.id
    await server.complete(await server.leased(), [KID])
    middle = await server.leased()
    await server.complete(middle, [KID])
    low = await server.leased()
    run_id = middle.leased.run.id
    runs, before = server.core.runs, server.faults.calls["commit"]
    async with server.faults.holding("commit") as held:
        first = asyncio.create_task(runs.decide(run_id, noting("first")))
        await held.reached()
        closing = asyncio.create_task(finish(server, low))
        await eventually(lambda: len(runs._lanes[run_id]) == 1, what="the child")
        ending = asyncio.create_task(runs.decide(run_id, terminate))
        held.release()
        await asyncio.gather(first, closing, ending)
    assert server.faults.calls["commit"] == before + 2
    assert (await server.state(run_id)).run.status is RunStatus.TERMINATED
    assert await resolutions(server, top) == {
        "ChildRunStarted": 1,
        "ChildRunTerminated": 1,
    }


async def test_the_parent_is_gone(server: SmallServer) -> None:
    """A child without a parent row just closes."""
    parent, [child] = await with_children(server, 1)
    run_id = child.leased.run.id
    server.core.runs.hot.drop(parent)
    server.faults.answer_next("load_run", None)
    await finish(server, child)
    assert (await server.state(run_id)).run.status is RunStatus.COMPLETED
    assert (await server.state(parent)).children[1].is_open


@pytest.mark.parametrize("command_type", [CommandType.CANCEL, CommandType.TERMINATE])
async def test_an_operator_ends_a_child(
    server: SmallServer, command_type: CommandType
) -> None:
    parent, [child] = await with_children(server, 1)
    request = CloseRequest(namespace=NAMESPACE, command_type=command_type)
    await server.core.runs.decide(
        child.leased.run.id, lambda draft: close_on_request(draft, request)
    )
    [outcome] = set(await resolutions(server, parent)) - {"ChildRunStarted"}
    assert outcome.lower().startswith(f"childrun{command_type}")
    await assert_woken_once(server, parent)


async def test_the_deadline_of_a_child_passes(server: SmallServer) -> None:
    parent, [child] = await with_children(
        server, 1, replace(KID, run_timeout_seconds=60)
    )
    server.clock.advance(seconds=60)
    assert await server.core.runs.decide(child.leased.run.id, time_out_run)
    assert (await resolutions(server, parent))["ChildRunFailed"] == 1
    await assert_woken_once(server, parent)


async def test_a_late_completion_times_the_child_out(server: SmallServer) -> None:
    parent, [child] = await with_children(
        server, 1, replace(KID, run_timeout_seconds=30)
    )
    server.clock.advance(seconds=30)
    reply = await server.services.workflow_tasks.complete(ref_of(child), [DONE])
    assert isinstance(reply, RunTimedOut)
    assert (await resolutions(server, parent))["ChildRunFailed"] == 1
    await assert_woken_once(server, parent)


# conflicts and faults ----------------------------------------------------------------


async def test_after_a_conflict_both_sides_are_decided_again(
    server: SmallServer,
) -> None:
    parent, children = await with_children(server, 10)
    server.faults.refuse_next_commits(3)
    await asyncio.gather(*(finish(server, child) for child in children))
    await assert_resolved_once(server, parent, 10)


async def test_a_stale_parent_is_read_again(server: SmallServer) -> None:
    """Another process has changed the parent; then the child's news comes on top."""
    parent, [one, two] = await with_children(server, 2)
    async with small_server(server.faults.real, first_id=10**9) as other:
        await other.register()
        await other.complete(one, [DONE])
    await finish(server, two)
    await assert_resolved_once(server, parent, 2)


async def test_a_child_that_another_process_closed_is_refused(
    server: SmallServer,
) -> None:
    parent, [child] = await with_children(server, 1)
    async with small_server(server.faults.real, first_id=10**9) as other:
        await other.register()
        await other.complete(child, [DONE])
    reply = await server.services.workflow_tasks.complete(ref_of(child), [DONE])
    assert isinstance(reply, Rejection)
    await assert_resolved_once(server, parent, 1)


async def test_a_database_that_is_gone_leaves_both_sides_as_they_were(
    server: SmallServer,
) -> None:
    parent, children = await with_children(server, 5)
    lanes = server.core.runs._lanes
    async with server.faults.holding("commit") as held:
        asked = [asyncio.create_task(finish(server, child)) for child in children]
        await eventually(lambda: len(lanes.get(parent, ())) == 4, what="the siblings")
        server.faults.fail_next("commit", StoreUnavailable("gone"), times=2)
        held.release()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    assert (await resolutions(server, parent))["ChildRunCompleted"] == 0
    for child in children:
        assert (await server.state(child.leased.run.id)).run.closed_at is None
        await finish(server, child)
    await assert_resolved_once(server, parent, 5)


async def test_a_caller_that_leaves_does_not_disturb_the_siblings(
    server: SmallServer,
) -> None:
    parent, children = await with_children(server, 10)
    async with server.faults.holding("commit") as held:
        tasks = [asyncio.create_task(finish(server, child)) for child in children]
        await held.reached()
        tasks[3].cancel()
        held.release()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[3], asyncio.CancelledError)
    assert answers[:3] + answers[4:] == [None] * 9
    state = await server.state(parent)
    assert sum(child.is_open for child in state.children.values()) <= 1
    if any(child.is_open for child in state.children.values()):
        await finish(server, children[3])
    await assert_resolved_once(server, parent, 10)


# two nodes ---------------------------------------------------------------------------


async def test_children_close_on_two_nodes_at_once(
    two_nodes: tuple[SmallServer, SmallServer],
) -> None:
    one, two = two_nodes
    parent, children = await with_children(one, 50)
    for node in two_nodes:
        node.faults.calls.clear()
    await asyncio.gather(
        *(finish(one, child) for child in children[::2]),
        *(finish(two, child) for child in children[1::2]),
    )
    assert one.faults.calls["commit"] + two.faults.calls["commit"] < 50
    await assert_resolved_once(one, parent, 50)
    for child in children:
        assert await one.event_types(child.leased.run.id) == [
            "WorkflowStarted",
            "WorkflowCompleted",
        ]


async def test_the_same_children_close_on_two_nodes(
    two_nodes: tuple[SmallServer, SmallServer],
) -> None:
    """Each request arrives at both nodes; one of them counts."""
    parent, children = await with_children(two_nodes[0], 20)
    answers = await asyncio.gather(
        *(
            node.services.workflow_tasks.complete(ref_of(child), [DONE])
            for child in children
            for node in two_nodes
        )
    )
    assert sum(isinstance(answer, Rejection) for answer in answers) == 20
    await assert_resolved_once(two_nodes[0], parent, 20)
