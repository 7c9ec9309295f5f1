"""Answers to repeated polls (``spec/worker-protocol.md §5.1``).

A client that lost the answer to a poll sends the same ``poll_request_id`` again. The
first request with an id leads; the others wait for it and get the same lease, as long
as that is still good. Bounded and in memory; what other processes leased is asked of
``services/poll_news.py``. A process that does not know the id polls anew, and the lost
lease returns to the queue when it expires.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dwserver.engine.wire_time import MICROS
from dwserver.services.poll_news import LeaseNote, PollNews, PollRequestKey

Lease = TypeVar("Lease")


def seconds_to_keep(
    lease_expires_at: int | None, *, now: int, wait_seconds: float
) -> float:
    """How long an answer is remembered: a lease a little longer than it lasts, an
    empty answer (None) about as long as its poll may have waited."""
    if lease_expires_at is None:
        return max(5.0, min(60.0, wait_seconds + 5.0))
    seconds = (lease_expires_at - now) / MICROS + 5.0
    return min(max(seconds, 5.0), 3600.0)


@dataclass(slots=True)
class _Remembered(Generic[Lease]):
    answer: asyncio.Future[Lease | None]
    forget_at: float


class PollRequests(Generic[Lease]):
    """``max_entries`` bounds the memory; seconds are of the event loop's clock.

    ``note``: where a lease is. ``restore``: the lease that a note of another process
    means for this worker, if it is still good.
    """

    def __init__(
        self,
        *,
        news: PollNews,
        note: Callable[[Lease], LeaseNote],
        restore: Callable[[LeaseNote, str], Awaitable[Lease | None]],
        max_entries: int = 20_000,
    ) -> None:
        self._news = news
        self._note = note
        self._restore = restore
        self._max_entries = max_entries
        self._entries: OrderedDict[PollRequestKey, _Remembered[Lease]] = OrderedDict()

    async def once(
        self,
        key: PollRequestKey,
        poll: Callable[[], Awaitable[Lease | None]],
        *,
        is_deliverable: Callable[[Lease], Awaitable[bool]],
        keep_seconds: Callable[[Lease | None], float],
    ) -> Lease | None:
        """The remembered answer of ``key`` if it still holds, else that of ``poll``."""
        loop = asyncio.get_running_loop()
        while (entry := self._remembered(key)) is not None:
            answer = await asyncio.shield(entry.answer)
            if answer is None or await is_deliverable(answer):
                return answer
            if self._entries.get(key) is entry:
                del self._entries[key]
        entry = _Remembered(loop.create_future(), 0.0)
        self._remember(key, entry)
        try:
            answer = await self._from_elsewhere(key)
            if answer is None:
                answer = await poll()
                if answer is not None:
                    self._news.tell(key, self._note(answer))
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
        entry.forget_at = loop.time() + keep_seconds(answer)
        entry.answer.set_result(answer)
        return answer

    async def _from_elsewhere(self, key: PollRequestKey) -> Lease | None:
        note = self._news.find(key)
        return await self._restore(note, key.worker_id) if note else None

    def _remembered(self, key: PollRequestKey) -> _Remembered[Lease] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        is_pending = not entry.answer.done()
        now = asyncio.get_running_loop().time()
        return entry if is_pending or entry.forget_at > now else None

    def _remember(self, key: PollRequestKey, entry: _Remembered[Lease]) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        now = asyncio.get_running_loop().time()
        while self._entries:
            oldest = next(iter(self._entries.values()))
            is_over = oldest.answer.done() and oldest.forget_at <= now
            if not is_over and len(self._entries) <= self._max_entries:
                return
            self._entries.popitem(last=False)
