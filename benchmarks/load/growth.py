"""W8: one run that grows: what a turn costs as its history gets long."""

from __future__ import annotations

import asyncio

from benchmarks.load.order import Phase
from benchmarks.load.session import Document, Session, now
from benchmarks.load.window import Announce
from benchmarks.load.worker import Command, Worker
from benchmarks.workloads import Workload

SIDE_EFFECTS = 97
PAGE_SIZES = (100, 1_000)
GIVE_UP_SECONDS = 120.0


def appending_at(thousands: int) -> str:
    """Name of the samples of turns that began with so many thousand events."""
    return f"append {SIDE_EFFECTS + 1} commands at {thousands}k events"


def page_of(size: int) -> str:
    return f"history page of {size}"


class Growing:
    """Each turn records side effects and schedules an activity."""

    is_long = True

    def __init__(self, session: Session, *, events: int) -> None:
        self._session = session
        self._events = events
        self._acknowledged_at: float | None = None
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def decide(self, task: Document) -> list[Command]:
        if self._acknowledged_at is not None:
            # The activity lies between the two.
            self._session.sample("turn to next turn", now() - self._acknowledged_at)
        if task["last_history_sequence"] >= self._events:
            return [self._session.complete_workflow()]
        blob = self._session.result["blob"]
        effect = {"type": "record_side_effect", "result": blob}
        return [effect] * SIDE_EFFECTS + [self._session.schedule_activity()]

    def acknowledged(
        self, task: Document, commands: list[Command], *, sent_at: float
    ) -> None:
        self._acknowledged_at = now()
        length: int = task["last_history_sequence"]
        if len(commands) == 1:
            self._session.counts["events"] = length + 1
            self.over.set_result(task["run_id"])
            return
        self._session.operations += len(commands)
        self._session.sample(appending_at(length // 1_000), now() - sent_at)


async def run_growth(session: Session, workload: Workload, announce: Announce) -> None:
    """The window is the whole growth; reading it in pages comes after."""
    workflow = Growing(session, events=workload.amount)
    worker = Worker(session, workflow)
    await worker.start(session.order.concurrency)
    announce(Phase.REGISTERED)
    session.open_endless_window()
    announce(Phase.WINDOW_OPENED)
    connection = session.control_connection()
    workflow_id = session.new_workflow_id()
    await session.start_workflow(connection, workflow_id)
    run_id = await asyncio.wait_for(workflow.over, GIVE_UP_SECONDS)
    announce(Phase.WINDOW_CLOSED)
    run_path = f"/api/workflows/{workflow_id}/runs/{run_id}"
    for size in PAGE_SIZES:
        await _read_history(session, run_path, size)


async def _read_history(session: Session, run_path: str, size: int) -> None:
    connection = session.control_connection()
    token: str | None = None
    read = 0
    while True:
        path = f"{run_path}/history?page_size={size}"
        if token is not None:
            path += f"&next_page_token={token}"
        asked_at = now()
        page = await session.get(connection, path)
        if page is None:
            return
        session.sample(page_of(size), now() - asked_at)
        read += len(page["events"])
        token = page.get("next_page_token")
        if token is None:
            break
    if read != session.counts["events"]:
        session.errors[f"server: {read} events in pages of {size}"] += 1
