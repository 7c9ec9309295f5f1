"""The same coordination on a Redis Cluster and behind Sentinel."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from dwserver.coordination.admission_ledger import Scope
from dwserver.coordination.query_tasks import Answered
from dwserver.coordination.redis_address import parse_redis_url
from dwserver.coordination.redis_admission_ledger import RedisLedger
from dwserver.coordination.redis_connection import RedisConnection, RedisUnavailable
from tests.coordination.stage import CountingRedis, Stage, UpAndDown, ref_of
from tests.coordination.topologies import (
    cluster_node,
    lone_node,
    sentinel,
    take_all_slots,
)
from tests.support.ports import LOOPBACK
from tests.support.substrate import StoppableRedis
from tests.support.substrate_choice import Substrate
from tests.support.waiting import eventually


async def works(redis: CountingRedis) -> None:
    """Scripts on several keys, the ledger, a probe and a subscription."""
    await redis.probe()
    stage = Stage(redis)
    caller = await stage.ask(namespace="a")
    await stage.ask(namespace="b")
    lease = await stage.leased(namespace="a")
    assert await stage.exchange.settle(ref_of(lease), Answered(b"1", None)) is None
    assert await caller.outcome() == Answered(b"1", None)
    await stage.end()
    ledger = RedisLedger(redis)
    scopes = [Scope("a", "workflow"), Scope("a", "workflow", queue="orders")]
    async with ledger.lock(scopes[0]):
        await ledger.count_dispatch(scopes, minute=1)
    assert await ledger.dispatches(scopes, minute=1) == [1, 1]
    heard: list[bytes] = []
    subscribed = asyncio.Event()
    listening = asyncio.create_task(
        redis.listen(["channel"], subscribed=subscribed.set, hear=heard.append)
    )
    await subscribed.wait()
    await redis.execute("PUBLISH", "channel", "one")
    await eventually(lambda: heard == [b"one"])
    listening.cancel()
    await asyncio.wait([listening])


async def test_cluster(substrate: Substrate) -> None:
    with cluster_node(substrate) as node:
        url = f"redis+cluster://{LOOPBACK}:{node.port}"
        await take_all_slots(node)
        redis = CountingRedis(url)
        await works(redis)
        await redis.close()
    with pytest.raises(RedisUnavailable):
        await CountingRedis(url).execute("PING")


async def test_sentinel(substrate: Substrate) -> None:
    with ExitStack() as primary_life:
        primary = primary_life.enter_context(lone_node(substrate))
        with sentinel(substrate, primary=primary) as node:
            redis = CountingRedis(f"redis+sentinel://{LOOPBACK}:{node.port}/main/1")
            await works(redis)
            primary_life.close()
            with pytest.raises(RedisUnavailable):
                await redis.execute("PING")
            await redis.close()


async def test_a_redis_that_was_killed_comes_back_empty(
    own_redis: StoppableRedis,
) -> None:
    seen = UpAndDown()
    redis = RedisConnection(parse_redis_url(own_redis.url), observer=seen)
    await redis.execute("SET", "key", "value")
    own_redis.crash()
    with pytest.raises(RedisUnavailable):
        await redis.execute("GET", "key")
    own_redis.start()

    async def is_back() -> bool:
        try:
            return await redis.execute("GET", "key") is None
        except RedisUnavailable:
            return False

    await eventually(is_back)
    assert seen.changes == [False, True]
    await redis.close()
