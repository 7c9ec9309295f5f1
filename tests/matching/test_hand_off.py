"""A task that is created while a suitable poller waits goes to it at once."""

from __future__ import annotations

from tests.matching.stage import LONG, Stage, a_poller, a_workflow_task, task_id
from tests.support.waiting import eventually


async def test_in_the_order_of_arrival(stage: Stage) -> None:
    pollers = [a_poller(f"w{number}") for number in range(3)]
    polls = await stage.waiting(*pollers)
    tasks = [a_workflow_task() for _ in range(3)]
    for task in tasks:
        deliver = stage.commit(task)
        assert deliver is not None
        deliver()
    assert [task_id(await poll) for poll in polls] == [task.id for task in tasks]
    assert stage.counts.handed == ["workflow"] * 3
    assert stage.claimed == []


async def test_nobody_is_answered_before_the_commit(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    deliver = stage.commit(a_workflow_task())
    assert deliver is not None
    assert not poll.done()
    deliver()
    assert await poll is not None


async def test_a_reserved_poller_gets_no_second_task(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    first = stage.commit(a_workflow_task())
    assert first is not None
    assert stage.commit(a_workflow_task()) is None
    first()
    assert await poll is not None


async def test_after_a_conflict_the_poller_is_the_first_again(stage: Stage) -> None:
    first, second = a_poller("w1"), a_poller("w2")
    polls = await stage.waiting(first, second)
    reserved = stage.matcher.reserve(a_workflow_task())
    assert reserved is first
    stage.matcher.put_back(reserved)
    task = a_workflow_task()
    deliver = stage.commit(task)
    assert deliver is not None
    deliver()
    assert task_id(await polls[0]) == task.id
    assert not polls[1].done()


async def test_a_poller_overdue_while_reserved_gets_the_committed_task(
    stage: Stage,
) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller, seconds=0.2)
    task = a_workflow_task()
    deliver = stage.commit(task)
    assert deliver is not None
    await eventually(lambda: poller.is_overdue)
    assert not poll.done()
    deliver()
    assert task_id(await poll) == task.id


async def test_a_poller_overdue_while_reserved_is_empty_after_a_conflict(
    stage: Stage,
) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller, seconds=0.2)
    assert stage.matcher.reserve(a_workflow_task()) is poller
    await eventually(lambda: poller.is_overdue)
    stage.matcher.put_back(poller)
    assert await poll is None


async def test_a_gone_client_leaves_the_task_to_the_next_one(stage: Stage) -> None:
    is_here = [True]
    gone, here = a_poller("w1", is_connected=lambda: is_here[0]), a_poller("w2")
    polls = await stage.waiting(gone, here)
    is_here[0] = False
    deliver = stage.commit(a_workflow_task())
    assert deliver is not None
    deliver()
    assert await polls[0] is None
    assert await polls[1] is not None


async def test_types_and_builds_decide_who_is_reserved(stage: Stage) -> None:
    ships = a_poller("ships", types=frozenset({"orders.Ship"}))
    build = a_poller("build", build_id="b1", types=frozenset({"orders.Bill"}))
    await stage.waiting(ships, build)
    bill = a_workflow_task(type_name="orders.Bill", compatibility="b1")
    ship = a_workflow_task(type_name="orders.Ship")
    other_build = a_workflow_task(type_name="orders.Ship", compatibility="b2")
    assert stage.matcher.reserve(other_build) is None
    assert stage.matcher.reserve(bill) is build
    assert stage.matcher.reserve(ship) is ships


async def test_a_poll_that_is_cancelled_is_out_of_the_queue(stage: Stage) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller)
    poll.cancel()
    await eventually(poll.done)
    assert stage.matcher.reserve(a_workflow_task()) is None


async def test_time_is_up(stage: Stage) -> None:
    assert await stage.wait(a_poller(), seconds=0.0) is None
    assert stage.matcher.pollers.queues() == []


async def test_a_draining_worker_is_held_and_gets_nothing(stage: Stage) -> None:
    stage.commit(a_workflow_task())
    await stage.matcher.idle(seconds=0.0)
    assert stage.claimed == []
    assert len(stage.tasks) == 1


async def test_a_held_poll_is_no_reason_to_query(stage: Stage) -> None:
    poll = stage.spawn_idle(LONG)
    await eventually(stage.matcher.pollers.queues)
    stage.matcher.sweep()
    await stage.at_rest()
    assert stage.queries == []
    stage.matcher.drain()
    await poll
