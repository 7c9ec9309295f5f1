"""A database full of runs, written through the store as starts are.

Nearly all of them are closed, as in a server that has run for a while. Types, queues
and attributes come in turns: what a filter leaves out is spread over the whole list.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.load.payloads import avro_envelope, sample_text
from dwserver.engine.model import Payload, Run, RunInput
from dwserver.engine.words import ClosedReason, RunStatus
from dwserver.runtime.ids import UlidSource
from dwserver.store.api import Store
from dwserver.store.opening import open_store
from tests.support.builders import a_run, a_start_transition

TYPES = 20
CUSTOMERS = 2_000
AMOUNTS = 1_000
ATTRIBUTES = {"Customer": "keyword", "Amount": "int"}

_WRITERS = 256
_APART_MICROS = 20_000
_LASTED_MICROS = 3_000_000
_OPEN = (RunStatus.WAITING, RunStatus.RUNNING, RunStatus.PENDING)


@dataclass(frozen=True, slots=True)
class Filled:
    """``open_id`` and ``closed_id``: workflow ids from the middle of the list."""

    runs: int
    seconds: float
    open_id: str
    closed_id: str


async def fill(url: str, runs: int) -> Filled:
    """Write ``runs`` runs into a bootstrapped database."""
    store = open_store(url)
    await store.open()
    began = time.monotonic()
    try:
        for name, value_type in ATTRIBUTES.items():
            await store.put_search_attribute(
                "default", name, value_type=value_type, created_at=0
            )
        numbers = iter(range(runs))
        ids = UlidSource()
        await asyncio.gather(
            *(_write(store, numbers, runs, ids) for _ in range(_WRITERS))
        )
    finally:
        await store.close()
    middle = runs // 2 - runs // 2 % 20
    return Filled(
        runs, time.monotonic() - began, f"order-{middle}", f"order-{middle + 1}"
    )


async def _write(
    store: Store, numbers: Iterator[int], runs: int, ids: UlidSource
) -> None:
    now = time.time_ns() // 1_000
    arguments = avro_envelope(sample_text())
    for number in numbers:
        run = _run(number, ids.next(), now - (runs - number) * _APART_MICROS)
        given = RunInput(
            arguments=Payload(arguments["codec"], arguments["blob"]),
            search_attributes={
                "Customer": f"c-{number % CUSTOMERS}",
                "Amount": number * 7 % AMOUNTS,
            },
            business_key=f"key-{number}",
        )
        transition = a_start_transition(run, input=given, new_tasks=())
        if not await store.commit(transition):
            raise RuntimeError(f"run {number} was not written")


def _run(number: int, run_id: str, started_at: int) -> Run:
    status = _status(number)
    is_closed = status.is_terminal
    return a_run(
        id=run_id,
        workflow_id=f"order-{number}",
        workflow_type=f"orders.Type{number % TYPES}",
        task_queue=f"queue-{number % 7}",
        status=status,
        started_at=started_at,
        last_progress_at=started_at,
        closed_at=started_at + _LASTED_MICROS if is_closed else None,
        closed_reason=ClosedReason(status.value) if is_closed else None,
    )


def _status(number: int) -> RunStatus:
    """Of twenty runs one is open and one has failed."""
    match number % 20:
        case 0:
            return _OPEN[number // 20 % len(_OPEN)]
        case 10:
            return RunStatus.FAILED
        case _:
            return RunStatus.COMPLETED
