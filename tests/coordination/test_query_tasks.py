"""Query tasks of one process, in memory and on Redis: who gets them, when they end,
what is bounded. Between processes: ``test_query_tasks_between_processes.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from dwserver.coordination.query_tasks import (
    Answer,
    Failed,
    QueryExchangeUnavailable,
    Unanswered,
)
from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from tests.coordination.stage import (
    CALLER_SECONDS,
    KEEP_SECONDS,
    LEASE_SECONDS,
    YES,
    CountingRedis,
    Stage,
    ref_of,
)
from tests.support.builders import SECOND

NO = Failed("query_rejected", "no")


StageOf = Callable[..., Stage]


@pytest.fixture(params=["memory", "redis"])
async def stage_of(request: pytest.FixtureRequest) -> AsyncIterator[StageOf]:
    """Makes the stage of a test, with other limits than usual."""
    if request.param == "memory":
        yield Stage
        return
    redis = CountingRedis(request.getfixturevalue("redis_url"))
    await redis.execute("FLUSHDB")
    stages: list[Stage] = []

    def make(**limits: Any) -> Stage:
        stages.append(Stage(redis, **limits))
        return stages[-1]

    yield make
    for stage in stages:
        await stage.end()
    await redis.close()


@pytest.fixture
async def stage(stage_of: StageOf) -> Stage:
    return stage_of()


# the way of a question ---------------------------------------------------------------


@pytest.mark.parametrize("answer", [YES, NO])
async def test_an_answer_reaches_the_caller(stage: Stage, answer: Answer) -> None:
    caller = await stage.ask()
    lease = await stage.leased()
    assert lease.task == caller.task
    assert (lease.owner, lease.attempt) == ("worker-1", 1)
    assert lease.expires_at == stage.timers.now() + LEASE_SECONDS * SECOND
    assert await stage.exchange.settle(ref_of(lease), answer) is None
    assert await caller.outcome() == answer
    assert stage.timers.live == 0


async def test_a_waiting_poll_gets_the_question_at_once(stage: Stage) -> None:
    poll = await stage.polling()
    caller = await stage.ask()
    lease = await poll
    assert lease is not None
    assert lease.task == caller.task
    assert await stage.poll() is None
    assert stage.seen.pending_counts in ([], [1, 0])


async def test_the_oldest_question_and_the_oldest_poll_come_first(stage: Stage) -> None:
    callers = [await stage.ask() for _ in range(3)]
    leases = [await stage.leased() for _ in range(3)]
    assert [lease.task for lease in leases] == [caller.task for caller in callers]
    polls = [await stage.polling(f"worker-{number}") for number in range(3)]
    for poll in polls:
        caller = await stage.ask()
        lease = await poll
        assert lease is not None
        assert lease.task == caller.task


async def test_a_poll_ends_empty_when_its_time_is_over(stage: Stage) -> None:
    poll = await stage.polling(seconds=5)
    stage.timers.advance(4.9)
    assert not poll.done()
    stage.timers.advance(0.1)
    assert await poll is None
    await stage.ask()
    assert await stage.poll() is not None


@pytest.mark.parametrize(
    ("task", "poll", "fits"),
    [
        ({}, {"types": frozenset({"orders.Ship"})}, True),
        ({}, {"types": frozenset({"orders.Bill"})}, False),
        ({}, {"build_id": "b1"}, True),
        ({"compatibility": "b1"}, {"build_id": "b1"}, True),
        ({"compatibility": "b1"}, {"build_id": "b2"}, False),
        ({"compatibility": "b1"}, {}, False),
        ({}, {"queue": "bills"}, False),
        ({}, {"namespace": "other"}, False),
    ],
)
async def test_a_question_waits_for_a_worker_that_suits(
    stage: Stage, task: dict[str, Any], poll: dict[str, Any], fits: bool
) -> None:
    await stage.ask(**task)
    assert (await stage.poll(**poll) is not None) is fits
    waiting = await stage.polling("late", **poll)
    await stage.ask(**task)
    stage.timers.advance(30)
    assert (await waiting is not None) is fits


async def test_a_question_that_does_not_suit_holds_no_other_back(stage: Stage) -> None:
    await stage.ask(workflow_type="orders.Bill")
    caller = await stage.ask()
    lease = await stage.leased(types=frozenset({"orders.Ship"}))
    assert lease.task == caller.task


# leases ------------------------------------------------------------------------------


async def test_a_question_comes_back_when_its_lease_expires(stage: Stage) -> None:
    caller = await stage.ask()
    younger = await stage.ask()
    first = await stage.leased()
    stage.timers.advance(LEASE_SECONDS)
    second = await stage.leased("worker-2")
    assert stage.seen.expired == 1
    assert second.task == caller.task, "it goes to the head of the queue"
    assert (second.owner, second.attempt) == ("worker-2", 2)
    assert (await stage.leased()).task == younger.task
    refused = await stage.exchange.settle(ref_of(first), YES)
    assert refused is not None
    assert refused.reason == "lease_owner_mismatch"
    assert await stage.exchange.settle(ref_of(second), NO) is None
    assert await caller.outcome() == NO


async def test_an_expired_lease_goes_to_the_poll_that_waits(stage: Stage) -> None:
    await stage.ask()
    await stage.leased()
    poll = await stage.polling("worker-2", seconds=LEASE_SECONDS + 1)
    stage.timers.advance(LEASE_SECONDS)
    lease = await poll
    assert lease is not None
    assert (lease.owner, lease.attempt) == ("worker-2", 2)


async def test_a_lease_that_was_given_back_is_offered_at_once(stage: Stage) -> None:
    await stage.ask()
    lease = await stage.leased()
    assert await stage.exchange.find(ref_of(lease)) == lease
    await stage.exchange.give_back(lease)
    assert await stage.exchange.find(ref_of(lease)) is None
    again = await stage.leased()
    assert again.attempt == 2
    # Only the lease that did not arrive is given back, and its timer is off.
    await stage.exchange.give_back(lease)
    stage.timers.advance(LEASE_SECONDS - 1)
    assert await stage.exchange.find(ref_of(again)) == again
    assert stage.seen.expired == 0


async def test_a_lease_holds_until_it_is_over(stage: Stage) -> None:
    await stage.ask()
    lease = await stage.leased()
    stage.timers.advance(LEASE_SECONDS - 1)
    assert await stage.exchange.find(ref_of(lease)) == lease
    stage.timers.advance(1)
    assert await stage.exchange.find(ref_of(lease)) is None
    answered = await stage.leased()
    await stage.exchange.settle(ref_of(answered), YES)
    assert await stage.exchange.find(ref_of(answered)) is None


# refusals ----------------------------------------------------------------------------


async def refusal(stage: Stage, ref: Any) -> Rejection:
    refused = await stage.exchange.settle(ref, YES)
    assert refused is not None
    return refused


async def test_only_the_holder_answers(stage: Stage) -> None:
    caller = await stage.ask()
    lease = await stage.leased()
    ref = ref_of(lease)
    assert (await refusal(stage, replace(ref, task_id="nope"))).reason == (
        "query_task_not_found"
    )
    assert (await refusal(stage, replace(ref, namespace="other"))).reason == (
        "query_task_not_found"
    )
    other_owner = await refusal(stage, replace(ref, owner="worker-2"))
    assert other_owner.reason == "lease_owner_mismatch"
    assert other_owner.fields == {"lease_owner": "worker-1"}
    other_attempt = await refusal(stage, replace(ref, attempt=9))
    assert other_attempt.reason == "query_task_attempt_mismatch"
    assert other_attempt.fields == {"current_attempt": 1}
    assert await stage.exchange.settle(ref, YES) is None
    assert await caller.outcome() == YES


async def test_a_question_that_nobody_holds_takes_no_answer(stage: Stage) -> None:
    await stage.ask()
    lease = await stage.leased()
    await stage.exchange.give_back(lease)
    assert (await refusal(stage, ref_of(lease))).reason == "query_task_not_leased"


@pytest.mark.parametrize("answer", [YES, NO])
async def test_a_second_answer_is_refused_as_long_as_the_first_is_remembered(
    stage: Stage, answer: Answer
) -> None:
    await stage.ask()
    lease = await stage.leased()
    await stage.exchange.settle(ref_of(lease), answer)
    stage.timers.advance(KEEP_SECONDS - 1)
    assert (await refusal(stage, ref_of(lease))).reason == "query_task_not_leased"
    stage.timers.advance(1)
    assert (await refusal(stage, ref_of(lease))).reason == "query_task_not_found"


# callers that stop waiting -----------------------------------------------------------


async def test_a_question_that_nobody_takes_ends_at_its_deadline(stage: Stage) -> None:
    caller = await stage.ask(wait_seconds=30)
    stage.timers.advance(30)
    assert await caller.outcome() is Unanswered.NOT_CLAIMED
    assert await stage.poll() is None
    assert stage.timers.live == 0


async def test_a_question_that_nobody_answers_ends_at_its_deadline(
    stage: Stage,
) -> None:
    caller = await stage.ask(wait_seconds=30)
    lease = await stage.leased()
    stage.timers.advance(30)
    assert await caller.outcome() is Unanswered.TIMED_OUT
    assert (await refusal(stage, ref_of(lease))).reason == "query_task_timed_out"
    stage.timers.advance(LEASE_SECONDS)
    assert stage.seen.expired == 0, "an ended question has no lease"
    assert await stage.poll() is None


async def test_nobody_works_for_a_caller_that_has_gone(stage: Stage) -> None:
    caller = await stage.ask()
    other = await stage.ask()
    caller.is_there = False
    lease = await stage.leased()
    assert lease.task == other.task
    assert await caller.outcome() is Unanswered.CALLER_GONE


async def test_a_question_of_a_caller_that_has_gone_does_not_come_back(
    stage: Stage,
) -> None:
    caller = await stage.ask()
    await stage.leased()
    caller.is_there = False
    stage.timers.advance(LEASE_SECONDS)
    assert await stage.poll() is None
    assert await caller.outcome() is Unanswered.CALLER_GONE


@pytest.mark.parametrize("is_leased", [False, True])
async def test_a_cancelled_caller_withdraws_its_question(
    stage: Stage, is_leased: bool
) -> None:
    caller = await stage.ask()
    lease = await stage.leased() if is_leased else None
    await caller.cancel()
    assert await stage.poll() is None
    if lease is not None:
        assert (await refusal(stage, ref_of(lease))).reason == "query_task_timed_out"
    assert stage.timers.live == 0


# polls that have gone ----------------------------------------------------------------


async def test_a_poll_that_has_gone_is_passed_over(stage: Stage) -> None:
    connected = {"is": True}
    gone = await stage.polling("gone", is_connected=lambda: connected["is"])
    there = await stage.polling("there")
    connected["is"] = False
    await stage.ask()
    assert await gone is None
    lease = await there
    assert lease is not None
    assert lease.owner == "there"


async def test_a_cancelled_poll_takes_nothing(stage: Stage) -> None:
    poll = await stage.polling()
    poll.cancel()
    await asyncio.wait([poll])
    await stage.ask()
    assert await stage.poll("worker-2") is not None


async def test_a_poll_cancelled_with_its_answer_gives_the_question_back() -> None:
    stage = Stage()
    poll = await stage.polling()
    asking = stage.exchange.ask(stage.a_task(), is_waited_for=lambda: True)
    caller = asyncio.create_task(asking)
    # The task is put into the hands of the poll, which has not run since.
    await asyncio.sleep(0)
    poll.cancel()
    await asyncio.wait([poll])
    assert poll.cancelled()
    assert (await stage.leased("worker-2")).attempt == 2
    caller.cancel()


# bounds ------------------------------------------------------------------------------


async def test_a_queue_takes_only_so_many_questions(stage_of: StageOf) -> None:
    stage = stage_of(pending_per_queue=2)
    for _ in range(2):
        await stage.ask()
    refused = await stage.ask()
    assert await refused.outcome() is Unanswered.QUEUE_FULL
    # Queues and namespaces are counted apart; what a worker holds is not counted.
    assert (await stage.ask(queue="bills")).is_waiting
    assert (await stage.ask(namespace="other")).is_waiting
    await stage.leased()
    assert (await stage.ask()).is_waiting


async def test_a_full_queue_drops_those_whose_callers_have_gone(
    stage_of: StageOf,
) -> None:
    stage = stage_of(pending_per_queue=2)
    gone, _ = await stage.ask(), await stage.ask()
    gone.is_there = False
    later = await stage.ask()
    assert await gone.outcome() is Unanswered.CALLER_GONE
    assert [(await stage.leased()).task for _ in range(2)][1] == later.task


async def test_questions_are_bounded_by_number_and_by_bytes(stage_of: StageOf) -> None:
    stage = stage_of(open_tasks=2)
    first = await stage.ask()
    await stage.ask(queue="bills")
    assert await (await stage.ask(queue="c")).outcome() is Unanswered.QUEUE_FULL
    # Those in the hands of workers count as well, ended ones do not.
    lease = await stage.leased()
    assert await (await stage.ask(queue="c")).outcome() is Unanswered.QUEUE_FULL
    await stage.exchange.settle(ref_of(lease), YES)
    await first.outcome()
    assert (await stage.ask(queue="c")).is_waiting

    stage = stage_of(argument_bytes=10)
    arguments = Payload("avro", "x" * 6)
    first = await stage.ask(arguments=arguments)
    refused = await stage.ask(queue="bills", arguments=arguments)
    assert await refused.outcome() is Unanswered.QUEUE_FULL
    assert (await stage.ask(queue="bills")).is_waiting
    await first.cancel()
    again = await stage.ask(queue="bills", arguments=arguments)
    assert again.is_waiting


async def test_what_is_pending_is_told() -> None:
    stage = Stage()
    await stage.ask(wait_seconds=5)
    await stage.ask()
    await stage.leased()
    await stage.leased()
    stage.timers.advance(LEASE_SECONDS)
    stage.timers.advance(CALLER_SECONDS)
    assert stage.seen.pending_counts == [1, 2, 1, 0, 1, 0]


# shutdown ----------------------------------------------------------------------------


async def test_draining_ends_every_wait(stage: Stage) -> None:
    pending, leased = await stage.ask(queue="bills"), await stage.ask()
    await stage.leased()
    poll = await stage.polling()
    stage.exchange.drain()
    for caller in (pending, leased):
        with pytest.raises(QueryExchangeUnavailable):
            await caller.outcome()
    assert await poll is None
    assert stage.timers.live == 0
    with pytest.raises(QueryExchangeUnavailable):
        await (await stage.ask()).outcome()
    assert await (await stage.polling()) is None
