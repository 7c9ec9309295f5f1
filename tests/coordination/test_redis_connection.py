"""A Redis that goes away, hangs, is slow, forgets, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from dwserver.coordination.redis_address import parse_redis_url
from dwserver.coordination.redis_connection import (
    RedisConnection,
    RedisUnavailable,
    Script,
)
from dwserver.runtime.backoff import Backoff
from tests.coordination.stage import CountingRedis, UpAndDown
from tests.support.faulty_link import FaultyLink
from tests.support.waiting import eventually

AT_ONCE = Backoff(initial_seconds=0.001, maximum_seconds=0.001)
ECHO = Script.of("return ARGV[1]")


@pytest.fixture
async def seen() -> UpAndDown:
    return UpAndDown()


@pytest.fixture
async def connection(link_url: str, seen: UpAndDown) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(
        parse_redis_url(link_url), observer=seen, breaker=AT_ONCE
    )
    yield connection
    await connection.close()


async def is_back(connection: RedisConnection) -> bool:
    try:
        await connection.execute("PING")
    except RedisUnavailable:
        return False
    return connection.state().is_up


async def test_an_outage_is_told_once(
    connection: RedisConnection, link: FaultyLink, seen: UpAndDown
) -> None:
    restored = []
    connection.on_restored(lambda: restored.append(True))
    await connection.probe()
    with capture_logs() as logs:
        await link.cut()
        for _ in range(3):
            with pytest.raises(RedisUnavailable):
                await connection.execute("PING")
        assert connection.state().why is not None
        link.mend()
        await eventually(lambda: is_back(connection))
        await connection.probe()
    assert [log["event"] for log in logs] == ["redis_lost", "redis_back"]
    assert seen.changes == [False, True]
    assert restored == [True]


@pytest.mark.parametrize("is_frozen", [True, False], ids=["paused", "slow"])
async def test_a_redis_that_does_not_answer_in_time_fails(
    connection: RedisConnection, link: FaultyLink, is_frozen: bool
) -> None:
    await connection.probe()
    if is_frozen:
        link.freeze()
    else:
        link.delay_seconds = 1.2
    with pytest.raises(RedisUnavailable):
        await connection.execute("PING")
    link.mend()
    await eventually(lambda: is_back(connection))
    # Late answers do not become those of later commands.
    for word in ("a", "b"):
        assert await connection.execute("ECHO", word) == word.encode()


async def test_during_an_outage_commands_fail_without_a_try(
    link: FaultyLink, link_url: str, seen: UpAndDown
) -> None:
    patient = Backoff(initial_seconds=60, maximum_seconds=60)
    connection = RedisConnection(
        parse_redis_url(link_url), observer=seen, breaker=patient
    )
    link.freeze()
    with pytest.raises(RedisUnavailable):
        await connection.execute("PING")
    link.mend()
    waits = [connection.execute("PING") for _ in range(1000)]
    answers = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(answer, RedisUnavailable) for answer in answers)
    assert not await is_back(connection)
    await connection.close()


async def test_a_subscription_hears_and_breaks(
    connection: RedisConnection, redis: CountingRedis, link: FaultyLink
) -> None:
    heard: list[bytes] = []
    subscribed = asyncio.Event()
    listening = asyncio.create_task(
        connection.listen(["channel"], subscribed=subscribed.set, hear=heard.append)
    )
    await subscribed.wait()
    await redis.execute("PUBLISH", "channel", "one")
    await eventually(lambda: heard == [b"one"])
    await link.cut()
    with pytest.raises(RedisUnavailable):
        await listening
    assert connection.state().is_up
    with pytest.raises(RedisUnavailable):
        await connection.listen(
            ["channel"], subscribed=subscribed.set, hear=heard.append
        )
    assert not connection.state().is_up


async def test_an_old_failure_is_no_outage(
    connection: RedisConnection, redis: CountingRedis, seen: UpAndDown
) -> None:
    """One command of several fails after Redis has answered a later one."""
    blocked = asyncio.create_task(connection.execute("BLPOP", "nothing", "5"))
    await eventually(lambda: is_blocked(redis))
    await connection.execute("PING")
    await redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(RedisUnavailable):
        await blocked
    assert seen.changes == []


async def is_blocked(redis: CountingRedis) -> bool:
    return bool((await redis.execute("INFO", "clients"))["blocked_clients"])


async def test_a_silent_subscription_is_asked_whether_it_lives(
    connection: RedisConnection, link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "dwserver.coordination.redis_connection"
    monkeypatch.setattr(f"{module}.QUIET_SECONDS", 0.05)
    monkeypatch.setattr(f"{module}.QUIET_SECONDS_WHEN_LOST", 0.05)
    subscribed = asyncio.Event()
    listening = asyncio.create_task(
        connection.listen(["channel"], subscribed=subscribed.set, hear=lambda _: None)
    )
    await subscribed.wait()
    link.freeze()
    with pytest.raises(RedisUnavailable):
        await listening


async def test_scripts_survive_a_redis_that_forgets(redis: CountingRedis) -> None:
    assert await redis.run(ECHO, ["key"], "a") == b"a"
    await redis.execute("SCRIPT", "FLUSH")
    assert await redis.run(ECHO, ["key"], "b") == b"b"


async def test_connections_are_bounded(
    redis: CountingRedis, redis_url: str, seen: UpAndDown
) -> None:
    connection = RedisConnection(
        parse_redis_url(redis_url), observer=seen, max_connections=2
    )
    blocked = [connection.execute("BLPOP", "nothing", "0.2") for _ in range(2)]
    await asyncio.gather(*blocked, *(connection.execute("PING") for _ in range(50)))
    info = await redis.execute("INFO", "clients")
    assert info["connected_clients"] <= 4
    assert seen.changes == []
    await connection.close()


async def test_a_refused_command_is_no_outage(
    connection: RedisConnection, seen: UpAndDown
) -> None:
    await connection.execute("SET", "key", "text")
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(RedisUnavailable, match="WRONGTYPE"):
                await connection.execute("LPUSH", "key", "x")
    assert connection.state().is_up
    assert seen.changes == []
    assert [log["event"] for log in logs] == ["redis_refused"]
