"""Figures per operation, ratios to the floor, the median of repetitions."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from benchmarks.bounds import BOUNDS, judge
from benchmarks.comparison import compare
from benchmarks.figures import (
    figures_of,
    idle_figures,
    loop_figures,
    median_point,
    ratio,
    ratios,
)
from benchmarks.load.latency import percentile, summarise
from benchmarks.servers import Target
from benchmarks.workloads import WORKLOADS
from tests.benchmarks.points import growth_point, idle_point, loop_point


def test_loop_figures_are_per_operation() -> None:
    assert asdict(loop_figures(loop_point())) == {
        "per_second": 100.0,
        "p50_ms": 20.0,
        "p99_ms": 40.0,
        "cpu_ms_each": pytest.approx(1.5),
        "server_cpu_ms_each": pytest.approx(1.0),
        "database_cpu_ms_each": pytest.approx(0.5),
        "generator_cpu_ms_each": pytest.approx(0.25),
        "commits_each": pytest.approx(0.5),
        "transactions_each": pytest.approx(0.6),
        "rows_each": pytest.approx(21.0),
        "wal_kb_each": pytest.approx(5.0),
    }


def test_loop_figures_of_nothing_finished_are_missing_not_zero() -> None:
    figures = loop_figures(loop_point(operations=0))
    assert figures.per_second == 0
    assert figures.cpu_ms_each is None
    assert figures.commits_each is None


def test_idle_figures_are_per_poll_and_per_second() -> None:
    assert asdict(idle_figures(idle_point())) == {
        "cpu_percent": pytest.approx(2.5),
        "server_cpu_percent": pytest.approx(2.0),
        "database_cpu_percent": pytest.approx(0.5),
        "queries_per_second": pytest.approx(2.0),
        "is_counting_transactions": False,
        "kb_per_poll": pytest.approx(40.0),
        "kb_per_registration": pytest.approx(5.0),
        "polls_returned_per_second": pytest.approx(4_000 / 60),
    }


def test_idle_figures_without_statement_counts_fall_back_to_transactions() -> None:
    figures = idle_figures(idle_point(statements=None, transactions=30))
    assert figures.is_counting_transactions
    assert figures.queries_per_second == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ours", "floor", "expected"),
    [(3.0, 2.0, 1.5), (0.0, 2.0, 0.0), (3.0, 0.0, None), (None, 2.0, None)],
)
def test_ratio(ours: float | None, floor: float, expected: float | None) -> None:
    assert ratio(ours, floor) == expected


def test_ratios_leave_words_out() -> None:
    found = ratios(
        figures_of(idle_point()), figures_of(idle_point(statements={"select 1": 60}))
    )
    assert found["queries_per_second"] == pytest.approx(2.0)
    assert "is_counting_transactions" not in found


def test_compare_pairs_targets_of_the_same_place() -> None:
    compared = compare(
        [
            loop_point(Target.FLOOR, server_seconds=0.5),
            loop_point(),
            loop_point(concurrency=1),
        ]
    )
    assert [item.place for item in compared] == [("w1", 64), ("w1", 1)]
    assert compared[0].ratios["cpu_ms_each"] == pytest.approx(1.5)
    assert compared[1].floor is None
    assert compared[1].ratios == {}


def test_median_point_is_the_middle_by_cpu() -> None:
    points = [loop_point(server_seconds=seconds) for seconds in (3.0, 1.0, 2.0)]
    assert median_point(points) is points[2]


def test_judge_tells_kept_from_broken_bounds() -> None:
    points = [loop_point(Target.FLOOR, server_seconds=0.1), loop_point(commits=1_000)]
    verdicts = {v.bound.figure: v for v in judge(compare(points))}
    assert verdicts["commits_each"].is_kept
    assert verdicts["cpu_ms_each"].value == pytest.approx(2.5)
    assert not verdicts["cpu_ms_each"].is_kept


def test_judge_is_silent_about_what_was_not_measured() -> None:
    assert judge(compare([loop_point(concurrency=1)])) == []


def test_bounds_name_points_and_figures_that_exist() -> None:
    examples = {
        "w1": loop_point(),
        "w4": loop_point(),
        "w6": idle_point(),
        "w8": growth_point(),
    }
    for bound in BOUNDS:
        assert bound.concurrency in WORKLOADS[bound.workload].concurrencies
        assert hasattr(figures_of(examples[bound.workload]), bound.figure)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.99, 10), (1.0, 10)]
)
def test_percentile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(list(range(1, 11)), share) == expected


def test_summarise_speaks_in_milliseconds_whatever_the_order() -> None:
    found = summarise([0.003, 0.001, 0.002])
    assert found is not None
    assert (found.count, found.p50_ms, found.max_ms, found.mean_ms) == (3, 2, 3, 2)


def test_summarise_of_nothing_is_nothing() -> None:
    assert summarise([]) is None
