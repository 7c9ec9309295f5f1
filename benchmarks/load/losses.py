"""WX: W1 while nodes die and come back; what gets no answer is sent again.

A task whose lease was lost with its node comes back when the lease ends. Clients do not
wait for that: after a while they go on with their next workflow, so that the rate shows
what the cluster can do, and not how long leases are. All the workflows are awaited in
the end, also those.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.load.closed_loop import MOST_POLLERS, Activities
from benchmarks.load.http_client import Connection
from benchmarks.load.order import Phase
from benchmarks.load.session import Session, now
from benchmarks.load.window import Announce, load_window
from benchmarks.load.worker import Worker
from benchmarks.workloads import Workload

PATIENCE_SECONDS = 1.0
END_SECONDS = 60.0
BETWEEN_LOOKS_SECONDS = 0.2


async def run_losses(session: Session, workload: Workload, announce: Announce) -> None:
    """The window is as long as it takes to kill everything that is to be killed."""
    concurrency = session.order.concurrency
    session.is_persistent = True
    worker = Worker(session, Activities(session, workload))
    await worker.start(min(concurrency, MOST_POLLERS))
    announce(Phase.REGISTERED)
    started: list[str] = []
    clients = (_client(session, worker, started) for _ in range(concurrency))
    await load_window(session, announce, clients)
    await _verify(session, worker, started)


async def _client(session: Session, worker: Worker, started: list[str]) -> None:
    connection = session.control_connection()
    while not session.is_over:
        workflow_id = session.new_workflow_id()
        completion = worker.completion(workflow_id)
        # However late it comes.
        completion.add_done_callback(
            lambda it: session.completed_at.append(it.result())
        )
        started_at = now()
        # Refused only when it was accepted before, and the answer was lost.
        await session.start_workflow(connection, workflow_id)
        started.append(workflow_id)
        await asyncio.wait((completion,), timeout=PATIENCE_SECONDS)
        if not completion.done():
            session.counts["not waited for"] += 1
            continue
        session.count_operation(
            "start to completed", started_at=started_at, ended_at=completion.result()
        )


async def _verify(session: Session, worker: Worker, started: list[str]) -> None:
    """Everything that was accepted ends, once."""
    deadline = time.monotonic() + END_SECONDS
    connection = session.control_connection()
    left = [each for each in started if not worker.closed[each]]
    while left and time.monotonic() < deadline:
        await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
        left = [
            each
            for each in left
            if not worker.closed[each]
            and await _status(session, connection, each) != "completed"
        ]
    session.counts["started"] = len(started)
    twice = sum(times - 1 for times in worker.closed.values())
    session.counts["lost"], session.counts["completed twice"] = len(left), twice
    for what in ("lost", "completed twice"):
        if session.counts[what]:
            session.errors[f"verification: workflows {what}"] += session.counts[what]


async def _status(
    session: Session, connection: Connection, workflow_id: str
) -> str | None:
    document = await session.get(connection, f"/api/workflows/{workflow_id}")
    return document["status"] if document else None
