"""W1 in a window, with retention at rest or at work."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import metering
from benchmarks.load.order import LoadResult, Order, Phase
from benchmarks.measure import GRACE_SECONDS, LoadFailed, follow, load_process
from benchmarks.metering import Reading, usage_between
from benchmarks.retention.databases import Database
from benchmarks.retention.filling import count_pruned, keep_for
from benchmarks.servers import SERVER, RunningServer, Target, running_server

NEVER_DAYS = 3_650
DAYS = 30
WARMUP_SECONDS = 4.0
LOOK_EVERY_SECONDS = 1.0
GIVE_UP_SECONDS = 1_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``rate``: completed workflows per second. ``pruned`` in the window, and
    ``rest_seconds`` until everything was pruned afterwards, without load."""

    is_pruning: bool
    rate: float
    p99_ms: float
    server_cpu_ms_each: float
    foreign_cores: float
    errors: Mapping[str, int]
    pruned: int = 0
    rest: int = 0
    rest_seconds: float | None = None

    def rest_rate(self) -> float | None:
        return self.rest / self.rest_seconds if self.rest_seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``runs``: how many there are to prune. ``to_the_end``: wait until they are."""

    concurrency: int
    seconds: float
    runs: int
    is_pruning: bool
    to_the_end: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    reading: Reading
    pruned: int


async def measure_window(
    database: Database, wanted: Wanted, *, roots: Mapping[str, int], log_path: Path
) -> Window:
    """On a copy of the filled database, with a server of its own. ``roots``: process
    ids of what belongs to the measurement beside server and load, by name."""
    with database.copied() as url:
        keep_for(database, url, DAYS if wanted.is_pruning else NEVER_DAYS)
        with running_server(Target.DWSERVER, url, log_path=log_path) as server:
            result, marks = await _load(database, url, server, wanted, roots)
            rest_seconds = None
            left = wanted.runs - marks[Phase.WINDOW_CLOSED].pruned
            if wanted.is_pruning and wanted.to_the_end:
                rest_seconds = await asyncio.to_thread(
                    _wait_until_pruned, database, url, wanted.runs
                )
    opened, closed = marks[Phase.WINDOW_OPENED], marks[Phase.WINDOW_CLOSED]
    usage = usage_between(opened.reading, closed.reading, cores=os.cpu_count() or 1)
    return Window(
        is_pruning=wanted.is_pruning,
        rate=round(result.operations / wanted.seconds, 1),
        p99_ms=round(result.latencies["start to completed"].p99_ms, 1),
        server_cpu_ms_each=round(
            1000 * usage.cpu_seconds[SERVER] / max(1, result.operations), 2
        ),
        foreign_cores=round(usage.foreign_cores, 2),
        errors=result.errors,
        pruned=closed.pruned - opened.pruned,
        rest=left if rest_seconds else 0,
        rest_seconds=rest_seconds,
    )


async def _load(
    database: Database,
    url: str,
    server: RunningServer,
    wanted: Wanted,
    roots: Mapping[str, int],
) -> tuple[LoadResult, dict[Phase, _Mark]]:
    order = Order(
        workload="w1",
        urls=(server.url,),
        token=server.token,
        concurrency=wanted.concurrency,
        warmup_seconds=WARMUP_SECONDS,
        window_seconds=wanted.seconds,
        tag=secrets.token_hex(4),
    )
    marks: dict[Phase, _Mark] = {}
    deadline = WARMUP_SECONDS + wanted.seconds + GRACE_SECONDS
    async with asyncio.timeout(deadline), load_process(order) as process:
        metered = {**roots, **server.pids, "load": process.pid}

        async def reached(phase: Phase) -> None:
            pruned = await asyncio.to_thread(count_pruned, database, url)
            marks[phase] = _Mark(metering.read(metered), pruned)

        return await follow(process, reached), marks


def _wait_until_pruned(database: Database, url: str, runs: int) -> float:
    """Seconds until the last of them is pruned."""
    began = time.monotonic()
    while count_pruned(database, url) < runs:
        if time.monotonic() - began > GIVE_UP_SECONDS:
            raise LoadFailed("pruning does not come to an end")
        time.sleep(LOOK_EVERY_SECONDS)
    return round(time.monotonic() - began, 1)
