"""The connection of a process to Redis: commands, scripts, one subscription.

The only module that knows redis-py. Every failure is :class:`RedisUnavailable`, within
about a second. During an outage commands fail at once; one of them is let through
after each pause of a jittered back-off. An outage is one warning in the log.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Protocol

import structlog
from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from dwserver.coordination.redis_address import RedisAddress, RedisKind
from dwserver.runtime.backoff import Backoff

SOCKET_SECONDS = 1.0
# A command may wait for a free connection as well.
COMMAND_SECONDS = 2.0
# Silence on a subscription after which it is asked whether it still lives.
QUIET_SECONDS = 5.0
QUIET_SECONDS_WHEN_LOST = 0.5
# Between two lines about commands that are refused.
REFUSAL_LOG_SECONDS = 60.0
PROBE_KEY = "server:readiness:"
PROBE_TTL_SECONDS = 10

_LOST = (RedisError, RedisClusterException, OSError, TimeoutError)
_BREAKER = Backoff(initial_seconds=0.1, maximum_seconds=2.0)

_log = structlog.stdlib.get_logger(__name__)


class RedisUnavailable(Exception):
    """Redis did not answer, or answered with an error; the text says which."""


class RedisObserver(Protocol):
    """Told about the state of the connection; must not raise."""

    def redis_is_up(self, is_up: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class RedisState:
    """``why`` Redis does not help now; None while it does."""

    why: str | None = None

    @property
    def is_up(self) -> bool:
        return self.why is None


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, run by its digest."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class RedisConnection:
    """``max_connections`` bounds what commands of this process may use at once; a
    subscription has a connection of its own."""

    def __init__(
        self,
        address: RedisAddress,
        *,
        observer: RedisObserver,
        max_connections: int = 8,
        breaker: Backoff = _BREAKER,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # The client of a primary does not close those of its sentinels.
        self._sentinels: Sequence[Redis] = ()
        if address.kind is RedisKind.SENTINEL:
            self._client, self._sentinels = _by_sentinel(address, max_connections + 1)
        else:
            self._client = _client(address, max_connections)
        self._is_cluster = address.kind is RedisKind.CLUSTER
        self._address = address
        self._observer = observer
        self._slots = asyncio.Semaphore(max_connections)
        self._breaker = breaker
        self._monotonic = monotonic
        self._why_lost: str | None = None
        self._lost_at = 0.0
        self._answered_at = 0.0
        self._failures = 0
        self._try_again_at = 0.0
        self._tell_of_refusals_at = 0.0
        self._on_restored: list[Callable[[], None]] = []

    # state ----------------------------------------------------------------------
    def state(self) -> RedisState:
        """What is known without asking."""
        return RedisState(self._why_lost)

    def on_restored(self, action: Callable[[], None]) -> None:
        """Call ``action`` whenever an outage has ended."""
        self._on_restored.append(action)

    async def probe(self) -> None:
        """Write, read back and delete a key (``spec/topology-and-operations.md §3.2``).
        Raises :class:`RedisUnavailable`."""
        token = secrets.token_hex(8)
        key = f"{PROBE_KEY}{token}"
        await self.execute("SET", key, token, "EX", PROBE_TTL_SECONDS)
        found = await self.execute("GET", key)
        if found != token.encode():
            raise RedisUnavailable("a key that was written cannot be read")
        await self.execute("DEL", key)

    def _answered(self) -> None:
        self._answered_at = self._monotonic()
        self._failures = 0
        if self._why_lost is None:
            return
        _log.info("redis_back", after_seconds=self._monotonic() - self._lost_at)
        self._why_lost = None
        self._observer.redis_is_up(True)
        for action in self._on_restored:
            action()

    def _failed(self, error: BaseException, *, began_at: float) -> RedisUnavailable:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if began_at < self._answered_at:
            # Redis has answered something since: this says nothing about now.
            return RedisUnavailable(why)
        self._failures += 1
        pause = self._breaker.delay_seconds(self._failures)
        self._try_again_at = self._monotonic() + pause
        if self._why_lost is None:
            self._lost_at = self._monotonic()
            self._why_lost = why
            self._observer.redis_is_up(False)
            _log.warning("redis_lost", error=why, effect="latency only")
        return RedisUnavailable(why)

    def _refused(self, error: ResponseError) -> RedisUnavailable:
        """It answers, but does not do it (out of memory, read-only, a wrong type)."""
        now = self._monotonic()
        if now >= self._tell_of_refusals_at:
            self._tell_of_refusals_at = now + REFUSAL_LOG_SECONDS
            _log.warning("redis_refused", error=str(error), effect="latency only")
        return RedisUnavailable(str(error))

    # commands -------------------------------------------------------------------
    async def execute(self, *words: str | bytes | int) -> Any:
        """One command. Raises :class:`RedisUnavailable`."""
        async with self._attempt():
            return await self._client.execute_command(*words)

    async def run(
        self, script: Script, keys: Sequence[str], *arguments: str | bytes | int
    ) -> Any:
        """Run a script on keys of one slot. Raises :class:`RedisUnavailable`."""
        words = (len(keys), *keys, *arguments)
        async with self._attempt():
            try:
                return await self._client.execute_command(
                    "EVALSHA", script.digest, *words
                )
            except NoScriptError:
                return await self._client.execute_command("EVAL", script.text, *words)

    @asynccontextmanager
    async def _attempt(self) -> AsyncIterator[None]:
        now = self._monotonic()
        if self._why_lost is not None:
            if now < self._try_again_at:
                raise RedisUnavailable(self._why_lost)
            # Others fail at once while this one tries.
            self._try_again_at = now + COMMAND_SECONDS
        try:
            async with asyncio.timeout(COMMAND_SECONDS), self._slots:
                yield
        except ResponseError as error:
            self._answered()
            raise self._refused(error) from error
        except _LOST as error:
            raise self._failed(error, began_at=now) from error
        self._answered()

    # subscription ---------------------------------------------------------------
    async def listen(
        self,
        channels: Sequence[str],
        *,
        subscribed: Callable[[], None],
        hear: Callable[[bytes], None],
    ) -> None:
        """Pass on what is published until the subscription breaks: then raises
        :class:`RedisUnavailable`. ``subscribed`` is called when it stands for all
        ``channels``. Whether one that broke means an outage, the next attempt shows."""
        began_at = self._monotonic()
        try:
            client = await self._subscriber()
        except _LOST as error:
            raise self._failed(error, began_at=began_at) from error
        pubsub: PubSub = client.pubsub()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await pubsub.subscribe(*channels)
            while True:
                message = await self._next_message(pubsub)
                if message["type"] == "subscribe":
                    self._answered()
                    if message["data"] == len(channels):
                        subscribed()
                elif message["type"] == "message":
                    hear(message["data"])
        except _LOST as error:
            raise self._failed(error, began_at=began_at) from error
        finally:
            with suppress(*_LOST):
                await pubsub.aclose()  # type: ignore[no-untyped-call]
            if client is not self._client:
                await client.aclose()

    async def _next_message(self, pubsub: PubSub) -> dict[str, Any]:
        """The next message of whatever type; raises TimeoutError when the other side
        does not even answer a ping."""
        while True:
            is_lost = self._why_lost is not None
            quiet = QUIET_SECONDS_WHEN_LOST if is_lost else QUIET_SECONDS
            message: dict[str, Any] | None = await pubsub.get_message(timeout=quiet)
            if message is None:
                async with asyncio.timeout(SOCKET_SECONDS):
                    await pubsub.ping()
                message = await pubsub.get_message(timeout=SOCKET_SECONDS)
            if message is None:
                raise TimeoutError("no answer to a ping")
            if message["type"] != "pong":
                return message
            self._answered()

    async def _subscriber(self) -> Any:
        """A client for the subscription: what is published on one node of a cluster is
        heard on all."""
        if not self._is_cluster:
            return self._client
        cluster: RedisCluster = self._client
        async with asyncio.timeout(COMMAND_SECONDS):
            await cluster.initialize()
        node = cluster.get_default_node()
        return _single(self._address, node.host, int(node.port), 1)

    async def close(self) -> None:
        with suppress(*_LOST):
            await self._client.aclose()
        for sentinel in self._sentinels:
            with suppress(*_LOST):
                await sentinel.aclose()


def _client(address: RedisAddress, max_connections: int) -> Any:
    """Of a server or a cluster. The subscription takes a connection of its own."""
    match address.kind:
        case RedisKind.SINGLE if address.path is not None:
            pool = ConnectionPool(
                connection_class=UnixDomainSocketConnection,
                path=address.path,
                max_connections=max_connections + 1,
                **_options(address),
            )
            return Redis.from_pool(pool)
        case RedisKind.SINGLE:
            host, port = address.nodes[0]
            return _single(address, host, port, max_connections + 1)
        case RedisKind.CLUSTER:
            # Once more after a look at who is in the cluster now.
            options = _options(address) | {"retry": Retry(NoBackoff(), 1)}
            options.pop("db")
            return RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in address.nodes],
                max_connections=max_connections,
                ssl=address.is_secure,
                **options,
            )


def _single(address: RedisAddress, host: str, port: int, max_connections: int) -> Redis:
    pool = ConnectionPool(
        connection_class=SSLConnection if address.is_secure else Connection,
        host=host,
        port=port,
        max_connections=max_connections,
        **_options(address),
    )
    return Redis.from_pool(pool)


def _by_sentinel(
    address: RedisAddress, max_connections: int
) -> tuple[Any, Sequence[Redis]]:
    """The client of the primary, and those of the sentinels."""
    timeouts = {
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
    }
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(address.nodes),
        sentinel_kwargs={**timeouts, "ssl": address.is_secure},
        ssl=address.is_secure,
        max_connections=max_connections,
        **_options(address),
    )
    return sentinel.master_for(address.service or ""), sentinel.sentinels


def _options(address: RedisAddress) -> dict[str, Any]:
    """``retry``: none, because the callers know better when to try again."""
    return {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
