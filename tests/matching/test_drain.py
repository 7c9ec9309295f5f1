"""Shutdown: every poll is answered, nothing new is leased."""

from __future__ import annotations

from dwserver.store.api import StoreUnavailable
from tests.matching.stage import (
    LONG,
    ORDERS,
    Stage,
    a_poller,
    a_workflow_task,
    task_id,
)
from tests.support.builders import NOON
from tests.support.waiting import eventually


async def test_waiting_polls_are_answered_empty(stage: Stage) -> None:
    polls = await stage.waiting(a_poller("w1"), a_poller("w2"))
    idle = stage.spawn_idle(LONG)
    await eventually(lambda: len(stage.matcher.pollers.queues()) == 2)
    stage.matcher.drain()
    assert [await poll for poll in polls] == [None, None]
    await idle


async def test_later_polls_are_empty_at_once(stage: Stage) -> None:
    stage.commit(a_workflow_task())
    stage.matcher.drain()
    assert await stage.wait(a_poller()) is None
    await stage.matcher.idle(seconds=LONG)
    assert stage.claimed == []


async def test_nobody_is_reserved_any_more(stage: Stage) -> None:
    await stage.waiting(a_poller())
    stage.matcher.drain()
    assert stage.matcher.reserve(a_workflow_task()) is None


async def test_a_reserved_poll_gets_its_task(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    task = a_workflow_task()
    deliver = stage.commit(task)
    assert deliver is not None
    stage.matcher.drain()
    deliver()
    assert task_id(await poll) == task.id


async def test_a_reserved_poll_is_empty_after_a_conflict(stage: Stage) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller)
    assert stage.matcher.reserve(a_workflow_task()) is poller
    stage.matcher.drain()
    stage.matcher.put_back(poller)
    assert await poll is None


async def test_a_poll_in_a_claim_round_is_answered(stage: Stage) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller)
    task = a_workflow_task()
    stage.tasks.append(task)
    stage.claim_errors[task.id] = StoreUnavailable("gone")
    stage.may_claim.clear()
    stage.matcher.heard_of(ORDERS)
    await eventually(lambda: not stage.is_waiting(poller))
    stage.matcher.drain()
    stage.may_claim.set()
    assert await poll is None


async def test_a_poll_that_is_trying_a_known_task_is_answered(stage: Stage) -> None:
    task = a_workflow_task()
    stage.commit(task)
    stage.lost.add(task.id)
    stage.may_claim.clear()
    poll = stage.wait(a_poller())
    await eventually(lambda: stage.tried)
    stage.matcher.drain()
    stage.may_claim.set()
    assert await poll is None


async def test_planned_tasks_wake_nobody(stage: Stage) -> None:
    await stage.waiting(a_poller())
    stage.matcher.became_ready(a_workflow_task(available_at=NOON + 1_000))
    stage.matcher.drain()
    stage.queries.clear()
    stage.matcher.sweep()
    await stage.at_rest()
    assert stage.queries == []
