"""One point: a load process against one running server, with the meters around it."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson

from benchmarks import metering
from benchmarks.database_counters import (
    Counters,
    read_counters,
    read_statements,
)
from benchmarks.load.order import LoadResult, Order, Phase
from benchmarks.metering import Reading, Usage
from benchmarks.private_postgres import PrivatePostgres
from benchmarks.servers import SERVER, RunningServer
from benchmarks.workloads import Kind, Workload
from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

# Beyond warm-up and window: registering, last workflows, verification.
GRACE_SECONDS = 150.0
STOP_SECONDS = 10.0

# Names of the metered process trees, beside the server's own.
DATABASE, GENERATOR = "database", "generator"


class LoadFailed(Exception):
    """The load process ended without a result, or took too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """PSS of the server's process tree, in bytes."""

    fresh: int
    registered: int
    window_opened: int
    window_closed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured between opening and closing of the window, ``seconds`` long.

    ``usage`` has the CPU of each process tree, and of all that belong to the server
    under ``SERVER``; ``memory`` likewise. ``counts``: what the counters of the server
    moved. ``statements``: calls by text, None where they were not counted.
    """

    target: str
    workload: str
    concurrency: int
    seconds: float
    load: LoadResult
    usage: Usage
    database: Counters
    statements: Mapping[str, int] | None
    memory: Memory
    memory_of: Mapping[str, Memory] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How long to load before and while measuring; idle polls have their own window,
    since every one of them returns once in 30 s and that belongs to its cost."""

    warmup_seconds: float
    window_seconds: float
    idle_window_seconds: float

    def of(self, workload: Workload) -> float:
        if workload.kind is Kind.IDLE_POLLS:
            return self.idle_window_seconds
        return self.window_seconds


@dataclass(frozen=True, slots=True)
class _Mark:
    """The meters at one moment."""

    at: float
    reading: Reading
    counters: Counters
    statements: Counter[str] | None
    counts: Mapping[str, int]


class _Meters:
    """Reads everything when the load process reaches a phase."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        database: str,
        *,
        server: RunningServer,
        others: Mapping[str, int],
        with_statements: bool,
    ) -> None:
        self._connection = connection
        self._database = database
        self._server = server
        self._roots = {**server.pids, **others}
        self._with_statements = with_statements
        self.marks: dict[Phase, _Mark] = {}
        self.pss = {"fresh": self._pss()}

    async def reached(self, phase: Phase) -> None:
        if phase is not Phase.REGISTERED:
            # Its own cost must not fall into the window that it opens.
            reading = metering.read(self._roots)
            at = monotonic()
            counters = await read_counters(self._connection, self._database)
            statements = (
                await read_statements(self._connection, self._database)
                if self._with_statements
                else None
            )
            counts = {name: read() for name, read in self._server.counters.items()}
            self.marks[phase] = _Mark(at, reading, counters, statements, counts)
        self.pss[phase] = self._pss()

    def memory(self) -> dict[str, Memory]:
        """Of each process tree of the server."""
        return {
            part: Memory(**{str(at): sizes[part] for at, sizes in self.pss.items()})
            for part in self._server.pids
        }

    def _pss(self) -> dict[str, int]:
        pids = self._server.pids
        return {part: metering.pss_bytes(pid) for part, pid in pids.items()}


async def measure(
    target: str,
    workload: Workload,
    *,
    concurrency: int,
    windows: Windows,
    server: RunningServer,
    postgres: PrivatePostgres,
    database_url: str,
) -> Point:
    """LoadFailed when there is no result; errors of the load are in the result."""
    order = Order(
        workload=workload.name,
        urls=server.urls,
        token=server.token,
        concurrency=concurrency,
        warmup_seconds=windows.warmup_seconds,
        window_seconds=windows.of(workload),
        tag=secrets.token_hex(4),
    )
    deadline = order.warmup_seconds + order.window_seconds + GRACE_SECONDS
    connection = await asyncpg.connect(postgres.admin_dsn)
    try:
        async with asyncio.timeout(deadline), load_process(order) as process:
            meters = _Meters(
                connection,
                urlsplit(database_url).path.lstrip("/"),
                server=server,
                others={DATABASE: postgres.pid, GENERATOR: process.pid},
                with_statements=workload.kind is Kind.IDLE_POLLS
                and postgres.counts_statements,
            )
            result = await follow(process, meters.reached)
    except TimeoutError:
        raise LoadFailed(f"{workload.name}: no result in {deadline:.0f} s") from None
    finally:
        await connection.close()
    return _point(target, order, result=result, meters=meters)


def _point(target: str, order: Order, *, result: LoadResult, meters: _Meters) -> Point:
    opened = meters.marks[Phase.WINDOW_OPENED]
    closed = meters.marks[Phase.WINDOW_CLOSED]
    usage = metering.usage_between(
        opened.reading, closed.reading, cores=os.cpu_count() or 1
    )
    memory = meters.memory()
    ours = sum(usage.cpu_seconds[part] for part in memory)
    return Point(
        target=target,
        workload=order.workload,
        concurrency=order.concurrency,
        seconds=closed.at - opened.at,
        load=result,
        usage=replace(usage, cpu_seconds={**usage.cpu_seconds, SERVER: ours}),
        database=closed.counters.since(opened.counters),
        statements=_calls_between(opened, closed),
        memory=_sum_of(memory.values()),
        memory_of=memory,
        counts={n: closed.counts[n] - count for n, count in opened.counts.items()},
    )


def _sum_of(memories: Iterable[Memory]) -> Memory:
    found = [asdict(memory) for memory in memories]
    return Memory(**{at: sum(each[at] for each in found) for at in found[0]})


def _calls_between(opened: _Mark, closed: _Mark) -> dict[str, int] | None:
    """Most called first; texts in full, as PostgreSQL normalises them."""
    if opened.statements is None or closed.statements is None:
        return None
    return dict((closed.statements - opened.statements).most_common())


@asynccontextmanager
async def load_process(order: Order) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load.process",
        order.to_json(),
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        limit=1 << 20,
    )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its result is read already, or nobody wants it any more."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def follow(
    process: asyncio.subprocess.Process, reached: Callable[[Phase], Awaitable[None]]
) -> LoadResult:
    """``reached`` is called with each phase as the load process comes to it."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        document: dict[str, Any] = orjson.loads(line)
        if "result" in document:
            return LoadResult.from_document(document["result"])
        await reached(Phase(document["phase"]))
    raise LoadFailed(f"the load process ended with {await process.wait()}")
