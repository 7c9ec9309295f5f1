"""The window of a workload whose clients go on until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from benchmarks.load.order import Phase
from benchmarks.load.session import Session

Announce = Callable[[Phase], None]


async def load_window(
    session: Session, announce: Announce, clients: Iterable[Coroutine[Any, Any, None]]
) -> None:
    """Warm up, measure, and let every client end its last operation."""
    running = [asyncio.ensure_future(client) for client in clients]
    try:
        await asyncio.sleep(session.order.warmup_seconds)
        session.open_window()
        announce(Phase.WINDOW_OPENED)
        await asyncio.sleep(session.order.window_seconds)
        announce(Phase.WINDOW_CLOSED)
        await asyncio.gather(*running)
    finally:
        for client in running:
            client.cancel()
