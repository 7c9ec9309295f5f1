"""Two processes on one PostgreSQL, with and without a Redis between them.

The sweeps of matching do not run here: what one process learns of the other comes
through Redis, or when it looks by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from dwserver.coordination.query_tasks import Answered, QueryLease, QueryTaskRef
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.commands.updates import CompleteUpdate
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import TaskKind, UpdateStatus
from dwserver.services.queries import QueryReply, Question
from dwserver.services.query_tasks import QueryPollRequest
from dwserver.store.api import Store
from dwserver.store.opening import open_store
from tests.coordination.stage import CountingRedis
from tests.services.operator_room import Operators, plain
from tests.support.faulty_link import FaultyLink
from tests.support.small_server import (
    CHARGE,
    LONG,
    NAMESPACE,
    ONE_MINUTE,
    QUEUE,
    SECOND,
    SmallServer,
    a_poll,
    small_server,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster
POSTGRES = {"DW_DATABASE_URL": "postgresql://unused/unused"}
# No recheck of its own comes to the help of a wake.
SLOW_RECHECKS = {
    "DW_WORKER_POLL_INTERVAL_MS": "60000",
    "DW_V2_UPDATE_WAIT_POLL_INTERVAL_MS": "60000",
}


@asynccontextmanager
async def two_processes(
    store: Store, **environ: str
) -> AsyncIterator[tuple[SmallServer, SmallServer]]:
    async with AsyncExitStack() as stack:
        a, b = [
            await stack.enter_async_context(
                small_server(store, first_id=first_id, environ={**POSTGRES, **environ})
            )
            for first_id in (1, 10**9)
        ]
        await a.register()
        yield a, b


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = open_store(postgres_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def nodes(
    store: Store, redis: CountingRedis, redis_url: str
) -> AsyncIterator[tuple[SmallServer, SmallServer]]:
    async with two_processes(store, DW_REDIS_URL=redis_url, **SLOW_RECHECKS) as nodes:
        yield nodes


async def waiting_poll(
    server: SmallServer, kind: TaskKind = TaskKind.WORKFLOW, **fields: Any
) -> asyncio.Task[Any]:
    """A poll that has looked and waits."""
    pollers = server.core.matcher.pollers
    count = pollers.counts()[kind]
    poll = asyncio.create_task(server.poll(a_poll(kind, wait_seconds=LONG, **fields)))
    await eventually(lambda: pollers.counts()[kind] == count + 1)
    # The first poll of a queue is looked for at once.
    await eventually(lambda: not server.supervisor._tasks)
    return poll


# wakes -------------------------------------------------------------------------------


async def test_a_start_on_one_answers_a_poll_on_the_other(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    a, b = nodes
    poll = await waiting_poll(b)
    started = await a.start()
    delivery = await poll
    assert delivery.leased.run.id == started.run.id
    activity_poll = await waiting_poll(b, TaskKind.ACTIVITY)
    await a.complete(delivery, [CHARGE])
    assert (await activity_poll).leased.run.id == started.run.id


async def test_a_timer_of_another_process_is_fired(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    """Even by one that has the run in memory as it was before."""
    a, b = nodes
    started = await a.start()
    delivery = await b.poll()
    assert delivery is not None
    await a.complete(delivery, [ONE_MINUTE])
    b.clock.advance(microseconds=61 * SECOND)
    await b.core.timers.fire_due()
    assert "TimerFired" in await b.event_types(started.run.id)


async def test_a_hand_off_is_not_published(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    a, _ = nodes
    poll = await waiting_poll(a)
    await a.start()
    await a.complete(await poll, [CompleteWorkflow(result=None)])
    await eventually(lambda: not a.supervisor._tasks)
    assert b"dw_wake_messages_total 0.0" in a.metrics.exposition()


async def test_a_wait_for_history_hears_of_the_other_process(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    a, b = nodes
    started = await a.start()
    delivery = await a.leased()
    run = started.run
    upto = len(await a.event_types(run.id))
    wait = asyncio.create_task(
        b.services.workflows.wait_for_event(
            run.id, after=upto, seconds=LONG, is_connected=lambda: True
        )
    )
    await eventually(lambda: b.core.waiters.history._waiting)
    await a.complete(delivery, [CompleteWorkflow(result=None)])
    await wait
    assert len(await b.event_types(run.id)) > upto


async def test_a_wait_for_an_update_hears_of_the_other_process(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    a, b = nodes
    await a.start()
    updated = await Operators(b).update()
    assert updated.update is not None
    wait = asyncio.create_task(
        b.services.commands.until_closed(
            updated, seconds=LONG, is_connected=lambda: True
        )
    )
    await eventually(lambda: b.core.waiters.updates._waiting)
    command = CompleteUpdate(update_id=updated.update.id, result=plain('"yes"'))
    await a.complete(await a.leased(), [command])
    done = await wait
    assert done.update is not None
    assert done.update.status is UpdateStatus.COMPLETED


async def test_news_that_were_missed_are_looked_for(
    store: Store, link: FaultyLink, link_url: str
) -> None:
    """Process B hears of nothing while its link is cut, and looks when it is back."""
    async with two_processes(store, DW_REDIS_URL=link_url, **SLOW_RECHECKS) as (a, b):
        poll = await waiting_poll(b)
        await link.cut()
        started = await a.start()
        await eventually(lambda: not b.core.coordination.redis.state().is_up)
        assert not poll.done()
        link.mend()
        assert (await poll).leased.run.id == started.run.id


# queries -----------------------------------------------------------------------------


async def query_poll(
    server: SmallServer, *, seconds: float = LONG, poll_request_id: str | None = None
) -> Any:
    return await server.services.query_tasks.poll(
        QueryPollRequest(
            namespace=NAMESPACE,
            worker_id="worker-1",
            task_queue=QUEUE,
            wait_seconds=seconds,
            poll_request_id=poll_request_id,
            is_connected=lambda: True,
        )
    )


async def asking(server: SmallServer) -> asyncio.Task[QueryReply]:
    run = await server.services.queries.current_run(NAMESPACE, "order-1")
    assert run is not None
    question = Question(
        run=run, name="state", arguments=None, is_waited_for=lambda: True
    )
    return asyncio.create_task(server.services.queries.ask(question))


def ref_of(lease: QueryLease) -> QueryTaskRef:
    return QueryTaskRef(lease.task.namespace, lease.task.id, lease.owner, lease.attempt)


@pytest.mark.parametrize("poll_comes_first", [True, False])
async def test_a_query_is_asked_leased_and_answered_on_different_processes(
    nodes: tuple[SmallServer, SmallServer], poll_comes_first: bool
) -> None:
    a, b = nodes
    await a.start()
    if poll_comes_first:
        poll = asyncio.create_task(query_poll(b))
        await eventually(lambda: b.core.query_exchange._polls)
        caller = await asking(a)
        lease = await poll
    else:
        caller = await asking(a)
        lease = await query_poll(b)
    assert isinstance(lease, QueryLease)
    assert lease.task.workflow_id == "order-1"
    answer = Answered(b'"here"', None)
    assert await b.services.query_tasks.settle(ref_of(lease), answer) is None
    assert await caller == answer


@pytest.mark.parametrize("notices", [True, False])
async def test_a_query_of_a_redis_that_forgets_everything_is_asked_again(
    nodes: tuple[SmallServer, SmallServer], redis: CountingRedis, notices: bool
) -> None:
    """Whether or not a connection breaks as it forgets."""
    a, b = nodes
    await a.start()
    caller = await asking(a)
    await eventually(lambda: redis_holds(redis, "pending"))
    await redis.execute("FLUSHALL")
    if notices:
        a.core.query_exchange._missed_signals()
    lease = await query_poll(b)
    assert isinstance(lease, QueryLease)
    answer = Answered(b'"here"', None)
    assert await b.services.query_tasks.settle(ref_of(lease), answer) is None
    assert await caller == answer


async def redis_holds(redis: CountingRedis, word: str) -> bool:
    keys = await redis.execute("KEYS", f"*{word}*")
    return bool(keys)


async def test_a_query_without_redis_is_refused_and_its_polls_wait_on(
    store: Store, link: FaultyLink, link_url: str
) -> None:
    async with two_processes(store, DW_REDIS_URL=link_url) as (a, b):
        await a.start()
        await link.cut()
        poll = asyncio.create_task(query_poll(b))
        refused = await (await asking(a))
        assert isinstance(refused, Rejection)
        assert refused.reason == "query_task_queue_unavailable"
        link.mend()
        await eventually(lambda: a.core.coordination.redis.state().is_up)
        caller = await asking(a)
        lease = await poll
        assert isinstance(lease, QueryLease), "no error, and the task once it is back"
        answer = Answered(b"1", None)
        assert await b.services.query_tasks.settle(ref_of(lease), answer) is None
        assert await caller == answer


async def test_every_key_ends(
    nodes: tuple[SmallServer, SmallServer], redis: CountingRedis
) -> None:
    a, b = nodes
    await a.start()
    caller = await asking(a)
    lease = await query_poll(b)
    assert isinstance(lease, QueryLease)
    await query_poll(b, seconds=0)
    await b.core.query_exchange.give_back(lease)
    lease = await query_poll(b)
    await b.services.query_tasks.settle(ref_of(lease), Answered(b"1", None))
    await caller
    await a.core.coordination.probe()
    keys = await redis.execute("KEYS", "*")
    assert keys
    for key in keys:
        assert await redis.execute("PTTL", key) > 0, key


# polls that are sent again ------------------------------------------------------------


async def has_heard(server: SmallServer) -> None:
    """Something was leased to a poll of the other process."""
    await eventually(lambda: server.services.polls._news._notes)


@pytest.mark.parametrize("kind", TaskKind)
async def test_a_poll_sent_again_to_the_other_process_gets_the_same_lease(
    nodes: tuple[SmallServer, SmallServer], kind: TaskKind
) -> None:
    a, b = nodes
    await a.start()
    if kind is TaskKind.ACTIVITY:
        await a.complete(await a.leased(), [CHARGE])
    request = a_poll(kind, poll_request_id="r1")
    first = await a.poll(request)
    assert first is not None
    await has_heard(b)
    again = await b.poll(request)
    assert again is not None
    assert again.leased.task == first.leased.task
    assert again.leased.activity == first.leased.activity
    assert await b.poll(a_poll(kind, poll_request_id="r2")) is None
    # Of a lease that is over nothing is repeated.
    if kind is TaskKind.WORKFLOW:
        await a.complete(first, [CompleteWorkflow(result=None)])
        assert await b.poll(request) is None


async def test_a_poll_that_waits_gets_what_the_other_process_leased_to_it(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    a, b = nodes
    again = await waiting_poll(b, poll_request_id="r1")
    other = await waiting_poll(b, poll_request_id="r2")
    # The client has gone from process A, which has not noticed.
    first = await waiting_poll(a, poll_request_id="r1")
    await a.start()
    assert (await again).leased.task == (await first).leased.task
    assert not other.done()


async def test_a_query_poll_sent_again_to_the_other_process_gets_the_same_lease(
    nodes: tuple[SmallServer, SmallServer],
) -> None:
    a, b = nodes
    await a.start()
    caller = await asking(a)
    first = await query_poll(a, poll_request_id="q1")
    assert isinstance(first, QueryLease)
    await has_heard(b)
    assert await query_poll(b, poll_request_id="q1") == first
    answer = Answered(b"1", None)
    assert await b.services.query_tasks.settle(ref_of(first), answer) is None
    assert await caller == answer


# cost --------------------------------------------------------------------------------


async def test_idle_polls_cost_no_commands(
    nodes: tuple[SmallServer, SmallServer], redis: CountingRedis
) -> None:
    _, b = nodes
    await waiting_poll(b)
    await query_poll(b, seconds=0)
    before = await commands(redis)
    polls = [await waiting_poll(b) for _ in range(20)]
    polls += [asyncio.create_task(query_poll(b)) for _ in range(20)]
    waiting = b.core.query_exchange._polls
    await eventually(lambda: len(waiting.get((NAMESPACE, QUEUE), ())) == 20)
    await asyncio.gather(*(query_poll(b, seconds=0.01) for _ in range(20)))
    assert await commands(redis) == before
    b.core.release_waits()
    assert await asyncio.gather(*polls) == [None] * 40


async def commands(redis: CountingRedis) -> dict[str, int]:
    """Calls so far of what a server uses, by command."""
    stats = await redis.execute("INFO", "commandstats")
    counts = {name.removeprefix("cmdstat_"): of["calls"] for name, of in stats.items()}
    # The test's own, and what keeps connections alive.
    for name in ("info", "keys", "ping", "client|setinfo", "select"):
        counts.pop(name, None)
    return counts


# without Redis -----------------------------------------------------------------------


async def test_without_redis_the_sweep_finds_what_the_other_process_made(
    store: Store,
) -> None:
    async with two_processes(store, DW_V2_MULTI_NODE="true") as (a, b):
        poll = await waiting_poll(b)
        started = await a.start()
        b.core.matcher.sweep()
        delivery = await poll
        assert delivery.leased.run.id == started.run.id
        # Both know of the next task, one leases it.
        await a.complete(delivery, [CHARGE])
        polls = [
            asyncio.create_task(each.poll(a_poll(TaskKind.ACTIVITY)))
            for each in (a, b, a, b)
        ]
        found = [each for each in await asyncio.gather(*polls) if each]
        assert len(found) == 1
        health = await b.core.coordination.wake_check()
        assert health.status == "warning"
