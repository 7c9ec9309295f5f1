"""Locks and counters of capped queues, and those of a process that is alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

# A lock that is not released ends by itself; nobody waits longer for one.
LOCK_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 1.0


class LedgerUnavailable(Exception):
    """Nothing can be promised now: the lock is taken too long, or is out of reach."""


class Scope(NamedTuple):
    """What is locked or counted: all of a namespace, one queue or one group of it."""

    namespace: str
    kind: str
    queue: str = ""
    group: str = ""


class AdmissionLedger(Protocol):
    """Every method may raise :class:`LedgerUnavailable`. ``minute`` names the minute of
    the wall clock that dispatches are counted in."""

    def lock(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        """Held by one caller of all processes at a time."""
        ...

    async def dispatches(self, scopes: Sequence[Scope], *, minute: int) -> list[int]:
        """How many were counted in that minute."""
        ...

    async def count_dispatch(self, scopes: Sequence[Scope], *, minute: int) -> None: ...

    async def check(self) -> None:
        """Raises unless a lock could be had."""
        ...


class MemoryLedger:
    """Of a process that is alone on its database."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Scope, asyncio.Lock] = WeakValueDictionary()
        self._minute = 0
        self._counts: dict[Scope, int] = {}

    @asynccontextmanager
    async def lock(self, scope: Scope) -> AsyncIterator[None]:
        lock = self._locks.setdefault(scope, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await lock.acquire()
        except TimeoutError as error:
            raise LedgerUnavailable("the lock is taken") from error
        try:
            yield
        finally:
            lock.release()

    async def dispatches(self, scopes: Sequence[Scope], *, minute: int) -> list[int]:
        if minute != self._minute:
            return [0] * len(scopes)
        return [self._counts.get(scope, 0) for scope in scopes]

    async def count_dispatch(self, scopes: Sequence[Scope], *, minute: int) -> None:
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        for scope in scopes:
            self._counts[scope] = self._counts.get(scope, 0) + 1

    async def check(self) -> None:
        """Memory is always there."""


class MissingLedger:
    """Of a process among others that share no backend: nothing can be promised."""

    @asynccontextmanager
    async def lock(self, scope: Scope) -> AsyncIterator[None]:
        await self.check()
        yield

    async def dispatches(self, scopes: Sequence[Scope], *, minute: int) -> list[int]:
        return [0] * len(scopes)

    async def count_dispatch(self, scopes: Sequence[Scope], *, minute: int) -> None:
        """Nothing is ever dispatched."""

    async def check(self) -> None:
        raise LedgerUnavailable("several processes, and no Redis")
