"""The runner: ``python -m benchmarks.run --help`` (``scripts/bench``)."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import metering
from benchmarks.campaign import Campaign, Plan
from benchmarks.comparison import compare
from benchmarks.figures import GrowthFigures, IdleFigures, LoopFigures, figures_of
from benchmarks.load.process import allow_open_files
from benchmarks.measure import LoadFailed, Point, Windows
from benchmarks.private_postgres import running_postgres
from benchmarks.profiling import profile_w1
from benchmarks.report import Run, errors_of, number, to_document, to_markdown
from benchmarks.result import Circumstances, add_json_option, write_result
from benchmarks.servers import ServerFailed, Target
from benchmarks.workloads import ON_ONE_SERVER, WORKLOADS
from dwserver.cli.local_cluster.binaries import LocalServerError

FULL = Windows(warmup_seconds=5.0, window_seconds=20.0, idle_window_seconds=60.0)
QUICK = Windows(warmup_seconds=2.0, window_seconds=5.0, idle_window_seconds=32.0)
NAMES = tuple(workload.name for workload in ON_ONE_SERVER)


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures dwserver against the floor of this machine.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="short windows: a look, not a result"
    )
    parser.add_argument(
        "--workloads",
        type=_names,
        default=list(NAMES),
        help=f"some of {','.join(NAMES)}; default: all",
    )
    parser.add_argument(
        "--concurrency", type=_numbers, help="instead of each workload's own: 1,16"
    )
    parser.add_argument(
        "--seconds", type=float, help="length of the windows, but not of idle polls"
    )
    parser.add_argument("--repeat", type=int, default=1, help="repetitions of a point")
    parser.add_argument(
        "--targets",
        type=_targets,
        default=[Target.FLOOR, Target.DWSERVER],
        help="floor,dwserver (default) or one of them",
    )
    add_json_option(parser, "latest.json")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="only: W1 with dwserver under a profiler, top functions into out/",
    )
    return parser.parse_args(words)


def _names(text: str) -> list[str]:
    names = text.lower().split(",")
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such workload: {', '.join(unknown)}")
    return names


def _numbers(text: str) -> list[int]:
    numbers = [int(word) for word in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return numbers


def _targets(text: str) -> list[Target]:
    return [Target(word) for word in text.split(",")]


def windows_of(arguments: argparse.Namespace) -> Windows:
    base = QUICK if arguments.quick else FULL
    if arguments.seconds is None:
        return base
    return replace(base, window_seconds=arguments.seconds)


def say_point(point: Point) -> None:
    """One line of progress on standard error."""
    match figures_of(point):
        case LoopFigures() as loop:
            text = (
                f"{number(loop.per_second)}/s, p50 {number(loop.p50_ms)} ms,"
                f" CPU {number(loop.cpu_ms_each)} ms each"
            )
        case IdleFigures() as idle:
            text = (
                f"CPU {number(idle.cpu_percent)} % of a core,"
                f" {number(idle.kb_per_poll)} kB per poll"
            )
        case GrowthFigures() as growth:
            text = f"append at the end ÷ at the start {number(growth.growth)}"
    errors = sum(point.load.errors.values())
    tail = f", {errors} ERRORS" if errors else ""
    place = f"{point.workload} C={point.concurrency} {point.target}"
    print(f"bench: {place}: {text}{tail}", file=sys.stderr)


async def measure_all(arguments: argparse.Namespace) -> Run:
    windows = windows_of(arguments)
    plan = Plan(
        workloads=[WORKLOADS[name] for name in arguments.workloads],
        targets=arguments.targets,
        windows=windows,
        repetitions=arguments.repeat,
        concurrencies=arguments.concurrency,
    )
    with tempfile.TemporaryDirectory(prefix="dwserver-bench-") as folder:
        circumstances = Circumstances.of_now(Path(folder))
        with running_postgres() as postgres:
            campaign = Campaign(postgres, Path(folder))
            points = await campaign.run(plan, report=say_point)
            return Run(
                circumstances=circumstances,
                postgres_version=postgres.version,
                postgres_settings=postgres.settings,
                windows=windows,
                repetitions=arguments.repeat,
                comparisons=compare(points),
                failures=campaign.failures,
            )


async def profile(arguments: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="dwserver-bench-") as folder,
        running_postgres() as postgres,
    ):
        campaign = Campaign(postgres, Path(folder))
        written = await profile_w1(campaign, postgres, windows=windows_of(arguments))
    print(f"bench: top functions in {written}")


async def run_command(arguments: argparse.Namespace) -> int:
    """Exit code: 1 when the load met errors."""
    if arguments.profile:
        await profile(arguments)
        return 0
    began_at = time.monotonic()
    run = await measure_all(arguments)
    text = to_markdown(run)
    write_result(arguments.json, to_document(run), text)
    print(text)
    print(
        f"bench: {time.monotonic() - began_at:.0f} s, written to {arguments.json}",
        file=sys.stderr,
    )
    return 1 if errors_of(run) else 0


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    arguments = parse_arguments(sys.argv[1:])
    signal.signal(signal.SIGTERM, _interrupted)
    allow_open_files()
    try:
        code = asyncio.run(run_command(arguments))
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
    except (LoadFailed, ServerFailed, LocalServerError) as error:
        sys.exit(f"bench: {error}")
    except metering.MeteringError as error:
        sys.exit(f"bench: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
