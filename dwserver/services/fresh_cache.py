"""A bounded cache that asks again in time, and only once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class FreshCache(Generic[Key, Value]):
    """What ``read`` found, for at most ``ttl`` microseconds.

    Callers that miss the same key at the same time share one read. What was not found
    is not remembered: it may exist a moment later.
    """

    def __init__(
        self,
        read: Callable[[Key], Awaitable[Value | None]],
        *,
        now: Callable[[], int],
        ttl: int,
        max_entries: int,
    ) -> None:
        self._read = read
        self._now = now
        self._ttl = ttl
        self._max_entries = max_entries
        self._found: OrderedDict[Key, tuple[int, Value]] = OrderedDict()
        self._reading: dict[Key, asyncio.Future[Value | None]] = {}

    def fresh(self, key: Key) -> Value | None:
        """The remembered value, if it is not too old."""
        entry = self._found.get(key)
        if entry is not None and entry[0] > self._now():
            return entry[1]
        return None

    def remembered(self, key: Key) -> Value | None:
        """What was last heard, however old."""
        entry = self._found.get(key)
        return None if entry is None else entry[1]

    async def get(self, key: Key) -> Value | None:
        """The value, read if need be. Raises what ``read`` raises."""
        value = self.fresh(key)
        if value is not None:
            return value
        reading = self._reading.get(key)
        if reading is None:
            reading = asyncio.ensure_future(self._refresh(key))
            self._reading[key] = reading
        return await asyncio.shield(reading)

    def put(self, key: Key, value: Value) -> None:
        self._reading.pop(key, None)
        self._found[key] = (self._now() + self._ttl, value)
        self._found.move_to_end(key)
        while len(self._found) > self._max_entries:
            self._found.popitem(last=False)

    def expire(self, key: Key) -> None:
        """The value is only remembered from now on: who asks for it waits for a new
        read."""
        self._reading.pop(key, None)
        entry = self._found.get(key)
        if entry is not None:
            self._found[key] = (0, entry[1])

    def renew(self, key: Key) -> None:
        """Expire what is remembered, and read it again at once. A read that fails
        leaves nothing."""
        if key not in self._found:
            return
        self.expire(key)
        reading = asyncio.ensure_future(self._refresh(key))
        self._reading[key] = reading
        reading.add_done_callback(lambda done: self._renewed(key, done))

    def _renewed(self, key: Key, reading: asyncio.Future[Value | None]) -> None:
        if reading.cancelled() or reading.exception() is not None:
            self._found.pop(key, None)

    def forget(self, key: Key) -> None:
        self._reading.pop(key, None)
        self._found.pop(key, None)

    async def _refresh(self, key: Key) -> Value | None:
        reading = asyncio.current_task()
        try:
            value = await self._read(key)
        except BaseException:
            if self._reading.get(key) is reading:
                del self._reading[key]
            raise
        if self._reading.get(key) is not reading:
            # What was put or forgotten meanwhile is newer than what was read.
            return value
        if value is None:
            self.forget(key)
        else:
            self.put(key, value)
        return value
