"""W5: signals to runs that wait for them, one after the other."""

from __future__ import annotations

import asyncio

from benchmarks.load.closed_loop import GIVE_UP_SECONDS, LEAST_POLLERS, verify
from benchmarks.load.order import Phase
from benchmarks.load.session import Document, Session, now
from benchmarks.load.window import Announce, load_window
from benchmarks.load.worker import Command, Worker, count_events
from benchmarks.workloads import Workload

SIGNAL = "bench"
WAIT: Command = {"type": "open_condition_wait", "condition_key": "all signals"}


class Waiting:
    """Waits until it has seen ``signals`` signals.

    ``handled``: per workflow id, resolved when the task that shows the start or the
    newest signal has been acknowledged. ``sent``: when that signal was sent.
    """

    is_long = False

    def __init__(self, session: Session, *, signals: int) -> None:
        self._session = session
        self._signals = signals
        self.handled: dict[str, asyncio.Future[None]] = {}
        self.sent: dict[str, float] = {}

    def decide(self, task: Document) -> list[Command]:
        sent_at = self.sent.get(task["workflow_id"])
        if sent_at is not None and self._session.in_window(sent_at):
            self._session.sample("signal to delivered", now() - sent_at)
        received = count_events(task["history_events"], "SignalReceived")
        if received < self._signals:
            return [WAIT]
        return [self._session.complete_workflow()]

    def acknowledged(
        self, task: Document, commands: list[Command], *, sent_at: float
    ) -> None:
        workflow_id = task["workflow_id"]
        signalled_at = self.sent.pop(workflow_id, None)
        if signalled_at is not None:
            self._session.count_operation(
                "signal to acknowledged", started_at=signalled_at, ended_at=now()
            )
        handled = self.handled.pop(workflow_id, None)
        if handled is not None and not handled.done():
            handled.set_result(None)

    def next_task(self, workflow_id: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.handled[workflow_id] = future
        return future


async def run_signals(session: Session, workload: Workload, announce: Announce) -> None:
    concurrency = session.order.concurrency
    waiting = Waiting(session, signals=workload.amount)
    worker = Worker(session, waiting)
    await worker.start(max(concurrency, LEAST_POLLERS))
    announce(Phase.REGISTERED)
    clients = (
        _client(session, waiting, signals=workload.amount) for _ in range(concurrency)
    )
    await load_window(session, announce, clients)
    await verify(session, worker)


async def _client(session: Session, waiting: Waiting, *, signals: int) -> None:
    connection = session.control_connection()
    while not session.is_over:
        workflow_id = session.new_workflow_id()
        is_waiting = waiting.next_task(workflow_id)
        if not await session.start_workflow(connection, workflow_id):
            continue
        try:
            await asyncio.wait_for(is_waiting, GIVE_UP_SECONDS)
            for _ in range(signals):
                handled = waiting.next_task(workflow_id)
                waiting.sent[workflow_id] = now()
                path = f"/api/workflows/{workflow_id}/signal/{SIGNAL}"
                await session.post(connection, path, {"input": session.arguments})
                await asyncio.wait_for(handled, GIVE_UP_SECONDS)
        except TimeoutError:
            session.errors["signal was not handled in time"] += 1
