"""Answers to repeated polls (``spec/worker-protocol.md §5.1``).

A client that lost the answer to a poll sends the same ``poll_request_id`` again. The
first request with an id leads; the others wait for it and get the same lease, as long
as that is still good. What is remembered is where the lease is, here as of other
processes (``services/poll_news.py``). Bounded and in memory: a process that does not
know the id polls anew, and the lost lease returns to the queue when it expires.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from dwserver.engine.wire_time import MICROS
from dwserver.services.poll_news import LeaseNote, PollNews, PollRequestKey

Lease = TypeVar("Lease")

_GRACE: Final = 5 * MICROS
_LONGEST_EMPTY: Final = 60 * MICROS
_LONGEST: Final = 3600 * MICROS


def forgotten_at(note: LeaseNote | None, *, now: int, wait_seconds: float) -> int:
    """Until when an answer is remembered: a lease a little longer than it lasts, an
    empty answer (None) about as long as its poll may have waited. Epoch microseconds,
    as ``now``."""
    if note is None:
        waited = int(max(wait_seconds, 0.0) * MICROS)
        return now + min(waited + _GRACE, _LONGEST_EMPTY)
    return min(max(note.expires_at, now) + _GRACE, now + _LONGEST)


@dataclass(slots=True)
class _Remembered:
    """``pending``: what the leader is going to find. Once it has, ``note``: where the
    lease is, None for an empty answer."""

    pending: asyncio.Future[LeaseNote | None] | None
    note: LeaseNote | None = None
    forget_at: int = 0

    def settle(self, note: LeaseNote | None, *, forget_at: int) -> None:
        pending, self.pending = self.pending, None
        self.note = note
        self.forget_at = forget_at
        if pending is not None:
            pending.set_result(note)


class PollRequests(Generic[Lease]):
    """``max_entries`` bounds the memory; ``now``: epoch microseconds.

    ``note``: where a lease is. ``restore``: the lease that a note means for this
    worker, if it is still good.
    """

    def __init__(
        self,
        *,
        news: PollNews,
        note: Callable[[Lease], LeaseNote],
        restore: Callable[[LeaseNote, str], Awaitable[Lease | None]],
        now: Callable[[], int],
        max_entries: int = 20_000,
    ) -> None:
        self._news = news
        self._note = note
        self._restore = restore
        self._now = now
        self._max_entries = max_entries
        self._entries: OrderedDict[PollRequestKey, _Remembered] = OrderedDict()

    async def once(
        self,
        key: PollRequestKey,
        poll: Callable[[], Awaitable[Lease | None]],
        *,
        wait_seconds: float,
    ) -> Lease | None:
        """The remembered answer of ``key`` if it still holds, else that of ``poll``,
        which may take ``wait_seconds``."""
        while (entry := self._remembered(key)) is not None:
            pending = entry.pending
            note = entry.note if pending is None else await asyncio.shield(pending)
            if note is None:
                return None
            lease = await self._restore(note, key.worker_id)
            if lease is not None:
                return lease
            if self._entries.get(key) is entry:
                del self._entries[key]
        entry = _Remembered(asyncio.get_running_loop().create_future())
        self._remember(key, entry)
        try:
            lease, note = await self._lead(key, poll)
        except BaseException as error:
            self._fail(key, entry, error)
            raise
        entry.settle(
            note,
            forget_at=forgotten_at(note, now=self._now(), wait_seconds=wait_seconds),
        )
        return lease

    async def _lead(
        self, key: PollRequestKey, poll: Callable[[], Awaitable[Lease | None]]
    ) -> tuple[Lease | None, LeaseNote | None]:
        """A lease and where it is."""
        note = self._news.find(key)
        lease = await self._restore(note, key.worker_id) if note else None
        if lease is not None:
            return lease, note
        lease = await poll()
        if lease is None:
            return None, None
        note = self._note(lease)
        self._news.tell(key, note)
        return lease, note

    def _fail(
        self, key: PollRequestKey, entry: _Remembered, error: BaseException
    ) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]
        pending = entry.pending
        if pending is not None and not pending.done():
            pending.set_exception(
                error if isinstance(error, Exception) else RuntimeError("cancelled")
            )
            # Followers may or may not be there to look at it.
            pending.exception()

    def _remembered(self, key: PollRequestKey) -> _Remembered | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        is_good = entry.pending is not None or entry.forget_at > self._now()
        return entry if is_good else None

    def _remember(self, key: PollRequestKey, entry: _Remembered) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        now = self._now()
        while self._entries:
            oldest = next(iter(self._entries.values()))
            is_over = oldest.pending is None and oldest.forget_at <= now
            if not is_over and len(self._entries) <= self._max_entries:
                return
            self._entries.popitem(last=False)
