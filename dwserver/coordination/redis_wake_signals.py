"""Wake signals over Redis pub/sub: a channel for each topic, a message for many keys.

A process subscribes to what can wake it; hearing costs it more than saying costs the
other. Keys collect until the end of a short window; then one PUBLISH for each topic
carries all of them, each once. While one is under way the next messages collect, so a
slow Redis gets fewer and larger ones. What cannot be sent is kept, up to a bound, for
the end of the outage. Messages of this process itself are not heard.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final, Protocol

import orjson
import structlog

from dwserver.coordination.redis_connection import RedisConnection, RedisUnavailable
from dwserver.coordination.wake_signals import Hear, Key, Topic
from dwserver.runtime.backoff import Backoff
from dwserver.runtime.service import wait_event

_CHANNELS: Final = "server:long-poll-signal:"
# Between two messages; the first after a pause goes out with the event-loop turn.
WINDOW_SECONDS: Final = 0.005
# Nobody waits for these: they are for clients that ask again after a time-out.
UNHURRIED_SECONDS: Final = {Topic.POLL_ANSWERED: 0.05}
# During an outage.
RETRY_SECONDS: Final = 0.25
MAX_KEYS_PER_MESSAGE: Final = 2_000
MAX_KEPT_KEYS: Final = 20_000
# How long the start of the process waits for the first subscription.
FIRST_SUBSCRIPTION_SECONDS: Final = 2.0

_log = structlog.stdlib.get_logger(__name__)


class WakeObserver(Protocol):
    """Counters of signals; must not raise."""

    def sent(self, keys: int) -> None: ...
    def heard(self, keys: int) -> None: ...
    def dropped(self, keys: int) -> None: ...


def channel_of(topic: Topic) -> str:
    return f"{_CHANNELS}{topic.value}"


class RedisWakeSignals:
    """A :class:`~dwserver.coordination.wake_signals.WakeSignals` and a service: it
    listens from ``start`` to ``stop``. ``spawn`` owns the tasks it is given. Nobody in
    this process waits for other than ``topics``: what would listen to them is deaf."""

    name = "wake-signals"
    is_shared = True

    def __init__(
        self,
        connection: RedisConnection,
        *,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        observer: WakeObserver,
        topics: Collection[Topic] = tuple(Topic),
        backoff: Backoff | None = None,
    ) -> None:
        self._connection = connection
        self._spawn = spawn
        self._observer = observer
        self._topics = topics
        self._backoff = backoff or Backoff(initial_seconds=0.1, maximum_seconds=2.0)
        self._sender = secrets.token_hex(8)
        self._kept: dict[tuple[Topic, Key], None] = {}
        self._flush: asyncio.Handle | None = None
        # When it is to run: the handles of uvloop do not always tell.
        self._flush_at = 0.0
        self._is_sending = False
        self._next_message_at = 0.0
        self._listeners: dict[str, list[Hear]] = {}
        self._on_gap: list[Callable[[], None]] = []
        self._first_try = asyncio.Event()
        self._stopping = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        connection.on_restored(self._restored)

    # publishing -----------------------------------------------------------------
    def publish(self, topic: Topic, key: Key) -> None:
        if len(self._kept) >= MAX_KEPT_KEYS:
            self._observer.dropped(1)
            return
        self._kept[topic, key] = None
        if not self._is_sending:
            self._plan(self._patience(topic))

    def _patience(self, topic: Topic) -> float:
        if not self._connection.state().is_up:
            return RETRY_SECONDS
        return UNHURRIED_SECONDS.get(topic, 0.0)

    def _plan(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        at = max(loop.time() + patience, self._next_message_at)
        if self._flush is not None:
            if self._flush_at <= at:
                return
            self._flush.cancel()
        self._flush = loop.call_at(at, self._begin_sending)
        self._flush_at = at

    def _begin_sending(self) -> None:
        self._flush = None
        if self._kept and not self._is_sending:
            self._is_sending = True
            self._spawn("wake-publish", self._send())

    async def _send(self) -> None:
        taken = list(self._kept)[:MAX_KEYS_PER_MESSAGE]
        by_topic: dict[Topic, list[Key]] = {}
        for each in taken:
            del self._kept[each]
            by_topic.setdefault(each[0], []).append(each[1])
        self._next_message_at = asyncio.get_running_loop().time() + WINDOW_SECONDS
        patience = 0.0
        try:
            while by_topic:
                topic = next(iter(by_topic))
                keys = by_topic[topic]
                message = orjson.dumps([self._sender, {topic.value: keys}])
                await self._connection.execute("PUBLISH", channel_of(topic), message)
                self._observer.sent(len(keys))
                del by_topic[topic]
        except RedisUnavailable:
            self._keep([each for each in taken if each[0] in by_topic])
            patience = RETRY_SECONDS
        finally:
            self._is_sending = False
        if self._kept and not self._stopping.is_set():
            self._plan(patience)

    def _keep(self, taken: list[tuple[Topic, Key]]) -> None:
        room = max(MAX_KEPT_KEYS - len(self._kept), 0)
        self._kept.update(dict.fromkeys(taken[:room]))
        if len(taken) > room:
            self._observer.dropped(len(taken) - room)

    def _restored(self) -> None:
        if self._kept and not self._is_sending and not self._stopping.is_set():
            self._plan(0.0)

    # listening ------------------------------------------------------------------
    def listen(self, topic: Topic, hear: Hear) -> None:
        if topic in self._topics:
            self._listeners.setdefault(topic.value, []).append(hear)

    def on_gap(self, action: Callable[[], None]) -> None:
        self._on_gap.append(action)

    async def start(self) -> None:
        """Returns when the first subscription stands or has failed."""
        if self._listening is None and self._listeners:
            self._listening = asyncio.create_task(self._listen(), name=self.name)
            await wait_event(self._first_try, FIRST_SUBSCRIPTION_SECONDS)

    async def drain(self) -> None:
        """What other processes wait for is still sent until the end."""

    async def stop(self) -> None:
        self._stopping.set()
        if self._flush is not None:
            self._flush.cancel()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        if self._kept and not self._is_sending and self._connection.state().is_up:
            await self._send()
        await self._connection.close()

    async def _listen(self) -> None:
        failures = 0

        def subscribed() -> None:
            nonlocal failures
            failures = 0
            self._first_try.set()
            for action in self._on_gap:
                action()

        while not self._stopping.is_set():
            try:
                await self._connection.listen(
                    [channel_of(Topic(word)) for word in self._listeners],
                    subscribed=subscribed,
                    hear=self._hear,
                )
            except RedisUnavailable:
                failures += 1
            self._first_try.set()
            delay = self._backoff.delay_seconds(max(failures, 1))
            await wait_event(self._stopping, delay)

    def _hear(self, message: bytes) -> None:
        """What cannot be read comes from another version: it is left out."""
        try:
            sender, by_topic = orjson.loads(message)
            topics = list(by_topic.items())
        except (ValueError, TypeError, AttributeError) as error:
            _log.warning("wake_signal_failed", error=str(error))
            return
        if sender == self._sender:
            return
        for topic, keys in topics:
            try:
                self._pass_on(topic, keys)
            except Exception as error:
                _log.warning("wake_signal_failed", topic=topic, exc_info=error)

    def _pass_on(self, topic: str, keys: list[Any]) -> None:
        for hear in self._listeners.get(topic, ()):
            self._observer.heard(len(keys))
            for key in keys:
                hear(tuple(key) if isinstance(key, list) else key)
