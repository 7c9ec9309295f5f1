"""W6 through the ingress: what 2,000 long polls without work cost a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cluster.places import COMMANDS, REDIS, SPLIT, Places
from benchmarks.cluster.rates import by_class
from benchmarks.figures import IdleFigures, idle_figures
from benchmarks.measure import DATABASE, Point, Windows, measure
from benchmarks.workloads import W6


@dataclass(frozen=True, slots=True, kw_only=True)
class IdlePolls:
    """``cpu_percent`` of a core by process class, with PostgreSQL and Redis;
    ``kb_per_poll``: growth of the PSS by class. ``statements``: calls per second of
    the five that came most."""

    polls: int
    figures: IdleFigures
    cpu_percent: Mapping[str, float]
    kb_per_poll: Mapping[str, float]
    redis_commands_per_second: float
    statements: Mapping[str, float]
    foreign_cores: float
    errors: Mapping[str, int]


async def measure_idle_polls(
    places: Places, *, polls: int, seconds: float
) -> IdlePolls:
    """LoadFailed when there is no result."""
    windows = Windows(
        warmup_seconds=3.0, window_seconds=seconds, idle_window_seconds=seconds
    )
    postgres = places.postgres
    with places.running(SPLIT) as (server, database_url):
        if postgres.counts_statements:
            postgres.track_statements(True)
        try:
            point = await measure(
                SPLIT.name,
                W6,
                concurrency=polls,
                windows=windows,
                server=server,
                postgres=postgres,
                database_url=database_url,
            )
        finally:
            if postgres.counts_statements:
                postgres.track_statements(False)
    return _idle_polls(point)


def _idle_polls(point: Point) -> IdlePolls:
    growth = {
        part: max(memory.window_opened, memory.window_closed) - memory.registered
        for part, memory in point.memory_of.items()
        if part != REDIS
    }
    cpu = by_class(point.usage.cpu_seconds, [*point.memory_of, DATABASE])
    return IdlePolls(
        polls=point.concurrency,
        figures=idle_figures(point),
        cpu_percent={part: 100 * used / point.seconds for part, used in cpu.items()},
        kb_per_poll={
            part: size / 1_000 / point.concurrency
            for part, size in by_class(growth, growth).items()
        },
        redis_commands_per_second=point.counts[COMMANDS] / point.seconds,
        statements={
            text: calls / point.seconds
            for text, calls in list((point.statements or {}).items())[:5]
        },
        foreign_cores=point.usage.foreign_cores,
        errors=point.load.errors,
    )
