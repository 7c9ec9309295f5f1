"""What processes tell each other, over a Redis that may fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvloop
from structlog.testing import capture_logs

from dwserver.coordination import redis_wake_signals
from dwserver.coordination.redis_address import parse_redis_url
from dwserver.coordination.redis_connection import RedisConnection
from dwserver.coordination.redis_wake_signals import RedisWakeSignals, channel_of
from dwserver.coordination.wake_signals import Key, Topic
from dwserver.runtime.backoff import Backoff
from dwserver.runtime.supervisor import Supervisor
from tests.coordination.stage import CountingRedis, UpAndDown
from tests.support.faulty_link import FaultyLink
from tests.support.waiting import eventually

AT_ONCE = Backoff(initial_seconds=0.01, maximum_seconds=0.01)


@dataclass
class Ear:
    """One process, and what it was told of runs."""

    signals: RedisWakeSignals
    connection: RedisConnection
    heard: list[Key] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    dropped_count: int = 0
    gaps: int = 0

    def sent(self, keys: int) -> None:
        self.messages.append(keys)

    def dropped(self, keys: int) -> None:
        self.dropped_count += keys


class Counts:
    """Passes the counters of signals on to an ear."""

    def __init__(self) -> None:
        self.ear: Ear | None = None

    def sent(self, keys: int) -> None:
        assert self.ear is not None
        self.ear.sent(keys)

    def heard(self, keys: int) -> None:
        """What is heard is noted one by one."""

    def dropped(self, keys: int) -> None:
        assert self.ear is not None
        self.ear.dropped(keys)


@asynccontextmanager
async def an_ear(
    url: str, topics: Collection[Topic] = tuple(Topic)
) -> AsyncIterator[Ear]:
    supervisor, counts = Supervisor(), Counts()
    connection = RedisConnection(
        parse_redis_url(url), observer=UpAndDown(), breaker=AT_ONCE
    )
    signals = RedisWakeSignals(
        connection,
        spawn=supervisor.spawn,
        observer=counts,
        topics=topics,
        backoff=AT_ONCE,
    )
    counts.ear = ear = Ear(signals, connection)
    signals.listen(Topic.RUN_CHANGED, ear.heard.append)

    def gap() -> None:
        ear.gaps += 1

    signals.on_gap(gap)
    supervisor.add(signals)
    await supervisor.start()
    try:
        yield ear
    finally:
        await supervisor.stop()


Ears = Callable[[str], Awaitable[Ear]]


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    """Makes processes that listen until the test ends."""
    async with AsyncExitStack() as stack:
        yield lambda url: stack.enter_async_context(an_ear(url))


async def test_one_message_tells_everybody_else_everything_once(
    ears: Ears, redis: CountingRedis, redis_url: str
) -> None:
    a, b, c = [await ears(redis_url) for _ in range(3)]
    for _ in range(3):
        for number in range(100):
            a.signals.publish(Topic.RUN_CHANGED, f"run-{number}")
    a.signals.publish(Topic.READY_TASK, ("default", "orders", "workflow"))
    told = [f"run-{number}" for number in range(100)]
    await eventually(lambda: b.heard == told and c.heard == told)
    # What was said last is counted when its command has been answered.
    await eventually(lambda: a.messages == [100, 1])
    assert a.heard == [], "nobody hears himself"
    assert b.messages == []


async def test_a_process_subscribes_to_what_can_wake_it(
    ears: Ears, redis: CountingRedis, redis_url: str
) -> None:
    speaker = await ears(redis_url)
    async with (
        an_ear(redis_url, [Topic.RUN_CHANGED]) as listener,
        an_ear(redis_url, [Topic.READY_TASK]) as other,
        an_ear(redis_url, ()) as deaf,
    ):
        names = [channel_of(topic) for topic in (Topic.RUN_CHANGED, Topic.READY_TASK)]
        counts = await redis.execute("PUBSUB", "NUMSUB", *names)
        # Nobody listens to ready tasks here, whatever may be heard.
        assert counts[1::2] == [2, 0]
        assert deaf.gaps == other.gaps == 0
        deaf.signals.publish(Topic.RUN_CHANGED, "run-1")
        await eventually(lambda: listener.heard == speaker.heard == ["run-1"])


async def test_messages_are_bounded_and_rare(
    ears: Ears, redis: CountingRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_wake_signals, "MAX_KEYS_PER_MESSAGE", 10)
    a, b = [await ears(redis_url) for _ in range(2)]
    for number in range(25):
        a.signals.publish(Topic.RUN_CHANGED, f"run-{number}")
    await eventually(lambda: len(b.heard) == 25)
    assert a.messages == [10, 10, 5]


async def test_what_is_told_during_an_outage_is_kept_up_to_a_bound(
    ears: Ears,
    redis: CountingRedis,
    redis_url: str,
    link: FaultyLink,
    link_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_wake_signals, "MAX_KEPT_KEYS", 20)
    a, b = await ears(link_url), await ears(redis_url)
    assert (a.gaps, b.gaps) == (1, 1)
    with capture_logs() as logs:
        await link.cut()
        await eventually(lambda: not a.connection.state().is_up)
        for number in range(30):
            a.signals.publish(Topic.RUN_CHANGED, f"run-{number}")
        assert a.dropped_count == 10
        b.signals.publish(Topic.RUN_CHANGED, "missed")
        link.mend()
        await eventually(lambda: len(b.heard) == 20)
        await eventually(lambda: a.gaps == 2)
    assert b.heard == [f"run-{number}" for number in range(20)]
    # What was missed is made up for by a look at everything.
    assert a.heard == []
    assert [log["event"] for log in logs] == ["redis_lost", "redis_back"]


async def test_a_paused_redis_delays_signals(
    ears: Ears, redis: CountingRedis, redis_url: str, link: FaultyLink, link_url: str
) -> None:
    a, b = await ears(link_url), await ears(redis_url)
    link.freeze()
    a.signals.publish(Topic.RUN_CHANGED, "run-1")
    await eventually(lambda: not a.connection.state().is_up)
    link.mend()
    await eventually(lambda: "run-1" in b.heard)


async def test_what_cannot_be_read_disturbs_nobody(
    ears: Ears, redis: CountingRedis, redis_url: str
) -> None:
    a, b = [await ears(redis_url) for _ in range(2)]

    def stumble(key: Key) -> None:
        raise ValueError("a newer version's key")

    b.signals.listen(Topic.READY_TASK, stumble)
    for message in (b"", b"[]", b'["x",7]', b'["x",{"run":7}]', b'["x",{"new":["k"]}]'):
        for topic in (Topic.READY_TASK, Topic.RUN_CHANGED):
            await redis.execute("PUBLISH", channel_of(topic), message)
    a.signals.publish(Topic.READY_TASK, "odd")
    a.signals.publish(Topic.RUN_CHANGED, "run-1")
    await eventually(lambda: b.heard == ["run-1"])


async def test_a_process_starts_without_redis(
    ears: Ears, redis: CountingRedis, redis_url: str, link: FaultyLink, link_url: str
) -> None:
    await link.cut()
    a = await ears(link_url)
    assert a.gaps == 0
    a.signals.publish(Topic.RUN_CHANGED, "run-1")
    b = await ears(redis_url)
    link.mend()
    await eventually(lambda: a.gaps == 1)
    await eventually(lambda: b.heard == ["run-1"])


def test_keys_of_one_turn_are_sent_on_the_event_loop_of_a_node(redis_url: str) -> None:
    """Nodes run on uvloop, whose handles of what is due at once know no time."""

    async def told() -> list[Key]:
        async with an_ear(redis_url) as speaker, an_ear(redis_url) as listener:
            await eventually(lambda: speaker.connection.state().is_up)
            for run in ("one", "two"):
                speaker.signals.publish(Topic.RUN_CHANGED, run)
            await eventually(lambda: len(listener.heard) == 2)
            return listener.heard

    assert uvloop.run(told()) == ["one", "two"]
