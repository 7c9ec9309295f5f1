"""W9a: starts as fast as they are accepted, on a queue that no worker polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks.load.order import Phase
from benchmarks.load.session import Session, now


async def run_starts(session: Session, announce: Callable[[Phase], None]) -> None:
    announce(Phase.REGISTERED)
    clients = [
        asyncio.ensure_future(_client(session))
        for _ in range(session.order.concurrency)
    ]
    try:
        await asyncio.sleep(session.order.warmup_seconds)
        session.open_window()
        announce(Phase.WINDOW_OPENED)
        await asyncio.sleep(session.order.window_seconds)
        announce(Phase.WINDOW_CLOSED)
        await asyncio.gather(*clients)
    finally:
        for client in clients:
            client.cancel()


async def _client(session: Session) -> None:
    connection = session.control_connection()
    while not session.is_over:
        started_at = now()
        if await session.start_workflow(connection, session.new_workflow_id()):
            session.count_operation(
                "start request", started_at=started_at, ended_at=now()
            )
