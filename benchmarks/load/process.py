"""A load process: ``python -m benchmarks.load.process ORDER`` (see ``order.py``)."""

from __future__ import annotations

import resource
import sys

import orjson
import uvloop

from benchmarks.load.closed_loop import run_closed_loop
from benchmarks.load.growth import run_growth
from benchmarks.load.idle_polls import run_idle_polls
from benchmarks.load.losses import run_losses
from benchmarks.load.order import LoadResult, Order, Phase
from benchmarks.load.session import Session
from benchmarks.load.signals import run_signals
from benchmarks.load.starts import run_starts
from benchmarks.load.timers import run_timers
from benchmarks.workloads import WORKLOADS, Kind

OPEN_FILES = 65_536


def allow_open_files() -> None:
    """Lift the soft limit of this process and its children: a poll is a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(document: dict[str, object]) -> None:
    print(orjson.dumps(document).decode(), flush=True)


def _announce(phase: Phase) -> None:
    _say({"phase": phase})


async def run_order(order: Order) -> LoadResult:
    session = Session(order)
    workload = WORKLOADS[order.workload]
    try:
        match workload.kind:
            case Kind.CLOSED_LOOP:
                await run_closed_loop(session, workload, _announce)
            case Kind.STARTS:
                await run_starts(session, _announce)
            case Kind.IDLE_POLLS:
                await run_idle_polls(session, _announce)
            case Kind.TIMERS:
                await run_timers(session, workload, _announce)
            case Kind.SIGNALS:
                await run_signals(session, workload, _announce)
            case Kind.GROWTH:
                await run_growth(session, workload, _announce)
            case Kind.LOSSES:
                await run_losses(session, workload, _announce)
    finally:
        await session.close()
    return session.load_result()


def main() -> None:
    allow_open_files()
    result = uvloop.run(run_order(Order.from_json(sys.argv[1])))
    _say({"result": orjson.loads(result.to_json())})


if __name__ == "__main__":
    main()
