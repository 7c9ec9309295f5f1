"""What becomes of children when their parent has closed (``engine.md §8``)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.terminal import ContinueAsNew
from dwserver.engine.family import OUTBOX_GRACE
from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.model import RetryPolicy
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    ChildStatus,
    CommandType,
    ParentClosePolicy,
    RunStatus,
)
from dwserver.store.api import StoreUnavailable
from tests.services.family import (
    BROKEN,
    DONE,
    KID,
    delivered,
    finish,
    resolutions,
    server,
    store,
    terminate,
    two_nodes,
    with_children,
)
from tests.support.small_server import (
    NAMESPACE,
    ONE_MINUTE,
    SmallServer,
    small_server,
)

__all__ = ["server", "store", "two_nodes"]

CANCELLED = replace(KID, parent_close_policy=ParentClosePolicy.REQUEST_CANCEL)
TERMINATED = replace(KID, parent_close_policy=ParentClosePolicy.TERMINATE)


async def close_parent(server: SmallServer, run_id: str) -> None:
    await server.core.runs.decide(run_id, terminate)


async def statuses(server: SmallServer, run_id: str) -> list[RunStatus]:
    """Of the current runs of the children, by step."""
    state = await server.state(run_id)
    return [
        (await server.state(child.child_run_id)).run.status
        for child in state.children.values()
    ]


async def left_over(server: SmallServer) -> int:
    """Entries of the outbox."""
    return len(await server.faults.real.due_outbox(now=1 << 62, limit=100))


async def policy_events(server: SmallServer, run_id: str) -> list[str]:
    types = await server.event_types(run_id)
    return [name for name in types if name.startswith("ParentClosePolicy")]


async def test_each_child_by_its_own_policy(server: SmallServer) -> None:
    run_id = (await server.start("parent")).run.id
    await server.complete(await server.leased(), [KID, CANCELLED, TERMINATED])
    await close_parent(server, run_id)
    await delivered(server)
    assert await statuses(server, run_id) == [
        RunStatus.PENDING,
        RunStatus.CANCELLED,
        RunStatus.TERMINATED,
    ]
    state = await server.state(run_id)
    assert [child.status for child in state.children.values()] == [
        ChildStatus.STARTED,
        ChildStatus.CANCELLED,
        ChildStatus.TERMINATED,
    ]
    assert await policy_events(server, run_id) == ["ParentClosePolicyApplied"] * 2
    assert (await resolutions(server, run_id)).keys() == {"ChildRunStarted"}
    assert await left_over(server) == 0
    events = await server.faults.real.history(
        state.children[2].child_run_id, after=1, upto=None, limit=9
    )
    assert [event.event_type for event in events] == [
        "CancelRequested",
        "WorkflowCancelled",
    ]
    reason = (
        b"Parent workflow closed (terminated); parent-close policy: request_cancel."
    )
    assert all(reason in event.payload for event in events)


@pytest.mark.parametrize("end", [DONE, BROKEN])
async def test_a_workflow_that_ends_itself(server: SmallServer, end: object) -> None:
    run_id = (await server.start("parent")).run.id
    await server.complete(await server.leased(), [TERMINATED, end])  # type: ignore[list-item]
    await delivered(server)
    assert await statuses(server, run_id) == [RunStatus.TERMINATED]
    assert await left_over(server) == 0


async def test_abandoned_children_leave_no_work(server: SmallServer) -> None:
    run_id, _ = await with_children(server, 2)
    await close_parent(server, run_id)
    assert await left_over(server) == 0


async def test_a_child_with_a_task_out_tells_its_worker(server: SmallServer) -> None:
    run_id, [child] = await with_children(server, 1, TERMINATED)
    await close_parent(server, run_id)
    await delivered(server)
    with pytest.raises(AssertionError, match="run_closed"):
        await finish(server, child)


async def test_many_children_share_commits(server: SmallServer) -> None:
    run_id = (await server.start("parent")).run.id
    await server.complete(await server.leased(), [TERMINATED] * 300)
    server.faults.calls.clear()
    await close_parent(server, run_id)
    await delivered(server)
    assert server.faults.calls["commit"] < 20
    assert set(await statuses(server, run_id)) <= {RunStatus.TERMINATED}
    assert await policy_events(server, run_id) == ["ParentClosePolicyApplied"] * 300


async def test_grandchildren(server: SmallServer) -> None:
    """Each closed child leaves word for its own children."""
    top, [middle] = await with_children(server, 1, TERMINATED)
    await server.complete(middle, [CANCELLED, KID])
    await close_parent(server, top)
    await delivered(server)
    run_id = middle.leased.run.id
    assert (await server.state(run_id)).run.status is RunStatus.TERMINATED
    assert await statuses(server, run_id) == [RunStatus.CANCELLED, RunStatus.PENDING]
    assert await policy_events(server, run_id) == ["ParentClosePolicyApplied"]
    assert await left_over(server) == 0


# crashes and repetition --------------------------------------------------------------


async def test_another_process_finishes_what_a_crashed_one_left(
    server: SmallServer,
) -> None:
    run_id, _ = await with_children(server, 3, TERMINATED)
    server.faults.fail_next("open_children", StoreUnavailable("gone"))
    await close_parent(server, run_id)
    await delivered(server)
    assert await statuses(server, run_id) == [RunStatus.PENDING] * 3
    assert await left_over(server) == 1
    async with small_server(server.faults.real, first_id=10**9) as other:
        await other.core.close_policies.deliver_due()
        assert await left_over(other) == 1, "the process that closed it comes first"
        other.clock.advance(microseconds=OUTBOX_GRACE)
        await other.core.close_policies.deliver_due()
        assert await statuses(other, run_id) == [RunStatus.TERMINATED] * 3
        assert await left_over(other) == 0


async def test_what_is_left_half_done_is_finished(server: SmallServer) -> None:
    run_id, _ = await with_children(server, 3, TERMINATED)
    await close_parent(server, run_id)
    server.faults.fail_next("commit", StoreUnavailable("gone"))
    await delivered(server)
    assert await left_over(server) == 1
    server.clock.advance(microseconds=OUTBOX_GRACE)
    await server.core.close_policies.deliver_due()
    assert await statuses(server, run_id) == [RunStatus.TERMINATED] * 3
    assert await policy_events(server, run_id) == ["ParentClosePolicyApplied"] * 3


async def test_two_processes_deliver_at_once(
    two_nodes: tuple[SmallServer, SmallServer],
) -> None:
    one, two = two_nodes
    run_id, _ = await with_children(one, 30, TERMINATED)
    two.clock.advance(microseconds=OUTBOX_GRACE)
    await close_parent(one, run_id)
    await asyncio.gather(
        delivered(one), *(two.core.close_policies.deliver_due() for _ in range(3))
    )
    await delivered(two)
    assert await left_over(one) == 0
    assert await policy_events(one, run_id) == ["ParentClosePolicyApplied"] * 30
    state = await one.state(run_id)
    for child in state.children.values():
        types = await one.event_types(child.child_run_id)
        assert types[1:] == ["TerminateRequested", "WorkflowTerminated"]


async def test_a_child_that_closes_by_itself_meanwhile(server: SmallServer) -> None:
    run_id, [child] = await with_children(server, 1, TERMINATED)
    server.faults.after_next("open_children", lambda: finish(server, child))
    await close_parent(server, run_id)
    await delivered(server)
    assert await statuses(server, run_id) == [RunStatus.COMPLETED]
    assert await policy_events(server, run_id) == []
    assert await left_over(server) == 0


async def test_a_child_that_continues_meanwhile(server: SmallServer) -> None:
    run_id, [child] = await with_children(server, 1, TERMINATED)
    server.faults.after_next(
        "open_children", lambda: finish(server, child, ContinueAsNew())
    )
    await close_parent(server, run_id)
    await delivered(server)
    assert await statuses(server, run_id) == [RunStatus.TERMINATED]
    assert await policy_events(server, run_id) == ["ParentClosePolicyApplied"]
    assert await left_over(server) == 0


async def test_a_child_that_does_not_exist(server: SmallServer) -> None:
    run_id, [child] = await with_children(server, 1, TERMINATED)
    server.core.runs.hot.drop(child.leased.run.id)
    await close_parent(server, run_id)
    server.faults.answer_next("load_run", None)
    await delivered(server)
    assert await policy_events(server, run_id) == ["ParentClosePolicyFailed"]
    assert await left_over(server) == 0
    assert (await server.state(run_id)).children[1].status is ChildStatus.ABANDONED


# chains of runs ----------------------------------------------------------------------


async def test_children_of_a_run_that_was_continued(server: SmallServer) -> None:
    first = (await server.start("parent")).run.id
    await server.complete(await server.leased(), [TERMINATED, ContinueAsNew()])
    child = await server.leased()
    second = await server.leased()
    if second.leased.run.parent_run_id is not None:
        child, second = second, child
    assert second.leased.run.inherits_children
    await server.complete(second, [CANCELLED, DONE])
    await delivered(server)
    assert await statuses(server, first) == [RunStatus.TERMINATED]
    assert await statuses(server, second.leased.run.id) == [RunStatus.CANCELLED]
    for run_id in (first, second.leased.run.id):
        assert await policy_events(server, run_id) == ["ParentClosePolicyApplied"]


async def test_children_of_the_next_attempt_are_left_alone(
    server: SmallServer,
) -> None:
    """A parent that is a child itself and is run again is a parent anew."""
    policy = RetryPolicy(max_attempts=2)
    again = StartChildWorkflow(workflow_type="middle", retry_policy=policy)
    top, [middle] = await with_children(server, 1, again)
    async with server.faults.holding("open_children") as held:
        await server.complete(middle, [TERMINATED, BROKEN])
        await held.reached()
        tasks = [await server.leased(), await server.leased()]
        [second] = [t for t in tasks if t.leased.run.run_number == 2]
        await server.complete(second, [TERMINATED, ONE_MINUTE])
        held.release()
        await delivered(server)
    assert await statuses(server, middle.leased.run.id) == [RunStatus.TERMINATED]
    assert await statuses(server, second.leased.run.id) == [RunStatus.PENDING]
    assert (await server.state(top)).children[1].attempt_count == 2


async def test_the_answer_to_a_close_comes_after_the_children(
    server: SmallServer,
) -> None:
    run_id = (await server.start("parent")).run.id
    await server.complete(await server.leased(), [CANCELLED, TERMINATED])
    commands = server.core.services.commands
    target = await commands.find_target(NAMESPACE, "parent", None)
    assert not isinstance(target, Rejection)
    request = CloseRequest(namespace=NAMESPACE, command_type=CommandType.TERMINATE)
    await commands.close(target, request)
    assert await statuses(server, run_id) == [
        RunStatus.CANCELLED,
        RunStatus.TERMINATED,
    ]
