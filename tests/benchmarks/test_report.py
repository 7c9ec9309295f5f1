"""Result tables, the JSON document, the hardware note."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from benchmarks.comparison import compare
from benchmarks.hardware import cpu_model, filesystem_of
from benchmarks.measure import Point, Windows
from benchmarks.report import Run, errors_of, number, to_document, to_markdown
from benchmarks.servers import Target
from tests.benchmarks.points import CIRCUMSTANCES, growth_point, idle_point, loop_point


def run_of(*points: Point, failures: Sequence[str] = ()) -> Run:
    return Run(
        circumstances=CIRCUMSTANCES,
        postgres_version="15.1",
        postgres_settings={"fsync": "on"},
        windows=Windows(
            warmup_seconds=5.0, window_seconds=20.0, idle_window_seconds=60.0
        ),
        repetitions=3,
        comparisons=compare(points),
        failures=failures,
    )


def rows_of(markdown: str, first_cell: str) -> list[list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("|")
    ]
    return [row for row in rows if row[0] == first_cell]


def test_markdown_puts_both_targets_and_their_ratio_side_by_side() -> None:
    text = to_markdown(run_of(loop_point(Target.FLOOR, operations=2_000), loop_point()))
    compared, ours, floor = rows_of(text, "64")
    assert compared[1] == "100 / 200 (0.50)"
    assert compared[4] == "1.50 / 0.75 (2.00)"
    assert ours[1:4] == ["dwserver", "1.00", "0.50"]
    assert floor[1:4] == ["floor", "0.50", "0.25"]


def test_markdown_of_one_target_has_no_ratio() -> None:
    compared, _ = rows_of(to_markdown(run_of(loop_point(Target.FLOOR))), "64")
    assert compared[1] == "– / 100"


def test_markdown_of_idle_polls_has_columns_of_its_own() -> None:
    text = to_markdown(run_of(idle_point()))
    compared, _ = rows_of(text, "2000")
    assert compared[1:4] == ["2.50 / –", "2.00 / –", "40.0 / –"]
    assert "workflows/s" not in text


def test_markdown_of_growth_lists_what_was_sampled() -> None:
    text = to_markdown(run_of(growth_point()))
    compared, *_ = rows_of(text, "1")
    assert compared[1:4] == ["4.00 / –", "5.00 / –", "1.25 / –"]
    (page,) = rows_of(text, "history page of 1000")
    assert page[1:] == ["10.0", "6.00", "8.00", "99.0"]


def test_growth_is_judged() -> None:
    name = "W8: appending a turn at 10,000 events ÷ at none"
    (row,) = rows_of(to_markdown(run_of(growth_point(last_ms=8.0))), name)
    assert row[1:] == ["1.5", "2.00", "NO"]


def test_markdown_tables_have_cells_for_every_heading() -> None:
    text = to_markdown(run_of(loop_point(), idle_point()))
    tables = text.split("\n\n")
    widths = [
        {line.replace("\\|", "").count("|") for line in table.splitlines()}
        for table in tables
        if table.startswith("|")
    ]
    assert len(widths) == 6
    assert all(len(found) == 1 for found in widths)


def test_markdown_tells_the_statements_of_idle_polls() -> None:
    (row,) = rows_of(to_markdown(run_of(idle_point())), "1.50")
    assert row == ["1.50", "`select sweep`"]


def test_markdown_judges_the_bounds() -> None:
    text = to_markdown(run_of(loop_point(commits=3_000)))
    (row,) = rows_of(text, "W1, 64 in flight: commits per workflow")
    assert row[1:] == ["1", "3.00", "NO"]


def test_errors_of_a_load_are_told_with_their_place() -> None:
    run = run_of(loop_point(errors={"POST /api/workflows: 500": 2}), idle_point())
    told = ["dwserver w1 C=64: 2 × POST /api/workflows: 500"]
    assert errors_of(run) == told
    assert to_document(run)["errors"] == told
    assert told[0] in to_markdown(run)


def test_points_that_could_not_be_measured_are_errors() -> None:
    run = run_of(loop_point(), failures=["floor w1 C=1: it died"])
    assert errors_of(run) == ["floor w1 C=1: it died"]


def test_document_is_json_with_figures_measurements_and_ratios() -> None:
    run = run_of(loop_point(Target.FLOOR), loop_point(), idle_point())
    document = orjson.loads(orjson.dumps(to_document(run)))
    w1, w6 = document["comparisons"]
    assert w1["ratios"]["per_second"] == 1.0
    assert w1["dwserver"]["figures"]["cpu_ms_each"] == 1.5
    assert w1["floor"]["measured"]["load"]["operations"] == 1_000
    assert "floor" not in w6
    assert document["hardware"]["cores"] == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.00"), (0.123, "0.12"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_number_keeps_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_cpu_model_is_the_first_named_one() -> None:
    cpuinfo = "processor : 0\nmodel name\t: Abacus 9\n\nmodel name\t: Other\n"
    assert cpu_model(cpuinfo) == "Abacus 9"


def test_filesystem_of_is_that_of_the_innermost_mount() -> None:
    mounts = "a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\nc /tmp/x xfs rw 0 0\n"
    assert filesystem_of(Path("/tmp/y"), mounts) == "tmpfs"
    assert filesystem_of(Path("/tmp/x/y"), mounts) == "xfs"
    assert filesystem_of(Path("/home"), mounts) == "ext4"
