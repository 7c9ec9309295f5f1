"""W1, W2, W3: each client starts its next workflow when the last one is completed."""

from __future__ import annotations

import asyncio
import random

from benchmarks.load.order import Phase
from benchmarks.load.session import Document, Session, now
from benchmarks.load.window import Announce, load_window
from benchmarks.load.worker import Command, Worker, count_events
from benchmarks.workloads import Workload

LEAST_POLLERS = 2
MOST_POLLERS = 64
GIVE_UP_SECONDS = 60.0
VERIFIED_WORKFLOWS = 50


class Activities:
    """``steps`` batches of ``fan_out`` activities one after the other, then the end."""

    is_long = False

    def __init__(self, session: Session, workload: Workload) -> None:
        self._session = session
        self._activities = workload.steps * workload.fan_out
        self._fan_out = workload.fan_out

    def decide(self, task: Document) -> list[Command]:
        events = task["history_events"]
        done = count_events(events, "ActivityCompleted")
        if done >= self._activities:
            return [self._session.complete_workflow()]
        scheduled = count_events(events, "ActivityScheduled")
        if scheduled > self._activities:
            self._session.errors["server: re-sent commands scheduled again"] += 1
        if done % self._fan_out:
            # As a replaying SDK does: the whole pending list once more.
            self._session.counts["partial wake-ups"] += 1
        return [self._session.schedule_activity()] * self._fan_out

    def acknowledged(
        self, task: Document, commands: list[Command], *, sent_at: float
    ) -> None:
        """Only completions count, and those the worker announces."""


async def run_closed_loop(
    session: Session, workload: Workload, announce: Announce
) -> None:
    """Load until the window is over and every client's last workflow is closed."""
    concurrency = session.order.concurrency
    worker = Worker(session, Activities(session, workload))
    await worker.start(min(max(concurrency, LEAST_POLLERS), MOST_POLLERS))
    announce(Phase.REGISTERED)
    clients = (_client(session, worker) for _ in range(concurrency))
    await load_window(session, announce, clients)
    await verify(session, worker)


async def _client(session: Session, worker: Worker) -> None:
    connection = session.control_connection()
    while not session.is_over:
        workflow_id = session.new_workflow_id()
        completion = worker.completion(workflow_id)
        started_at = now()
        if not await session.start_workflow(connection, workflow_id):
            worker.forget(workflow_id)
            continue
        accepted_at = now()
        try:
            completed_at = await asyncio.wait_for(completion, GIVE_UP_SECONDS)
        except TimeoutError:
            session.errors["workflow was not completed in time"] += 1
            worker.forget(workflow_id)
            continue
        session.count_operation(
            "start to completed", started_at=started_at, ended_at=completed_at
        )
        if session.in_window(accepted_at):
            session.sample("start request", accepted_at - started_at)


async def verify(session: Session, worker: Worker) -> None:
    """No completion twice; what a sample of closed workflows is for the server."""
    twice = sum(times - 1 for times in worker.closed.values())
    session.counts["duplicate completions"] = twice
    if twice:
        session.errors["verification: workflow completed more than once"] += twice
    connection = session.control_connection()
    ids = list(worker.closed)
    for workflow_id in random.sample(ids, min(VERIFIED_WORKFLOWS, len(ids))):
        document = await session.get(connection, f"/api/workflows/{workflow_id}")
        status = document.get("status") if document else None
        if status == "completed":
            session.counts["verified completed"] += 1
        else:
            session.errors[f"verification: status is {status}"] += 1
