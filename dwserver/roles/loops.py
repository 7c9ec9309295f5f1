"""Services that need the schema, held back until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from dwserver.runtime.service import Service, TaskHost, wait_event

LOOK_EVERY_SECONDS = 1.0

_log = structlog.stdlib.get_logger(__name__)


class WhenPrepared:
    """Starts its services as soon as ``is_prepared`` says so: at once on a database
    that has been bootstrapped, else when somebody has done that."""

    def __init__(
        self,
        name: str,
        services: Sequence[Service],
        host: TaskHost,
        *,
        is_prepared: Callable[[], Awaitable[bool]],
    ) -> None:
        self.name = name
        self.services = tuple(services)
        self._host = host
        self._is_prepared = is_prepared
        self._started: list[Service] = []
        self._waiting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        if await self._is_prepared():
            await self._start_all()
        else:
            self._waiting = self._host.spawn(self.name, self._wait())

    async def drain(self) -> None:
        await self._stop_waiting()
        for service in reversed(self._started):
            await service.drain()

    async def stop(self) -> None:
        await self._stop_waiting()
        while self._started:
            await self._started.pop().stop()

    async def _wait(self) -> None:
        while not await self._is_prepared():
            await wait_event(self._stopping, LOOK_EVERY_SECONDS)
            if self._stopping.is_set():
                return
        _log.info("database_prepared", starting=self.name)
        await self._start_all()

    async def _start_all(self) -> None:
        for service in self.services:
            self._started.append(service)
            await service.start()

    async def _stop_waiting(self) -> None:
        self._stopping.set()
        if self._waiting is not None:
            await asyncio.wait((self._waiting,))
