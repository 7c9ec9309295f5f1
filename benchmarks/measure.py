"""One point: a load process against one running server, with the meters around it."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
from benchmarks.servers import RunningServer, Target
from benchmarks.workloads import Kind, Workload
from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

# Beyond warm-up and window: registering, last workflows, verification.
GRACE_SECONDS = 150.0
STOP_SECONDS = 10.0

# Names of the metered process trees.
SERVER, DATABASE, GENERATOR = "server", "database", "generator"


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

    ``statements``: calls by text, None where they were not counted.
    """

    target: Target
    workload: str
    concurrency: int
    seconds: float
    load: LoadResult
    usage: Usage
    database: Counters
    statements: Mapping[str, int] | None
    memory: Memory


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


class _Meters:
    """Reads everything when the load process reaches a phase."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        database: str,
        *,
        roots: Mapping[str, int],
        with_statements: bool,
    ) -> None:
        self._connection = connection
        self._database = database
        self._roots = roots
        self._with_statements = with_statements
        self.marks: dict[Phase, _Mark] = {}
        self.pss = {"fresh": metering.pss_bytes(roots[SERVER])}

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
            self.marks[phase] = _Mark(at, reading, counters, statements)
        self.pss[phase] = metering.pss_bytes(self._roots[SERVER])


async def measure(
    target: Target,
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
        url=server.url,
        token=server.token,
        concurrency=concurrency,
        warmup_seconds=windows.warmup_seconds,
        window_seconds=windows.of(workload),
        tag=secrets.token_hex(4),
    )
    deadline = order.warmup_seconds + order.window_seconds + GRACE_SECONDS
    connection = await asyncpg.connect(postgres.admin_dsn)
    try:
        async with asyncio.timeout(deadline), _load_process(order) as process:
            meters = _Meters(
                connection,
                urlsplit(database_url).path.lstrip("/"),
                roots={
                    SERVER: server.pid,
                    DATABASE: postgres.pid,
                    GENERATOR: process.pid,
                },
                with_statements=workload.kind is Kind.IDLE_POLLS
                and postgres.counts_statements,
            )
            result = await _follow(process, meters)
    except TimeoutError:
        raise LoadFailed(f"{workload.name}: no result in {deadline:.0f} s") from None
    finally:
        await connection.close()
    return _point(target, order, result=result, meters=meters)


def _point(
    target: Target, order: Order, *, result: LoadResult, meters: _Meters
) -> Point:
    opened = meters.marks[Phase.WINDOW_OPENED]
    closed = meters.marks[Phase.WINDOW_CLOSED]
    return Point(
        target=target,
        workload=order.workload,
        concurrency=order.concurrency,
        seconds=closed.at - opened.at,
        load=result,
        usage=metering.usage_between(
            opened.reading, closed.reading, cores=os.cpu_count() or 1
        ),
        database=closed.counters.since(opened.counters),
        statements=_calls_between(opened, closed),
        memory=Memory(**{str(name): size for name, size in meters.pss.items()}),
    )


def _calls_between(opened: _Mark, closed: _Mark) -> dict[str, int] | None:
    """Most called first; texts in full, as PostgreSQL normalises them."""
    if opened.statements is None or closed.statements is None:
        return None
    return dict((closed.statements - opened.statements).most_common())


@asynccontextmanager
async def _load_process(order: Order) -> AsyncIterator[asyncio.subprocess.Process]:
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


async def _follow(process: asyncio.subprocess.Process, meters: _Meters) -> LoadResult:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        document: dict[str, Any] = orjson.loads(line)
        if "result" in document:
            return LoadResult.from_document(document["result"])
        await meters.reached(Phase(document["phase"]))
    raise LoadFailed(f"the load process ended with {await process.wait()}")
