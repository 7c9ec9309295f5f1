"""Answers to repeated polls (``spec/worker-protocol.md §5.1``).

A client that lost the answer to a poll sends the same ``poll_request_id`` again. The
first request with an id leads; the others wait for it and get the same lease, as long
as that is still good. Bounded and in memory: a process that does not know the id polls
anew, and the lost lease returns to the queue when it expires.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from dwserver.matching.pollers import Delivery
from dwserver.store.api import QueueKey


class PollRequestKey(NamedTuple):
    queue: QueueKey
    worker_id: str
    build_id: str | None
    request_id: str


@dataclass(slots=True)
class _Remembered:
    answer: asyncio.Future[Delivery | None]
    forget_at: float


class PollRequests:
    """``max_entries`` bounds the memory; seconds are of the event loop's clock."""

    def __init__(self, *, max_entries: int = 20_000) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[PollRequestKey, _Remembered] = OrderedDict()

    async def once(
        self,
        key: PollRequestKey,
        poll: Callable[[], Awaitable[Delivery | None]],
        *,
        is_deliverable: Callable[[Delivery], Awaitable[bool]],
        keep_seconds: Callable[[Delivery | None], float],
    ) -> Delivery | None:
        """The remembered answer of ``key`` if it still holds, else that of ``poll``."""
        loop = asyncio.get_running_loop()
        while (entry := self._remembered(key)) is not None:
            delivery = await asyncio.shield(entry.answer)
            if delivery is None or await is_deliverable(delivery):
                return delivery
            if self._entries.get(key) is entry:
                del self._entries[key]
        entry = _Remembered(loop.create_future(), 0.0)
        self._remember(key, entry)
        try:
            delivery = await poll()
        except BaseException as error:
            if self._entries.get(key) is entry:
                del self._entries[key]
            if not entry.answer.done():
                entry.answer.set_exception(
                    error if isinstance(error, Exception) else RuntimeError("cancelled")
                )
                # Followers may or may not be there to look at it.
                entry.answer.exception()
            raise
        entry.forget_at = loop.time() + keep_seconds(delivery)
        entry.answer.set_result(delivery)
        return delivery

    def _remembered(self, key: PollRequestKey) -> _Remembered | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        is_pending = not entry.answer.done()
        now = asyncio.get_running_loop().time()
        return entry if is_pending or entry.forget_at > now else None

    def _remember(self, key: PollRequestKey, entry: _Remembered) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        now = asyncio.get_running_loop().time()
        while self._entries:
            oldest = next(iter(self._entries.values()))
            is_over = oldest.answer.done() and oldest.forget_at <= now
            if not is_over and len(self._entries) <= self._max_entries:
                return
            self._entries.popitem(last=False)
