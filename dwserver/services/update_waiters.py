"""Requests that wait until an update is closed (``spec/engine.md §9.6``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dwserver.engine.model import Update
from dwserver.engine.transition import RunChange
from dwserver.services.hot_runs import HotRuns
from dwserver.store.api import Store

# Rechecks of one waiter get rarer up to this; news come at once.
MAX_RECHECK_SECONDS: Final = 1.0


def _alone(run_id: str) -> None:
    """There is no other process to tell."""


class UpdateWaiters:
    """An observer of commits; ``recheck_seconds``: how soon the database is asked for
    what another process did. ``watch`` is told of every run that somebody waits for."""

    def __init__(
        self,
        store: Store,
        hot: HotRuns,
        *,
        recheck_seconds: float,
        watch: Callable[[str], None] = _alone,
    ) -> None:
        self._store = store
        self._hot = hot
        self._recheck_seconds = recheck_seconds
        self._watch = watch
        self._waiting: dict[str, set[asyncio.Future[Update]]] = {}
        self._to_look: dict[str, set[asyncio.Event]] = {}
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

    def heard_of(self, run_id: str) -> None:
        """Another process has written events of the run."""
        for look in self._to_look.get(run_id, ()):
            look.set()

    def missed_news(self) -> None:
        """Anything may have happened elsewhere: let everybody look."""
        for run_id in self._to_look:
            self.heard_of(run_id)

    async def closed(
        self, update: Update, *, seconds: float, is_connected: Callable[[], bool]
    ) -> Update:
        """The update once it is closed, or as it is when time is up."""
        deadline = asyncio.get_running_loop().time() + seconds
        with self._listening(update) as (news, look):
            if not self._is_open_here(update):
                update = await self._read(update)
            return await self._wait(
                update, news, look, deadline=deadline, is_connected=is_connected
            )

    async def _wait(
        self,
        update: Update,
        news: asyncio.Future[Update],
        look: asyncio.Event,
        *,
        deadline: float,
        is_connected: Callable[[], bool],
    ) -> Update:
        loop = asyncio.get_running_loop()
        pause = self._recheck_seconds
        released = asyncio.ensure_future(self._released.wait())
        looking = asyncio.ensure_future(look.wait())
        try:
            while update.is_open and is_connected() and not self._released.is_set():
                left = deadline - loop.time()
                if left <= 0:
                    break
                await asyncio.wait(
                    (news, released, looking),
                    timeout=min(left, pause),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if looking.done():
                    look.clear()
                    looking = asyncio.ensure_future(look.wait())
                update = news.result() if news.done() else await self._read(update)
                pause = max(pause, min(pause * 2, MAX_RECHECK_SECONDS))
        finally:
            released.cancel()
            looking.cancel()
        return update

    @contextmanager
    def _listening(
        self, update: Update
    ) -> Iterator[tuple[asyncio.Future[Update], asyncio.Event]]:
        """The update as closed by this process, and news of its run from others."""
        news: asyncio.Future[Update] = asyncio.get_running_loop().create_future()
        look = asyncio.Event()
        listeners = self._waiting.setdefault(update.id, set())
        to_look = self._to_look.setdefault(update.run_id, set())
        listeners.add(news)
        to_look.add(look)
        self._watch(update.run_id)
        try:
            yield news, look
        finally:
            listeners.discard(news)
            to_look.discard(look)
            if not listeners:
                self._waiting.pop(update.id, None)
            if not to_look:
                self._to_look.pop(update.run_id, None)

    def _is_open_here(self, update: Update) -> bool:
        """It was open at the last commit that this process knows of."""
        hot = self._hot.get(update.run_id)
        return hot is not None and update.sequence in hot.state.updates

    async def _read(self, update: Update) -> Update:
        return await self._store.find_update(update.id) or update
