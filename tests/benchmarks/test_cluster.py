"""What is made of the figures of clusters."""

from __future__ import annotations

import pytest

from benchmarks.cluster.rates import Rate, by_class, middle
from benchmarks.cluster.recovery import recovery
from benchmarks.cluster.report import Report, to_document, to_markdown
from benchmarks.cluster.run import PARTS, parse_arguments
from tests.benchmarks.points import CIRCUMSTANCES


def every(step: float, start: float, end: float) -> list[float]:
    return [start + n * step for n in range(round((end - start) / step))]


def rate(variant: str, per_second: float, errors: dict[str, int] | None = None) -> Rate:
    return Rate(
        variant=variant,
        per_second=per_second,
        p50_ms=1.0,
        p99_ms=2.0,
        cpu_ms={"server": 1.0, "database": 0.5, "generator": 0.25},
        total_cpu_ms=1.5,
        commits_each=0.1,
        transactions_each=0.2,
        redis_commands_each=0.0,
        busy_cores=2.0,
        foreign_cores=0.0,
        errors=errors or {},
    )


def report(*rates: Rate) -> Report:
    return Report(
        circumstances=CIRCUMSTANCES,
        window_seconds=1.0,
        repetitions=1,
        split=rates,
    )


def test_a_gap_is_over_when_a_second_has_most_of_the_rate_before() -> None:
    completed_at = [*every(0.01, 0.0, 10.0), *every(0.01, 12.0, 20.0)]
    felt = recovery(completed_at, before=(5.0, 10.0), killed_at=10.0, until=20.0)
    assert felt.before_per_second == pytest.approx(100, rel=0.01)
    # The second that begins a tenth before the end of the gap has nine tenths of it.
    assert felt.seconds == pytest.approx(1.9, abs=0.05)
    assert felt.lost_seconds == pytest.approx(2.0, abs=0.05)
    assert felt.after_per_second == pytest.approx(100, rel=0.02)


def test_a_rate_that_stays_low_is_not_back() -> None:
    completed_at = [*every(0.01, 0.0, 10.0), *every(0.02, 10.0, 20.0)]
    felt = recovery(completed_at, before=(5.0, 10.0), killed_at=10.0, until=20.0)
    assert felt.seconds is None
    assert felt.lost_seconds == pytest.approx(5.0, abs=0.05)


def test_a_loss_that_nobody_feels_costs_nothing() -> None:
    felt = recovery(
        every(0.01, 0.0, 20.0), before=(5.0, 10.0), killed_at=10.0, until=20.0
    )
    assert felt.seconds == 0.0
    assert felt.lost_seconds == pytest.approx(0.0, abs=0.02)


def test_nodes_of_a_class_are_added() -> None:
    used = {"matching_node-1": 1.0, "matching_node-2": 2.0, "database": 4.0}
    assert by_class(used, used) == {"matching_node": 3.0, "database": 4.0}


def test_the_repetition_in_the_middle_counts() -> None:
    rates = [rate("split", each) for each in (3.0, 1.0, 2.0, 9.0)]
    assert middle(rates).per_second == 2.0


def test_the_ratio_is_reported_and_judged() -> None:
    text = to_markdown(report(rate("one process", 600), rate("split", 450)))
    assert "Split ÷ one process: 0.75 (kept: 0.7 at least)." in text
    assert "| split | 450 | 0.75 |" in text
    slow = report(rate("one process", 600), rate("split", 300))
    assert "0.50 (MISSED" in to_markdown(slow)
    assert to_document(slow)["split_ratio"] == 0.5


def test_errors_of_the_load_are_errors_of_the_run() -> None:
    bad = report(rate("one process", 1), rate("split", 1, {"lost": 3}))
    assert bad.errors() == ["split: 3 × lost"]
    assert "- split: 3 × lost" in to_markdown(bad)


def test_parts_can_be_chosen() -> None:
    assert parse_arguments([]).parts == list(PARTS)
    assert parse_arguments(["--parts", "losses,polls"]).parts == ["losses", "polls"]
    with pytest.raises(SystemExit):
        parse_arguments(["--parts", "nothing"])
