"""Lease renewals, combined: heartbeats never touch the run row (architecture §3.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from dwserver.store.api import LeaseRenewal, Store

MAX_BATCH = 500


class Renewals:
    """While a statement is under way the next renewals collect; no timer."""

    def __init__(
        self,
        store: Store,
        *,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._spawn = spawn
        self._waiting: list[tuple[LeaseRenewal, asyncio.Future[bool]]] = []
        self._is_running = False

    async def renew(self, renewal: LeaseRenewal) -> bool:
        """True when the lease was still held and is renewed."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((renewal, answer))
        if not self._is_running:
            self._is_running = True
            self._spawn("renew-leases", self._drain())
        return await answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MAX_BATCH]
                del self._waiting[:MAX_BATCH]
                await self._write(batch)
        finally:
            self._is_running = False

    async def _write(
        self, batch: list[tuple[LeaseRenewal, asyncio.Future[bool]]]
    ) -> None:
        try:
            renewed = await self._store.renew_leases([item for item, _ in batch])
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), is_renewed in zip(batch, renewed, strict=True):
            if not answer.done():
                answer.set_result(is_renewed)
