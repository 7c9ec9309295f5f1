"""From what was measured to what is compared: per operation, per second, as ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

from benchmarks.load.growth import PAGE_SIZES, appending_at, page_of
from benchmarks.load.latency import Latency
from benchmarks.measure import DATABASE, GENERATOR, Point
from benchmarks.servers import SERVER
from benchmarks.workloads import WORKLOADS, Kind

LATENCY_OF = {
    Kind.CLOSED_LOOP: "start to completed",
    Kind.STARTS: "start request",
    Kind.IDLE_POLLS: "poll held",
    Kind.TIMERS: "due to TimerFired",
    Kind.SIGNALS: "signal to acknowledged",
    Kind.GROWTH: "turn to next turn",
    Kind.LOSSES: "start to completed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFigures:
    """``…_each``: per workflow or start. None where nothing was finished.

    ``cpu_ms_each`` is that of server and PostgreSQL together, not of the generator.
    """

    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_ms_each: float | None
    server_cpu_ms_each: float | None
    database_cpu_ms_each: float | None
    generator_cpu_ms_each: float | None
    commits_each: float | None
    transactions_each: float | None
    rows_each: float | None
    wal_kb_each: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleFigures:
    """``…_cpu_percent`` of one core; memory in kB (1,000 bytes) of the server's PSS.

    ``queries_per_second`` are statements, or committed transactions where PostgreSQL
    has no statistics of statements (``is_counting_transactions``).
    """

    cpu_percent: float
    server_cpu_percent: float
    database_cpu_percent: float
    queries_per_second: float
    is_counting_transactions: bool
    kb_per_poll: float
    kb_per_registration: float | None
    polls_returned_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthFigures:
    """Medians in milliseconds: appending a turn to the short and to the long history
    (``growth``: the latter ÷ the former), a turn with its activity, reading a page."""

    first_append_ms: float | None
    last_append_ms: float | None
    growth: float | None
    turn_ms: float | None
    small_page_ms: float | None
    large_page_ms: float | None
    cpu_ms_each: float | None


Figures: TypeAlias = LoopFigures | IdleFigures | GrowthFigures


def figures_of(point: Point) -> Figures:
    match WORKLOADS[point.workload].kind:
        case Kind.IDLE_POLLS:
            return idle_figures(point)
        case Kind.GROWTH:
            return growth_figures(point)
        case _:
            return loop_figures(point)


def loop_figures(point: Point) -> LoopFigures:
    operations = point.load.operations
    latency = main_latency(point)
    cpu = point.usage.cpu_seconds
    database = point.database

    def each(amount: float) -> float | None:
        return amount / operations if operations else None

    rows = database.rows_inserted + database.rows_updated + database.rows_deleted
    return LoopFigures(
        per_second=operations / point.seconds,
        p50_ms=latency.p50_ms if latency else None,
        p99_ms=latency.p99_ms if latency else None,
        cpu_ms_each=each(1_000 * (cpu[SERVER] + cpu[DATABASE])),
        server_cpu_ms_each=each(1_000 * cpu[SERVER]),
        database_cpu_ms_each=each(1_000 * cpu[DATABASE]),
        generator_cpu_ms_each=each(1_000 * cpu[GENERATOR]),
        commits_each=each(database.commits),
        transactions_each=each(database.transactions),
        rows_each=each(rows),
        wal_kb_each=each(database.wal_bytes / 1_000),
    )


def idle_figures(point: Point) -> IdleFigures:
    cpu = point.usage.cpu_seconds
    memory = point.memory
    workers = point.load.counts.get("workers", 0)
    queries = (
        point.database.transactions
        if point.statements is None
        else sum(point.statements.values())
    )
    with_polls = max(memory.window_opened, memory.window_closed)

    def percent(seconds: float) -> float:
        return 100 * seconds / point.seconds

    return IdleFigures(
        cpu_percent=percent(cpu[SERVER] + cpu[DATABASE]),
        server_cpu_percent=percent(cpu[SERVER]),
        database_cpu_percent=percent(cpu[DATABASE]),
        queries_per_second=queries / point.seconds,
        is_counting_transactions=point.statements is None,
        kb_per_poll=(with_polls - memory.registered) / 1_000 / point.concurrency,
        kb_per_registration=(memory.registered - memory.fresh) / 1_000 / workers
        if workers
        else None,
        polls_returned_per_second=point.load.operations / point.seconds,
    )


def growth_figures(point: Point) -> GrowthFigures:
    def median(name: str) -> float | None:
        found = point.load.latencies.get(name)
        return found.p50_ms if found else None

    last_thousand = (WORKLOADS[point.workload].amount - 1) // 1_000
    first, last = median(appending_at(0)), median(appending_at(last_thousand))
    small, large = (median(page_of(size)) for size in PAGE_SIZES)
    return GrowthFigures(
        first_append_ms=first,
        last_append_ms=last,
        growth=ratio(last, first),
        turn_ms=median(LATENCY_OF[Kind.GROWTH]),
        small_page_ms=small,
        large_page_ms=large,
        cpu_ms_each=loop_figures(point).cpu_ms_each,
    )


def main_latency(point: Point) -> Latency | None:
    return point.load.latencies.get(LATENCY_OF[WORKLOADS[point.workload].kind])


def ratio(ours: float | None, floor: float | None) -> float | None:
    """None when one of them is missing or there is nothing to divide by."""
    if ours is None or not floor:
        return None
    return ours / floor


def ratios(ours: Figures, floor: Figures) -> dict[str, float | None]:
    """Of every numeric figure: ours ÷ floor."""
    return {
        item.name: ratio(getattr(ours, item.name), getattr(floor, item.name))
        for item in fields(ours)
        if not isinstance(getattr(ours, item.name), bool)
    }


def median_point(points: Sequence[Point]) -> Point:
    """The repetition in the middle by CPU, which is the steadiest figure.

    Of an even number the dearer one of the two.
    """

    def cost(point: Point) -> float:
        cpu = point.usage.cpu_seconds
        return (cpu[SERVER] + cpu[DATABASE]) / max(1, point.load.operations)

    return sorted(points, key=cost)[len(points) // 2]
