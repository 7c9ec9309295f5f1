"""Requests of this process that wait for the next event of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from dwserver.engine.transition import RunChange


def _alone(run_id: str) -> None:
    """There is no other process to tell."""


class HistoryWaiters:
    """An observer of commits. News are a saving: waiters look again by themselves.
    ``watch`` is told of every run that somebody waits for."""

    def __init__(self, watch: Callable[[str], None] = _alone) -> None:
        self._watch = watch
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._is_released = False

    def committed(self, change: RunChange) -> None:
        if self._waiting and change.events:
            self._wake(self._waiting.get(change.run.id, ()))

    def conflicted(self) -> None:
        """Nothing happened."""

    def heard_of(self, run_id: str) -> None:
        """Another process has written events of the run."""
        self._wake(self._waiting.get(run_id, ()))

    def missed_news(self) -> None:
        """Anything may have happened elsewhere: let everybody look."""
        for listeners in self._waiting.values():
            self._wake(listeners)

    @contextmanager
    def listen(self, run_id: str) -> Iterator[asyncio.Future[None]]:
        """A future that is done at the next event of the run that is heard of."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        listeners = self._waiting.setdefault(run_id, set())
        listeners.add(news)
        self._watch(run_id)
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
        self.missed_news()

    @staticmethod
    def _wake(listeners: Iterable[asyncio.Future[None]]) -> None:
        for news in tuple(listeners):
            if not news.done():
                news.set_result(None)
