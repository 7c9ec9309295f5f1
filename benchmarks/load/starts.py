"""W9a: starts as fast as they are accepted, on a queue that no worker polls."""

from __future__ import annotations

from benchmarks.load.order import Phase
from benchmarks.load.session import Session, now
from benchmarks.load.window import Announce, load_window


async def run_starts(session: Session, announce: Announce) -> None:
    announce(Phase.REGISTERED)
    clients = (_client(session) for _ in range(session.order.concurrency))
    await load_window(session, announce, clients)


async def _client(session: Session) -> None:
    connection = session.control_connection()
    while not session.is_over:
        started_at = now()
        if await session.start_workflow(connection, session.new_workflow_id()):
            session.count_operation(
                "start request", started_at=started_at, ended_at=now()
            )
