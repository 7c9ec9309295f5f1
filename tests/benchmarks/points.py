"""Measured points for tests."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.database_counters import Counters
from benchmarks.hardware import Hardware
from benchmarks.load.growth import appending_at, page_of
from benchmarks.load.latency import Latency
from benchmarks.load.order import LoadResult
from benchmarks.measure import DATABASE, GENERATOR, SERVER, Memory, Point
from benchmarks.metering import Usage
from benchmarks.result import Circumstances
from benchmarks.servers import Target

MB = 1_000_000

CIRCUMSTANCES = Circumstances(
    measured_at="2026-01-02",
    version="1.2.3",
    hardware=Hardware(
        cpu="Abacus 9",
        cores=2,
        memory_gb=16.2,
        kernel="Linux 6.1",
        filesystem="ext4",
        python="CPython 3.11.7",
        busy_cores_before=0.014,
    ),
)


def latency(p50_ms: float, p99_ms: float) -> Latency:
    return Latency(
        count=10, mean_ms=p50_ms, p50_ms=p50_ms, p90_ms=p50_ms, p99_ms=p99_ms, max_ms=99
    )


def loop_point(
    target: Target = Target.DWSERVER,
    *,
    concurrency: int = 64,
    operations: int = 1_000,
    server_seconds: float = 1.0,
    commits: int = 500,
    errors: dict[str, int] | None = None,
) -> Point:
    """W1 over 10 s; PostgreSQL used 0.5 s of CPU and the generator 0.25 s."""
    return Point(
        target=target,
        workload="w1",
        concurrency=concurrency,
        seconds=10.0,
        load=LoadResult(
            operations=operations,
            errors=errors or {},
            latencies={
                "start to completed": latency(20.0, 40.0),
                "start request": latency(1.0, 2.0),
            },
        ),
        usage=Usage(
            cpu_seconds={SERVER: server_seconds, DATABASE: 0.5, GENERATOR: 0.25},
            busy_cores=0.3,
            foreign_cores=0.1,
        ),
        database=Counters(
            commits=commits,
            transactions=600,
            rows_inserted=14_000,
            rows_updated=6_000,
            rows_deleted=1_000,
            wal_bytes=5 * MB,
        ),
        statements=None,
        memory=Memory(
            fresh=MB, registered=MB, window_opened=2 * MB, window_closed=2 * MB
        ),
    )


SWEEP = {"select sweep": 90, "select | workers": 30}


def idle_point(
    target: Target = Target.DWSERVER,
    *,
    statements: dict[str, int] | None = SWEEP,
    transactions: int = 30,
) -> Point:
    """W6 over 60 s: 2,000 polls of 1,000 workers."""
    return Point(
        target=target,
        workload="w6",
        concurrency=2_000,
        seconds=60.0,
        load=LoadResult(operations=4_000, counts={"workers": 1_000}),
        usage=Usage(
            cpu_seconds={SERVER: 1.2, DATABASE: 0.3, GENERATOR: 9.0},
            busy_cores=0.2,
            foreign_cores=0.0,
        ),
        database=Counters(
            commits=3,
            transactions=transactions,
            rows_inserted=0,
            rows_updated=0,
            rows_deleted=0,
            wal_bytes=0,
        ),
        statements=statements,
        memory=Memory(
            fresh=40 * MB,
            registered=45 * MB,
            window_opened=105 * MB,
            window_closed=125 * MB,
        ),
    )


def growth_point(*, first_ms: float = 4.0, last_ms: float = 5.0) -> Point:
    """W8: turns at the start and near the end of the growth, pages of both sizes."""
    latencies = {
        appending_at(0): latency(first_ms, 9.0),
        appending_at(9): latency(last_ms, 9.0),
        "turn to next turn": latency(12.0, 20.0),
        page_of(100): latency(2.0, 3.0),
        page_of(1_000): latency(6.0, 8.0),
    }
    point = loop_point(concurrency=1, operations=10_000)
    load = LoadResult(operations=10_000, latencies=latencies)
    return replace(point, workload="w8", load=load)
