"""What the figures must keep to on a quiet machine with two cores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """``figure`` of a workload at a concurrency is at most ``most``; ``is_ratio``: of
    ours to the floor."""

    text: str
    workload: str
    concurrency: int
    figure: str
    most: float
    is_ratio: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    bound: Bound
    value: float

    @property
    def is_kept(self) -> bool:
        return self.value <= self.bound.most


BOUNDS = (
    Bound(
        text="W1, 64 in flight: commits per workflow",
        workload="w1",
        concurrency=64,
        figure="commits_each",
        most=1.0,
    ),
    Bound(
        text="W1, 64 in flight: CPU of server and PostgreSQL, ours ÷ floor",
        workload="w1",
        concurrency=64,
        figure="cpu_ms_each",
        most=2.2,
        is_ratio=True,
    ),
    Bound(
        text="W4: due to TimerFired, p99 ms",
        workload="w4",
        concurrency=32,
        figure="p99_ms",
        most=400.0,
    ),
    Bound(
        text="W8: appending a turn at 10,000 events ÷ at none",
        workload="w8",
        concurrency=1,
        figure="growth",
        most=1.5,
    ),
    Bound(
        text="W6: CPU of server and PostgreSQL, % of a core",
        workload="w6",
        concurrency=2_000,
        figure="cpu_percent",
        most=5.0,
    ),
    Bound(
        text="W6: database queries per second",
        workload="w6",
        concurrency=2_000,
        figure="queries_per_second",
        most=5.0,
    ),
    Bound(
        text="W6: memory per open poll, kB",
        workload="w6",
        concurrency=2_000,
        figure="kb_per_poll",
        most=60.0,
    ),
)


def judge(comparisons: Iterable[Comparison]) -> list[Verdict]:
    """The bounds whose figure was measured."""
    verdicts = []
    for compared in comparisons:
        for bound in BOUNDS:
            if (bound.workload, bound.concurrency) != compared.place:
                continue
            value = compared.value(bound.figure, is_ratio=bound.is_ratio)
            if value is not None:
                verdicts.append(Verdict(bound=bound, value=value))
    return verdicts
