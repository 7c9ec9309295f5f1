"""Requests that wait until an update is closed (``spec/engine.md §9.6``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dwserver.engine.model import Update
from dwserver.engine.transition import RunChange
from dwserver.services.hot_runs import HotRuns
from dwserver.store.api import Store

# Rechecks of one waiter get rarer up to this; news of this process come at once.
MAX_RECHECK_SECONDS: Final = 1.0


class UpdateWaiters:
    """An observer of commits; ``recheck_seconds``: how soon the database is asked for
    what another process did."""

    def __init__(self, store: Store, hot: HotRuns, *, recheck_seconds: float) -> None:
        self._store = store
        self._hot = hot
        self._recheck_seconds = recheck_seconds
        self._waiting: dict[str, set[asyncio.Future[Update]]] = {}
        self._released = asyncio.Event()

    def committed(self, change: RunChange) -> None:
        if not self._waiting:
            return
        for update in (*change.new_updates, *change.updates):
            if update.is_open:
                continue
            for news in self._waiting.get(update.id, ()):
                if not news.done():
                    news.set_result(update)

    def conflicted(self) -> None:
        """Nothing happened."""

    def release_all(self) -> None:
        """End every wait (shutdown)."""
        self._released.set()

    async def closed(
        self, update: Update, *, seconds: float, is_connected: Callable[[], bool]
    ) -> Update:
        """The update once it is closed, or as it is when time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pause = self._recheck_seconds
        news: asyncio.Future[Update] = loop.create_future()
        listeners = self._waiting.setdefault(update.id, set())
        listeners.add(news)
        released = asyncio.ensure_future(self._released.wait())
        try:
            if not self._is_open_here(update):
                update = await self._read(update)
            while update.is_open and is_connected() and not self._released.is_set():
                left = deadline - loop.time()
                if left <= 0:
                    break
                await asyncio.wait(
                    (news, released),
                    timeout=min(left, pause),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                update = news.result() if news.done() else await self._read(update)
                pause = max(pause, min(pause * 2, MAX_RECHECK_SECONDS))
        finally:
            released.cancel()
            listeners.discard(news)
            if not listeners:
                self._waiting.pop(update.id, None)
        return update

    def _is_open_here(self, update: Update) -> bool:
        """It was open at the last commit that this process knows of."""
        hot = self._hot.get(update.run_id)
        return hot is not None and update.sequence in hot.state.updates

    async def _read(self, update: Update) -> Update:
        return await self._store.find_update(update.id) or update
