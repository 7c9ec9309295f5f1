"""The same coordination on a Redis Cluster and behind Sentinel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dwserver.coordination.admission_ledger import Scope
from dwserver.coordination.query_tasks import Answered
from dwserver.coordination.redis_address import parse_redis_url
from dwserver.coordination.redis_admission_ledger import RedisLedger
from dwserver.coordination.redis_connection import RedisConnection, RedisUnavailable
from tests.coordination.stage import CountingRedis, Stage, UpAndDown, ref_of
from tests.support.local_servers import LocalRedis, find_redis
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(
    find_redis() is None, reason="needs redis-server of this machine"
)


class ClusterNode(LocalRedis):
    """A cluster of one node."""

    name = "redis-cluster"

    def _command(self) -> list[str]:
        options = {"--cluster-enabled": "yes", "--cluster-port": str(free_port())}
        return [*super()._command(), *(w for pair in options.items() for w in pair)]

    async def take_all_slots(self) -> None:
        node = CountingRedis(self.url)
        await node.execute("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        async def is_ready() -> bool:
            return b"cluster_state:ok" in bytes(await node.execute("CLUSTER", "INFO"))

        await eventually(is_ready)
        await node.close()


class SentinelNode(LocalRedis):
    """Watches one primary, known as ``main``."""

    name = "redis-sentinel"

    def __init__(self, primary: LocalRedis) -> None:
        super().__init__()
        self._primary = primary

    def _command(self) -> list[str]:
        configuration = self.folder / "sentinel.conf"
        configuration.write_text(
            f"port {self.port}\nbind {LOOPBACK}\ndir {self.folder}\n"
            f"sentinel monitor main {LOOPBACK} {self._primary.port} 1\n"
        )
        configuration.chmod(0o666)
        return [str(find_redis()), str(configuration), "--sentinel"]


@pytest.fixture
def primary() -> Iterator[LocalRedis]:
    with LocalRedis() as server:
        yield server


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


async def test_cluster() -> None:
    with ClusterNode() as node:
        await node.take_all_slots()
        redis = CountingRedis(f"redis+cluster://{LOOPBACK}:{node.port}")
        await works(redis)
        await redis.close()
    with pytest.raises(RedisUnavailable):
        await CountingRedis(f"redis+cluster://{LOOPBACK}:{node.port}").execute("PING")


async def test_sentinel(primary: LocalRedis) -> None:
    with SentinelNode(primary) as sentinel:
        redis = CountingRedis(f"redis+sentinel://{LOOPBACK}:{sentinel.port}/main/1")
        await works(redis)
        primary.stop()
        with pytest.raises(RedisUnavailable):
            await redis.execute("PING")
        await redis.close()


async def test_a_redis_that_was_killed_comes_back_empty(primary: LocalRedis) -> None:
    seen = UpAndDown()
    redis = RedisConnection(parse_redis_url(primary.url), observer=seen)
    await redis.execute("SET", "key", "value")
    primary.crash()
    with pytest.raises(RedisUnavailable):
        await redis.execute("GET", "key")
    primary.start()

    async def is_back() -> bool:
        try:
            return await redis.execute("GET", "key") is None
        except RedisUnavailable:
            return False

    await eventually(is_back)
    assert seen.changes == [False, True]
    await redis.close()
