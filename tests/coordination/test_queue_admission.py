"""Capped task queues: one process, two processes, and without their Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import orjson
import pytest

from dwserver.coordination.admission_ledger import (
    AdmissionLedger,
    LedgerUnavailable,
    MemoryLedger,
    Scope,
)
from dwserver.coordination.redis_admission_ledger import RedisLedger
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.matching.pollers import Delivery
from dwserver.services.queue_admission import Budget
from dwserver.store.api import Store
from dwserver.store.opening import open_store
from tests.coordination.stage import CountingRedis
from tests.support.faulty_link import FaultyLink
from tests.support.small_server import (
    LONG,
    NAMESPACE,
    QUEUE,
    SmallServer,
    a_poll,
    small_server,
)
from tests.support.waiting import eventually

SCOPE = Scope(NAMESPACE, "workflow", QUEUE)
OTHER = Scope(NAMESPACE, "workflow", "bills")
MINUTE = 60_000_000
POSTGRES = {"DW_DATABASE_URL": "postgresql://unused/unused"}


# the ledger --------------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis"])
async def ledger(
    request: pytest.FixtureRequest, redis_url: str
) -> AsyncIterator[AdmissionLedger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    redis = CountingRedis(redis_url)
    await redis.execute("FLUSHDB")
    yield RedisLedger(redis)
    await redis.close()


async def test_one_at_a_time_holds_a_lock(ledger: AdmissionLedger) -> None:
    inside = 0

    async def enter() -> None:
        nonlocal inside
        async with ledger.lock(SCOPE):
            inside += 1
            assert inside == 1
            async with ledger.lock(OTHER):
                await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(20)))


async def test_dispatches_are_counted_by_minute(ledger: AdmissionLedger) -> None:
    await ledger.check()
    for _ in range(3):
        await ledger.count_dispatch([SCOPE], minute=7)
    await ledger.count_dispatch([SCOPE, OTHER], minute=7)
    assert await ledger.dispatches([SCOPE, OTHER], minute=7) == [4, 1]
    assert await ledger.dispatches([SCOPE, OTHER], minute=8) == [0, 0]
    assert await ledger.dispatches([], minute=8) == []


async def test_processes_exclude_each_other(redis: CountingRedis) -> None:
    a, b = RedisLedger(redis), RedisLedger(redis)
    async with a.lock(SCOPE):
        with pytest.raises(LedgerUnavailable):
            async with b.lock(SCOPE):
                pass
        [key] = await redis.execute("KEYS", "*")
        assert 0 < await redis.execute("PTTL", key) <= 5000
        await redis.execute("SET", key, "another's")
    # A lock that has ended and is another's by now is not released.
    assert await redis.execute("GET", key) == b"another's"


# the caps ----------------------------------------------------------------------------


async def budget(server: SmallServer) -> object:
    answer = await server.services.polls.poll(a_poll())
    return "leased" if isinstance(answer, Delivery) else answer


def capped(**caps: int) -> dict[str, str]:
    overrides = {QUEUE: {"workflow_tasks": caps}}
    return {"DW_TASK_QUEUE_ADMISSION_OVERRIDES": orjson.dumps(overrides).decode()}


@pytest.mark.parametrize(
    "environ",
    [
        {"DW_WORKFLOW_TASK_MAX_ACTIVE_LEASES_PER_QUEUE": "2"},
        {"DW_WORKFLOW_TASK_MAX_ACTIVE_LEASES_PER_NAMESPACE": "2"},
        capped(max_active_leases=2),
    ],
)
async def test_only_so_many_leases(
    sqlite_store: Store, environ: dict[str, str]
) -> None:
    async with small_server(sqlite_store, environ=environ) as server:
        await server.register()
        assert await budget(server) is None
        waiting = [
            asyncio.create_task(server.poll(a_poll(wait_seconds=LONG)))
            for _ in range(3)
        ]
        for number in range(3):
            await server.start(f"order-{number}")
        await eventually(lambda: sum(poll.done() for poll in waiting) == 2)
        assert await budget(server) is Budget.THROTTLED
        queues = server.services.task_queues
        views = await queues.views(NAMESPACE, [QUEUE])
        (budgets,) = await queues.budgets(NAMESPACE, views)
        state = budgets.tasks[a_poll().kind]
        assert (state.usage.leases, state.usage.namespace_leases) == (2, 2)
        assert state.budget is Budget.THROTTLED
        done = next(poll for poll in waiting if poll.done())
        held = await done
        assert held is not None
        # A lease that ends makes room for the poll that waits.
        await server.complete(held, [CompleteWorkflow(result=None)])
        await asyncio.gather(*waiting)
        # A lease that has run out does not count, even if nobody has taken it away.
        server.clock.advance(microseconds=61_000_000)
        assert await budget(server) is None


async def test_only_so_many_dispatches_a_minute(sqlite_store: Store) -> None:
    environ = capped(max_dispatches_per_minute=2)
    async with small_server(sqlite_store, environ=environ) as server:
        await server.register()
        for number in range(3):
            await server.start(f"order-{number}")
        assert [await budget(server) for _ in range(3)] == [
            "leased",
            "leased",
            Budget.THROTTLED,
        ]
        server.clock.advance(microseconds=MINUTE)
        assert await eventually(lambda: budget(server)) == "leased"


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = open_store(postgres_url)
    await store.open()
    yield store
    await store.close()


async def test_processes_share_the_caps(
    store: Store, redis: CountingRedis, redis_url: str
) -> None:
    environ = {**POSTGRES, "DW_REDIS_URL": redis_url, **capped(max_active_leases=3)}
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                small_server(store, first_id=first_id, environ=environ)
            )
            for first_id in (1, 10**9)
        ]
        await servers[0].register()
        for number in range(10):
            await servers[0].start(f"order-{number}")
        polls = [server.services.polls.poll(a_poll()) for server in servers * 5]
        found = await asyncio.gather(*polls)
        assert sum(isinstance(each, Delivery) for each in found) == 3
        assert {each for each in found if isinstance(each, Budget)} == {
            Budget.THROTTLED
        }


async def test_without_redis_capped_queues_are_unavailable_and_others_are_not(
    store: Store, link: FaultyLink, link_url: str
) -> None:
    environ = {**POSTGRES, "DW_REDIS_URL": link_url, **capped(max_active_leases=3)}
    async with small_server(store, environ=environ) as server:
        await server.register()
        await server.register("worker-2", task_queue="bills")
        await link.cut()
        await server.start("order-1")
        await server.start("bill-1", task_queue="bills")
        assert await budget(server) is Budget.UNAVAILABLE
        other = a_poll(worker_id="worker-2", task_queue="bills")
        assert isinstance(await server.services.polls.poll(other), Delivery)
        link.mend()
        await eventually(lambda: server.core.coordination.redis.state().is_up)
        assert await budget(server) == "leased"


async def test_several_processes_without_a_shared_ledger_promise_nothing(
    store: Store,
) -> None:
    environ = {**POSTGRES, "DW_V2_MULTI_NODE": "true", **capped(max_active_leases=3)}
    async with small_server(store, environ=environ) as server:
        await server.register()
        await server.start("order-1")
        assert await budget(server) is Budget.UNAVAILABLE


async def test_uncapped_queues_cost_no_commands(
    store: Store, redis: CountingRedis, redis_url: str
) -> None:
    environ = {
        **POSTGRES,
        "DW_REDIS_URL": redis_url,
        "DW_TASK_QUEUE_ADMISSION_OVERRIDES": orjson.dumps(
            {"bills": {"workflow_tasks": {"max_active_leases": 3}}}
        ).decode(),
    }
    async with small_server(store, environ=environ) as server:
        await server.register()
        await redis.execute("CONFIG", "RESETSTAT")
        for number in range(5):
            await server.start(f"order-{number}")
        assert [await budget(server) for _ in range(6)] == ["leased"] * 5 + [None]
        stats = await redis.execute("INFO", "commandstats")
        assert not {"cmdstat_set", "cmdstat_evalsha", "cmdstat_mget"} & set(stats)
