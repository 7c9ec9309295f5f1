"""W6: long polls that wait for work which never comes."""

from __future__ import annotations

import asyncio

from benchmarks.load.order import Phase
from benchmarks.load.session import Session, now
from benchmarks.load.window import Announce
from benchmarks.load.worker import register
from benchmarks.workloads import IdleFleet

SLOTS = 8
REGISTERING_CONNECTIONS = 8
OPENED_AT_ONCE = 50
BETWEEN_OPENINGS_SECONDS = 0.05


async def run_idle_polls(session: Session, announce: Announce) -> None:
    """``concurrency`` polls, workflow and activity polls in turn, over the fleet."""
    polls = session.order.concurrency
    fleet = IdleFleet()
    workers = min(fleet.workers, polls)
    numbers = iter(range(workers))

    async def register_some() -> None:
        connection = session.worker_connection()
        for number in numbers:
            await register(
                session,
                connection,
                worker_id=_worker_id(session, number),
                queue=_queue(session, number, fleet),
                slots=SLOTS,
            )

    await asyncio.gather(*(register_some() for _ in range(REGISTERING_CONNECTIONS)))
    announce(Phase.REGISTERED)
    for number in range(polls):
        kind = "workflow" if number // workers % 2 == 0 else "activity"
        session.spawn(_poll(session, kind=kind, number=number % workers, fleet=fleet))
        if number % OPENED_AT_ONCE == OPENED_AT_ONCE - 1:
            await asyncio.sleep(BETWEEN_OPENINGS_SECONDS)
    await asyncio.sleep(session.order.warmup_seconds)
    session.open_window()
    announce(Phase.WINDOW_OPENED)
    await asyncio.sleep(session.order.window_seconds)
    announce(Phase.WINDOW_CLOSED)
    session.counts["workers"] = workers


def _worker_id(session: Session, number: int) -> str:
    return f"bench-{session.order.tag}-{number}"


def _queue(session: Session, number: int, fleet: IdleFleet) -> str:
    return f"{session.queue}-{number % fleet.queues}"


async def _poll(session: Session, *, kind: str, number: int, fleet: IdleFleet) -> None:
    connection = session.worker_connection()
    worker_id = _worker_id(session, number)
    polls = 0
    while not session.is_stopping:
        polls += 1
        asked_at = now()
        body = {
            "worker_id": worker_id,
            "task_queue": _queue(session, number, fleet),
            "poll_request_id": f"{kind}-{worker_id}-{polls}",
        }
        answer = await session.post(connection, f"/api/worker/{kind}-tasks/poll", body)
        if answer is None:
            continue
        if answer.get("task") is not None:
            session.errors["server: an idle queue gave a task"] += 1
        session.count_operation("poll held", started_at=asked_at, ended_at=now())
