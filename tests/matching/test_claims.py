"""Claim rounds and the known backlog: tasks that nobody waited for."""

from __future__ import annotations

import pytest

from dwserver.engine.words import TaskKind
from dwserver.matching import matcher as matching
from dwserver.store.api import QueueKey, StoreUnavailable
from tests.matching.stage import (
    ORDERS,
    Stage,
    a_poller,
    a_workflow_task,
    task_id,
)
from tests.support.builders import NOON
from tests.support.waiting import eventually

BILLS = QueueKey("default", "bills", TaskKind.WORKFLOW)


# rounds ------------------------------------------------------------------------------


async def test_the_first_poll_of_a_queue_looks_for_older_tasks(stage: Stage) -> None:
    old = a_workflow_task()
    stage.tasks.append(old)
    assert task_id(await stage.wait(a_poller())) == old.id
    assert stage.counts.claims == ["workflow"]


async def test_a_poll_that_does_not_wait_looks_all_the_same(stage: Stage) -> None:
    old = a_workflow_task()
    stage.tasks.append(old)
    stage.may_query.clear()
    poll = stage.wait(a_poller(), seconds=0.0)
    await eventually(lambda: stage.queries)
    stage.may_query.set()
    assert task_id(await poll) == old.id


async def test_an_empty_look_ends_a_poll_that_does_not_wait(stage: Stage) -> None:
    stage.may_query.clear()
    poll = stage.wait(a_poller(), seconds=0.0)
    await eventually(lambda: stage.queries)
    stage.may_query.set()
    assert await poll is None


async def test_a_failed_look_ends_a_poll_that_does_not_wait(stage: Stage) -> None:
    stage.query_errors = [StoreUnavailable("gone")]
    assert await stage.wait(a_poller(), seconds=0.0) is None


async def test_an_idle_poller_costs_no_query(stage: Stage) -> None:
    await stage.waiting(a_poller("w1"))
    assert len(stage.queries) == 1
    await stage.waiting(a_poller("w2"), a_poller("w3"))
    assert len(stage.queries) == 1


async def test_one_statement_for_all_queues(stage: Stage) -> None:
    await stage.waiting(a_poller("w1"), a_poller("w2", key=BILLS))
    stage.queries.clear()
    stage.matcher.sweep()
    await stage.at_rest()
    assert [sorted(keys, key=str) for keys in stage.queries] == [
        sorted((ORDERS, BILLS), key=str)
    ]


async def test_news_of_one_queue_do_not_query_the_others(stage: Stage) -> None:
    polls = await stage.waiting(a_poller("w1"), a_poller("w2", key=BILLS))
    stage.queries.clear()
    stage.tasks.append(a_workflow_task(queue="bills"))
    stage.matcher.heard_of(BILLS)
    assert await polls[1] is not None
    await stage.at_rest()
    assert ORDERS not in [key for keys in stage.queries for key in keys]
    assert not polls[0].done()


async def test_news_of_a_queue_nobody_waits_for_are_kept(stage: Stage) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller)
    poll.cancel()
    await eventually(lambda: not stage.is_waiting(poller))
    stage.matcher.heard_of(ORDERS)
    await stage.at_rest()
    assert len(stage.queries) == 1
    task = a_workflow_task()
    stage.tasks.append(task)
    assert task_id(await stage.wait(a_poller())) == task.id


async def test_the_sweep_finds_what_no_news_told(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    task = a_workflow_task()
    stage.tasks.append(task)
    stage.matcher.sweep()
    assert task_id(await poll) == task.id


async def test_a_round_serves_all_waiting_pollers_in_order(stage: Stage) -> None:
    pollers = [a_poller(f"w{number}") for number in range(12)]
    polls = await stage.waiting(*pollers)
    tasks = [a_workflow_task() for _ in range(12)]
    stage.tasks += tasks
    stage.matcher.heard_of(ORDERS)
    assert [task_id(await poll) for poll in polls] == [task.id for task in tasks]


async def test_leftovers_wait_for_the_next_poll(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    tasks = [a_workflow_task() for _ in range(3)]
    stage.tasks += tasks
    stage.matcher.heard_of(ORDERS)
    assert task_id(await poll) == tasks[0].id
    for task in tasks[1:]:
        assert task_id(await stage.wait(a_poller())) == task.id


async def test_what_arrives_during_a_round_is_looked_for(stage: Stage) -> None:
    first, second = a_poller("w1"), a_poller("w2")
    polls = await stage.waiting(first, second)
    tasks = [a_workflow_task() for _ in range(2)]
    stage.tasks.append(tasks[0])
    stage.may_claim.clear()
    stage.matcher.heard_of(ORDERS)
    await eventually(lambda: not stage.is_waiting(first))
    stage.tasks.append(tasks[1])
    stage.matcher.heard_of(ORDERS)
    stage.may_claim.set()
    assert [task_id(await poll) for poll in polls] == [task.id for task in tasks]


async def test_the_number_of_candidates_is_bounded(stage: Stage) -> None:
    await stage.waiting(*(a_poller(f"w{number}") for number in range(120)))
    stage.matcher.sweep()
    await stage.at_rest()
    assert stage.limits[-1] <= matching.MAX_CANDIDATES


async def test_a_candidate_lost_to_another_process_costs_the_place(
    stage: Stage,
) -> None:
    poller = a_poller()
    [poll] = await stage.waiting(poller)
    lost, next_one = a_workflow_task(), a_workflow_task()
    stage.tasks += [lost]
    stage.lost.add(lost.id)
    stage.matcher.heard_of(ORDERS)
    await eventually(lambda: len(stage.queries) > 1)
    stage.tasks[:] = [next_one]
    assert task_id(await poll) == next_one.id


# failures ----------------------------------------------------------------------------


async def test_a_query_that_fails_is_made_up_for_by_the_sweep(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    task = a_workflow_task()
    stage.tasks.append(task)
    stage.query_errors = [StoreUnavailable("gone")]
    stage.matcher.heard_of(ORDERS)
    await stage.at_rest()
    assert not poll.done()
    stage.matcher.sweep()
    assert task_id(await poll) == task.id


async def test_a_claim_that_fails_loses_neither_task_nor_poller(stage: Stage) -> None:
    first, second = a_poller("w1"), a_poller("w2")
    polls = await stage.waiting(first, second)
    tasks = [a_workflow_task() for _ in range(2)]
    stage.tasks += tasks
    stage.claim_errors[tasks[0].id] = StoreUnavailable("gone")
    stage.matcher.heard_of(ORDERS)
    # The neighbour's claim goes on.
    assert task_id(await polls[1]) == tasks[1].id
    await stage.at_rest()
    assert stage.is_waiting(first)
    assert [type(error) for error in stage.failed] == [StoreUnavailable]
    stage.matcher.sweep()
    assert task_id(await polls[0]) == tasks[0].id


async def test_a_poll_whose_claim_fails_says_so_and_the_task_is_found_later(
    stage: Stage,
) -> None:
    task = a_workflow_task()
    stage.commit(task)
    stage.claim_errors[task.id] = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable):
        await stage.wait(a_poller())
    assert task_id(await stage.wait(a_poller())) == task.id


# the known backlog -------------------------------------------------------------------


async def test_known_tasks_are_served_oldest_first_without_a_query(
    stage: Stage,
) -> None:
    tasks = [a_workflow_task() for _ in range(3)]
    for task in tasks:
        assert stage.commit(task) is None
    found = [task_id(await stage.wait(a_poller())) for _ in range(3)]
    assert found == [task.id for task in tasks]
    assert stage.queries == []


async def test_a_new_task_does_not_overtake_a_known_one(stage: Stage) -> None:
    old = a_workflow_task()
    stage.commit(old)
    poll = stage.wait(a_poller())
    new = a_workflow_task()
    stage.commit(new)
    assert task_id(await poll) == old.id
    assert task_id(await stage.wait(a_poller())) == new.id


async def test_known_tasks_that_are_gone_are_skipped(stage: Stage) -> None:
    gone, here = a_workflow_task(), a_workflow_task()
    stage.commit(gone)
    stage.commit(here)
    stage.tasks.remove(gone)
    assert task_id(await stage.wait(a_poller())) == here.id


async def test_what_the_backlog_cannot_hold_is_found_by_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "MAX_BACKLOG", 1)
    stage = Stage()
    tasks = [a_workflow_task() for _ in range(3)]
    for task in tasks:
        stage.commit(task)
    found = {task_id(await stage.wait(a_poller())) for _ in range(3)}
    assert found == {task.id for task in tasks}


async def test_a_task_whose_only_waiting_pollers_do_not_suit_is_known(
    stage: Stage,
) -> None:
    bills = a_poller("w1", types=frozenset({"orders.Bill"}))
    await stage.waiting(bills)
    ship = a_workflow_task(type_name="orders.Ship")
    stage.commit(ship)
    await stage.at_rest()
    shipper = a_poller("w2", types=frozenset({"orders.Ship"}))
    assert task_id(await stage.wait(shipper, seconds=5)) == ship.id


# later -------------------------------------------------------------------------------


async def test_a_future_task_wakes_its_queue_when_it_is_due(stage: Stage) -> None:
    [poll] = await stage.waiting(a_poller())
    later = a_workflow_task(available_at=NOON + 2_000)
    stage.tasks.append(later)
    stage.matcher.became_ready(later)
    assert not poll.done()
    stage.now = NOON + 2_000
    assert task_id(await poll) == later.id


async def test_a_future_task_is_not_offered_early(stage: Stage) -> None:
    later = a_workflow_task(available_at=NOON + 60_000_000)
    stage.tasks.append(later)
    stage.matcher.became_ready(later)
    assert await stage.wait(a_poller(), seconds=0.0) is None


async def test_forgetting_idle_queues_loses_no_task(stage: Stage) -> None:
    task = a_workflow_task()
    stage.commit(task)
    stage.matcher.forget_idle_queues()
    assert task_id(await stage.wait(a_poller())) == task.id
    assert len(stage.queries) == 1


async def test_queues_with_a_waiting_poller_are_not_forgotten(stage: Stage) -> None:
    await stage.waiting(a_poller())
    stage.matcher.forget_idle_queues()
    await stage.waiting(a_poller("w2"))
    assert len(stage.queries) == 1


async def test_a_task_only_the_database_knows_is_not_overtaken_for_ever(
    stage: Stage,
) -> None:
    arrivals = [a_workflow_task(available_at=NOON) for _ in range(3)]
    for task in arrivals:
        stage.tasks.append(task)
        stage.matcher.became_ready(task)
    old = a_workflow_task(available_at=NOON - 1)
    stage.tasks.insert(0, old)
    stage.matcher.sweep()
    await eventually(lambda: stage.counts.rounds)
    assert task_id(await stage.wait(a_poller())) == old.id
    assert task_id(await stage.wait(a_poller())) == arrivals[0].id


async def test_a_task_of_another_definition_keeps_no_rounds_going(stage: Stage) -> None:
    stage.tasks.append(a_workflow_task(definition_fingerprint="f1"))
    fingerprints = {stage.tasks[0].type_name: "f2"}
    [poll] = await stage.waiting(a_poller(fingerprints=fingerprints))
    assert len(stage.queries) == 1
    stage.matcher.sweep()
    await stage.at_rest()
    assert len(stage.queries) == 2
    assert stage.tried == []
    assert not poll.done()


async def test_a_poll_of_another_definition_than_the_last_look_looks_again(
    stage: Stage,
) -> None:
    task = a_workflow_task(definition_fingerprint="f1")
    types = frozenset({task.type_name})
    stage.tasks.append(task)
    newer = {"fingerprints": {task.type_name: "f2"}, "types": types}
    older = {"fingerprints": {task.type_name: "f1"}, "types": types}
    [first, second] = await stage.waiting(a_poller("n1", **newer), a_poller(**newer))
    # The second one has nothing to look for that the first one has not.
    assert len(stage.queries) == 1
    assert task_id(await stage.wait(a_poller("old", **older))) == task.id
    assert not first.done()
    assert not second.done()
    stage.tasks.append(again := a_workflow_task(definition_fingerprint="f1"))
    assert task_id(await stage.wait(a_poller("silent"))) == again.id
