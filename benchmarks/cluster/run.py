"""The runner: ``python -m benchmarks.cluster.run --help``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.cluster.idle import measure_idle_polls
from benchmarks.cluster.losses import LossTimes, measure_losses
from benchmarks.cluster.places import ONE_PROCESS, SPLIT, Places, Variant
from benchmarks.cluster.rates import Rate, measure_rates
from benchmarks.cluster.report import (
    LEAST_SPLIT_RATIO,
    Report,
    to_document,
    to_markdown,
)
from benchmarks.hop import measure_hop
from benchmarks.load.process import allow_open_files
from benchmarks.measure import LoadFailed, Windows
from benchmarks.metering import MeteringError
from benchmarks.private_postgres import running_postgres
from benchmarks.report import number
from benchmarks.result import Circumstances, add_json_option, write_result
from benchmarks.servers import ServerFailed
from dwserver.topology.shapes import ProcessClass

POLLS = 2_000

SCALED: Final = (
    SPLIT,
    *(
        Variant.of(f"two {process_class.value}s", doubled=process_class)
        for process_class in (
            ProcessClass.INGRESS_NODE,
            ProcessClass.CONTROL_PLANE_NODE,
            ProcessClass.MATCHING_NODE,
        )
    ),
    Variant.of("two of each", count=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long everything takes; all parts in full are about a quarter of an hour."""

    windows: Windows
    repetitions: int
    hop_seconds: float
    losses: LossTimes
    poll_seconds: float


FULL: Final = Length(
    windows=Windows(warmup_seconds=4.0, window_seconds=12.0, idle_window_seconds=0.0),
    repetitions=3,
    hop_seconds=4.0,
    losses=LossTimes(warmup_seconds=4.0, before_seconds=4.0, watched_seconds=10.0),
    poll_seconds=45.0,
)
QUICK: Final = Length(
    windows=Windows(warmup_seconds=2.0, window_seconds=4.0, idle_window_seconds=0.0),
    repetitions=1,
    hop_seconds=1.5,
    losses=LossTimes(warmup_seconds=2.0, before_seconds=3.0, watched_seconds=8.0),
    poll_seconds=10.0,
)


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster.run",
        description="Clusters of dwserver: against one process, and when nodes die.",
    )
    parser.add_argument(
        "--parts",
        type=_names,
        default=list(PARTS),
        help=f"some of {','.join(PARTS)}; default: all",
    )
    parser.add_argument(
        "--quick", action="store_true", help="short windows: a look, not a result"
    )
    parser.add_argument(
        "--repeat", type=int, help="repetitions of split; in the middle counts"
    )
    parser.add_argument("--polls", type=int, default=POLLS, help="idle long polls")
    add_json_option(parser, "cluster.json")
    return parser.parse_args(words)


def _names(text: str) -> list[str]:
    names = text.lower().split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a part needs to know."""

    places: Places
    folder: Path
    length: Length
    polls: int


def say(rate: Rate) -> None:
    text = (
        f"{rate.variant}: {number(rate.per_second)}/s, "
        f"CPU {number(rate.total_cpu_ms)} ms each"
    )
    print(f"cluster: {text}", file=sys.stderr)


def measure_split(run: Run, report: Report) -> Report:
    rates = asyncio.run(
        measure_rates(
            run.places,
            (ONE_PROCESS, SPLIT),
            run.length.windows,
            repetitions=run.length.repetitions,
            say=say,
        )
    )
    return replace(report, split=rates)


def measure_the_hop(run: Run, report: Report) -> Report:
    hop = measure_hop(run.folder, clients=16, seconds=run.length.hop_seconds, rounds=3)
    return replace(report, hop=hop)


def measure_scale(run: Run, report: Report) -> Report:
    rates = asyncio.run(
        measure_rates(run.places, SCALED, run.length.windows, repetitions=1, say=say)
    )
    return replace(report, scale=rates)


def measure_all_losses(run: Run, report: Report) -> Report:
    found = [
        asyncio.run(measure_losses(run.places, run.length.losses, nodes=nodes))
        for nodes in (1, 2)
    ]
    return replace(report, losses=found)


def measure_polls(run: Run, report: Report) -> Report:
    polls = asyncio.run(
        measure_idle_polls(run.places, polls=run.polls, seconds=run.length.poll_seconds)
    )
    return replace(report, polls=polls)


PARTS: Final[dict[str, Callable[[Run, Report], Report]]] = {
    "split": measure_split,
    "hop": measure_the_hop,
    "scale": measure_scale,
    "losses": measure_all_losses,
    "polls": measure_polls,
}


def measure(arguments: argparse.Namespace) -> Report:
    length = QUICK if arguments.quick else FULL
    if arguments.repeat is not None:
        length = replace(length, repetitions=arguments.repeat)
    with tempfile.TemporaryDirectory(prefix="dwserver-cluster-bench-") as name:
        folder = Path(name)
        report = Report(
            circumstances=Circumstances.of_now(folder),
            window_seconds=length.windows.window_seconds,
            repetitions=length.repetitions,
        )
        with running_postgres() as postgres:
            run = Run(
                places=Places(postgres, folder),
                folder=folder,
                length=length,
                polls=arguments.polls,
            )
            for part in arguments.parts:
                began_at = time.monotonic()
                try:
                    report = PARTS[part](run, report)
                except (LoadFailed, MeteringError, ServerFailed) as error:
                    failures = [*report.failures, f"{part}: {error}"]
                    report = replace(report, failures=failures)
                seconds = time.monotonic() - began_at
                print(f"cluster: {part} done in {seconds:.0f} s", file=sys.stderr)
    return report


def main() -> None:
    """Exit code 1: the load met errors, something was lost or completed twice, or the
    split shape is too slow."""
    arguments = parse_arguments(sys.argv[1:])
    allow_open_files()
    report = measure(arguments)
    text = to_markdown(report)
    write_result(arguments.json, to_document(report), text)
    print(text)
    ratio = report.split_ratio
    is_too_slow = ratio is not None and ratio < LEAST_SPLIT_RATIO
    sys.exit(1 if report.errors() or is_too_slow else 0)


if __name__ == "__main__":
    main()
