"""The background loops of a process, held back until the schema is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from dwserver.runtime.service import Service, TaskHost, wait_event

LOOK_EVERY_SECONDS = 1.0

_log = structlog.stdlib.get_logger(__name__)


class LoopsWhenPrepared:
    """Starts its loops as soon as ``is_prepared`` says so: at once on a database that
    has been bootstrapped, else when somebody has done that."""

    def __init__(
        self,
        loops: Sequence[Service],
        host: TaskHost,
        *,
        is_prepared: Callable[[], Awaitable[bool]],
        name: str = "loops",
    ) -> None:
        self.name = name
        self._loops = loops
        self._host = host
        self._is_prepared = is_prepared
        self._started: list[Service] = []
        self._waiting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        if await self._is_prepared():
            await self._start_loops()
        else:
            self._waiting = self._host.spawn(self.name, self._wait())

    async def drain(self) -> None:
        await self._stop_waiting()
        for loop in reversed(self._started):
            await loop.drain()

    async def stop(self) -> None:
        await self._stop_waiting()
        while self._started:
            await self._started.pop().stop()

    async def _wait(self) -> None:
        while not await self._is_prepared():
            await wait_event(self._stopping, LOOK_EVERY_SECONDS)
            if self._stopping.is_set():
                return
        _log.info("database_prepared")
        await self._start_loops()

    async def _start_loops(self) -> None:
        for loop in self._loops:
            self._started.append(loop)
            await loop.start()

    async def _stop_waiting(self) -> None:
        self._stopping.set()
        if self._waiting is not None:
            await asyncio.wait((self._waiting,))
