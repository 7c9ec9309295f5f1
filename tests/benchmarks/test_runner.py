"""The command line and the plan of a run; folded stacks of a profile."""

from __future__ import annotations

import pytest

from benchmarks.campaign import Plan
from benchmarks.profiling import top_of_stacks
from benchmarks.run import FULL, QUICK, parse_arguments, windows_of
from benchmarks.servers import Target
from benchmarks.workloads import ON_ONE_SERVER, W1, W4, W6


def test_arguments_default_to_everything_on_both_targets() -> None:
    arguments = parse_arguments([])
    assert arguments.workloads == [workload.name for workload in ON_ONE_SERVER]
    assert set(arguments.targets) == set(Target)
    assert windows_of(arguments) == FULL


def test_arguments_choose_workloads_points_and_windows() -> None:
    words = "--quick --workloads W1,w9a --seconds 7 --concurrency 1,64"
    arguments = parse_arguments(words.split())
    assert arguments.workloads == ["w1", "w9a"]
    assert arguments.concurrency == [1, 64]
    windows = windows_of(arguments)
    assert windows.window_seconds == 7.0
    assert windows.warmup_seconds == QUICK.warmup_seconds


@pytest.mark.parametrize(
    "words",
    [["--workloads", "w99"], ["--concurrency", "0"], ["--targets", "moon"]],
)
def test_arguments_refuse_what_does_not_exist(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(words)
    assert words[0] in capsys.readouterr().err


def plan(concurrencies: list[int] | None) -> Plan:
    return Plan(
        workloads=[W1, W6],
        targets=[Target.FLOOR],
        windows=QUICK,
        concurrencies=concurrencies,
    )


def test_places_are_those_of_the_workloads() -> None:
    places = [(workload.name, clients) for workload, clients in plan(None).places()]
    assert places == [("w1", 1), ("w1", 16), ("w1", 64), ("w1", 256), ("w6", 2_000)]


def test_places_with_other_clients_keep_the_idle_polls() -> None:
    places = [(workload.name, clients) for workload, clients in plan([8]).places()]
    assert places == [("w1", 8), ("w6", 2_000)]


def test_the_floor_is_left_out_where_it_cannot_do_the_work() -> None:
    both = Plan(workloads=[W1, W4], targets=list(Target), windows=QUICK)
    assert both.targets_of(W1) == list(Target)
    assert both.targets_of(W4) == [Target.DWSERVER]


def test_top_of_stacks_counts_recursion_once_in_the_total() -> None:
    text = top_of_stacks(["a;b;b 3", "a;c 1"])
    rows = [line.split() for line in text.splitlines()[1:]]
    assert rows == [["75.0", "75.0", "b"], ["25.0", "25.0", "c"]]
