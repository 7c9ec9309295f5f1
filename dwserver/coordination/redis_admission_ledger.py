"""Locks and counters of capped queues, on Redis."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from weakref import WeakValueDictionary

from dwserver.coordination.admission_ledger import (
    LOCK_SECONDS,
    WAIT_SECONDS,
    LedgerUnavailable,
    Scope,
)
from dwserver.coordination.redis_connection import (
    RedisConnection,
    RedisUnavailable,
    Script,
)
from dwserver.runtime.backoff import Backoff

LOCK_PREFIX: Final = "server:task-queue-admission:"
COUNTER_PREFIX: Final = "server:task-queue-dispatch:"
COUNTER_SECONDS: Final = 120

_RELEASE = Script.of(
    """-- Delete the lock if it is still the caller's.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0"""
)
_COUNT = Script.of(
    """-- Count one dispatch in each counter.
for _, key in ipairs(KEYS) do
  redis.call('INCR', key)
  redis.call('EXPIRE', key, ARGV[1])
end
return 0"""
)
_RETRY = Backoff(initial_seconds=0.005, maximum_seconds=0.05)


class RedisLedger:
    """An :class:`~dwserver.coordination.admission_ledger.AdmissionLedger`. Claims of
    this process queue up in memory: one of them at a time asks Redis for the lock."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._turns: WeakValueDictionary[Scope, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def lock(self, scope: Scope) -> AsyncIterator[None]:
        turn = self._turns.setdefault(scope, asyncio.Lock())
        key, token = f"{LOCK_PREFIX}{_word(scope)}", secrets.token_hex(8)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn.acquire()
        except TimeoutError as error:
            raise LedgerUnavailable("the lock is taken") from error
        try:
            await self._acquire(key, token)
            try:
                yield
            finally:
                # Else it ends by itself.
                with suppress(RedisUnavailable):
                    await self._connection.run(_RELEASE, [key], token)
        finally:
            turn.release()

    async def _acquire(self, key: str, token: str) -> None:
        words = ("SET", key, token, "NX", "PX", round(LOCK_SECONDS * 1000))
        tries = 0
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while await self._connection.execute(*words) is None:
                    tries += 1
                    await asyncio.sleep(_RETRY.delay_seconds(tries))
        except RedisUnavailable as error:
            raise LedgerUnavailable(str(error)) from error
        except TimeoutError as error:
            raise LedgerUnavailable("the lock is taken") from error

    async def dispatches(self, scopes: Sequence[Scope], *, minute: int) -> list[int]:
        if not scopes:
            return []
        keys = [_counter(scope, minute) for scope in scopes]
        try:
            found = await self._connection.execute("MGET", *keys)
        except RedisUnavailable as error:
            raise LedgerUnavailable(str(error)) from error
        return [int(each or 0) for each in found]

    async def count_dispatch(self, scopes: Sequence[Scope], *, minute: int) -> None:
        keys = [_counter(scope, minute) for scope in scopes]
        try:
            await self._connection.run(_COUNT, keys, COUNTER_SECONDS)
        except RedisUnavailable as error:
            raise LedgerUnavailable(str(error)) from error

    async def check(self) -> None:
        try:
            await self._connection.execute("PING")
        except RedisUnavailable as error:
            raise LedgerUnavailable(str(error)) from error


def _word(scope: Scope) -> str:
    """The namespace, which chooses the slot of a cluster, and the rest."""
    namespace = _short(scope.namespace)
    return f"{{{namespace}}}:{_short(chr(0).join(scope[1:]))}"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]


def _counter(scope: Scope, minute: int) -> str:
    stamp = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y%m%d%H%M")
    return f"{COUNTER_PREFIX}{_word(scope)}:{stamp}"
