"""Asking a dependency whether it works, within a time limit and not too often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

Found = TypeVar("Found")

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Found]):
    """What a probe returned, or the text that may be told about its failure."""

    found: Found | None = None
    failure: str | None = None
    is_timeout: bool = False


async def probe(
    name: str, ask: Callable[[], Awaitable[Found]], *, timeout_seconds: float
) -> Outcome[Found]:
    """The outcome of ``ask``; it never raises. What the failure says stays in the
    log: anyone may read the answers that are made of this."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return Outcome(await ask())
    except TimeoutError:
        _log.warning("probe_timed_out", check=name, seconds=timeout_seconds)
        return Outcome(
            failure=f"no answer within {timeout_seconds:g} s", is_timeout=True
        )
    except Exception as error:
        _log.warning("probe_failed", check=name, exc_info=error)
        return Outcome(failure=type(error).__name__)


class Cached(Generic[Found]):
    """An answer that is at most ``seconds`` old; callers at the same time share the
    work of getting a new one."""

    def __init__(
        self,
        compute: Callable[[], Awaitable[Found]],
        *,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compute = compute
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._last: tuple[float, Found] | None = None

    async def get(self) -> Found:
        async with self._lock:
            if self._last is not None:
                computed_at, found = self._last
                if self._monotonic() - computed_at < self._seconds:
                    return found
            found = await self._compute()
            self._last = (self._monotonic(), found)
            return found
