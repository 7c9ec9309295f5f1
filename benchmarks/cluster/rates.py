"""W1 at 64 in flight on several variants, in turns: rates, latency, CPU by class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.cluster.places import COMMANDS, Places, Variant
from benchmarks.measure import DATABASE, GENERATOR, Point, Windows, measure
from benchmarks.workloads import W1

CONCURRENCY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Per workflow: ``cpu_ms`` by process class with PostgreSQL, Redis and the
    generator; ``total_cpu_ms`` without the generator."""

    variant: str
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: Mapping[str, float]
    total_cpu_ms: float
    commits_each: float
    transactions_each: float
    redis_commands_each: float
    busy_cores: float
    foreign_cores: float
    errors: Mapping[str, int]


async def measure_rates(
    places: Places,
    variants: Sequence[Variant],
    windows: Windows,
    *,
    repetitions: int,
    say: Callable[[Rate], None],
) -> list[Rate]:
    """One for each variant, the repetition in the middle by rate. They alternate, so
    that all see the same mood of the machine. LoadFailed, ServerFailed."""
    found: dict[str, list[Rate]] = {variant.name: [] for variant in variants}
    for _ in range(repetitions):
        for variant in variants:
            with places.running(variant) as (server, database_url):
                point = await measure(
                    variant.name,
                    W1,
                    concurrency=CONCURRENCY,
                    windows=windows,
                    server=server,
                    postgres=places.postgres,
                    database_url=database_url,
                )
            rate = rate_of(point)
            say(rate)
            found[variant.name].append(rate)
    return [middle(rates) for rates in found.values()]


def rate_of(point: Point) -> Rate:
    operations = max(1, point.load.operations)
    latency = point.load.latencies.get("start to completed")
    cpu = by_class(point.usage.cpu_seconds, [*point.memory_of, DATABASE, GENERATOR])
    each = {part: 1_000 * seconds / operations for part, seconds in cpu.items()}
    return Rate(
        variant=point.target,
        per_second=point.load.operations / point.seconds,
        p50_ms=latency.p50_ms if latency else 0.0,
        p99_ms=latency.p99_ms if latency else 0.0,
        cpu_ms=each,
        total_cpu_ms=sum(used for part, used in each.items() if part != GENERATOR),
        commits_each=point.database.commits / operations,
        transactions_each=point.database.transactions / operations,
        redis_commands_each=point.counts.get(COMMANDS, 0) / operations,
        busy_cores=point.usage.busy_cores,
        foreign_cores=point.usage.foreign_cores,
        errors=point.load.errors,
    )


def middle(rates: Sequence[Rate]) -> Rate:
    """Of an even number the slower one of the two."""
    ordered = sorted(rates, key=lambda rate: rate.per_second)
    return ordered[(len(ordered) - 1) // 2]


def by_class(amounts: Mapping[str, float], parts: Iterable[str]) -> dict[str, float]:
    """The sums of nodes of a class, which are called ``<class>-<number>``."""
    sums: dict[str, float] = {}
    for part in parts:
        name = part.rpartition("-")[0] or part
        sums[name] = sums.get(name, 0.0) + amounts[part]
    return sums
