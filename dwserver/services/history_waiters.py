"""Requests that wait for the next event of a run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dwserver.engine.transition import RunChange


class HistoryWaiters:
    """An observer of commits. News are a saving: waiters look again by themselves."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._is_released = False

    def committed(self, change: RunChange) -> None:
        if self._waiting and change.events:
            self._wake(self._waiting.get(change.run.id, ()))

    def conflicted(self) -> None:
        """Nothing happened."""

    @contextmanager
    def listen(self, run_id: str) -> Iterator[asyncio.Future[None]]:
        """A future that is done at the next event of the run committed here."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        listeners = self._waiting.setdefault(run_id, set())
        listeners.add(news)
        try:
            yield news
        finally:
            listeners.discard(news)
            if not listeners:
                self._waiting.pop(run_id, None)

    async def wait(self, news: asyncio.Future[None], seconds: float) -> bool:
        """Wait for news; True when the caller should stop waiting (shutdown)."""
        if not self._is_released:
            await asyncio.wait((news,), timeout=seconds)
        return self._is_released

    def release_all(self) -> None:
        """End every wait (shutdown)."""
        self._is_released = True
        for listeners in self._waiting.values():
            self._wake(listeners)

    @staticmethod
    def _wake(listeners: Iterable[asyncio.Future[None]]) -> None:
        for news in tuple(listeners):
            if not news.done():
                news.set_result(None)
