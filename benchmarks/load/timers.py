"""W4: many timers that are due in the same second."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import datetime
from typing import Any

from benchmarks.load.closed_loop import verify
from benchmarks.load.order import Phase
from benchmarks.load.session import Document, Session
from benchmarks.load.window import Announce
from benchmarks.load.worker import Command, Worker
from benchmarks.workloads import Workload

STARTING_CLIENTS = 16
LEAD_SECONDS = 30
GIVE_UP_SECONDS = 60.0
# Clocks are read on both sides of one machine; a timer this early is not early.
TOLERANCE_SECONDS = 0.002


class OneTimer:
    """Sleeps until the common second, then ends."""

    is_long = False

    def __init__(self, session: Session, *, due_at: float, timers: int) -> None:
        self._session = session
        self._due_at = due_at
        self._timers = timers
        self.armed = self.completed = 0
        self.all_completed = asyncio.Event()

    def decide(self, task: Document) -> list[Command]:
        fired = _event(task, "TimerFired")
        if fired is not None:
            self._note_lags(task, fired)
            return [self._session.complete_workflow()]
        left = math.floor(self._due_at - time.time())
        if left < 1:
            self._session.errors["generator: too late to start a timer"] += 1
        return [{"type": "start_timer", "delay_seconds": max(1, left)}]

    def acknowledged(
        self, task: Document, commands: list[Command], *, sent_at: float
    ) -> None:
        if commands[0]["type"] == "start_timer":
            self.armed += 1
            return
        self.completed += 1
        self._session.operations += 1
        if self.completed == self._timers:
            self.all_completed.set()

    def _note_lags(self, task: Document, fired: Document) -> None:
        scheduled = _event(task, "TimerScheduled")
        assert scheduled is not None
        due_at = _instant(scheduled["payload"]["fire_at"])
        lag = _instant(fired.get("recorded_at") or fired["timestamp"]) - due_at
        self._session.sample("due to TimerFired", lag)
        self._session.sample("due to delivered", time.time() - due_at)
        if lag < -TOLERANCE_SECONDS:
            self._session.errors["server: timer fired early"] += 1


def _event(task: Document, event_type: str) -> dict[str, Any] | None:
    """The only event of this type."""
    found = [e for e in task["history_events"] if e["event_type"] == event_type]
    assert len(found) < 2, f"{event_type} twice"
    return found[0] if found else None


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def run_timers(session: Session, workload: Workload, announce: Announce) -> None:
    """The window is from the first start to the last completion."""
    timers = workload.amount
    due_at = math.ceil(time.time()) + LEAD_SECONDS
    workflow = OneTimer(session, due_at=due_at, timers=timers)
    worker = Worker(session, workflow)
    await worker.start(session.order.concurrency)
    announce(Phase.REGISTERED)
    session.open_endless_window()
    announce(Phase.WINDOW_OPENED)
    numbers = iter(range(timers))

    async def start_some() -> None:
        connection = session.control_connection()
        for _ in numbers:
            await session.start_workflow(connection, session.new_workflow_id())

    await asyncio.gather(*(start_some() for _ in range(STARTING_CLIENTS)))
    left = max(0.0, due_at - time.time())
    try:
        async with asyncio.timeout(left + GIVE_UP_SECONDS):
            await workflow.all_completed.wait()
    except TimeoutError:
        missing = timers - workflow.completed
        session.errors["server: timers that did not fire in time"] += missing
    announce(Phase.WINDOW_CLOSED)
    session.counts["timers started"] = workflow.armed
    await verify(session, worker)
