"""The runner: ``python -m benchmarks.retention.run --help``."""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from benchmarks.load.order import Order, Phase
from benchmarks.measure import LoadFailed, follow, load_process
from benchmarks.private_postgres import running_postgres
from benchmarks.result import Circumstances, add_json_option, write_result
from benchmarks.retention.databases import Database, Postgres, Sqlite
from benchmarks.retention.filling import Filled, fill
from benchmarks.retention.windows import Wanted, Window, measure_window
from benchmarks.servers import ServerFailed, Target, bootstrap, running_server

LEAST_RATIO = 0.85
"""Rate of W1 while runs are pruned, as a share of the undisturbed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    database: str
    filled: Filled
    windows: list[Window]

    def rate(self, *, is_pruning: bool) -> float:
        return statistics.median(
            each.rate for each in self.windows if each.is_pruning is is_pruning
        )

    @property
    def ratio(self) -> float:
        return round(self.rate(is_pruning=True) / self.rate(is_pruning=False), 3)

    @property
    def is_sound(self) -> bool:
        """Something was pruned all the time, nothing failed, and W1 went on."""
        pruning = [each for each in self.windows if each.is_pruning]
        has_errors = any(each.errors for each in self.windows)
        is_at_work = all(each.pruned for each in pruning)
        return is_at_work and not has_errors and self.ratio >= LEAST_RATIO


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retention.run",
        description="Rate of W1 while old closed runs are pruned, and without.",
    )
    parser.add_argument("--runs", type=int, default=100_000, help="old closed runs")
    parser.add_argument("--concurrency", type=int, default=64, help="of W1")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a window")
    parser.add_argument("--pairs", type=int, default=2, help="of windows")
    parser.add_argument(
        "--databases",
        nargs="+",
        choices=("postgres", "sqlite"),
        default=["postgres", "sqlite"],
    )
    parser.add_argument(
        "--to-the-end",
        action="store_true",
        help="after the last window, wait until everything is pruned",
    )
    add_json_option(parser, "retention.json")
    return parser.parse_args(words)


@contextmanager
def opened(name: str, folder: Path) -> Iterator[tuple[Database, Mapping[str, int]]]:
    """An empty database, and the processes that belong to it."""
    if name == "sqlite":
        yield Sqlite(folder), {}
        return
    with running_postgres() as postgres:
        yield Postgres(postgres), {"PostgreSQL": postgres.pid}


async def run_one(url: str, log_path: Path) -> None:
    """Let a few workflows run, of which one will be multiplied."""

    async def reached(phase: Phase) -> None:
        del phase

    with running_server(Target.DWSERVER, url, log_path=log_path) as server:
        order = Order(
            workload="w1",
            urls=(server.url,),
            token=server.token,
            concurrency=1,
            warmup_seconds=0.2,
            window_seconds=0.5,
            tag=secrets.token_hex(4),
        )
        async with load_process(order) as process:
            await follow(process, reached)


async def measure(
    database: Database,
    roots: Mapping[str, int],
    arguments: argparse.Namespace,
    *,
    log_path: Path,
) -> Measured:
    """Windows in turns, so that both kinds see the same mood of the machine."""
    bootstrap(database.url)
    await run_one(database.url, log_path)
    filled = fill(database, arguments.runs)
    print(f"retention: {database.name}: {filled}", file=sys.stderr)
    windows = []
    for number in range(2 * arguments.pairs):
        wanted = Wanted(
            concurrency=arguments.concurrency,
            seconds=arguments.seconds,
            runs=arguments.runs,
            is_pruning=number % 2 == 1,
            to_the_end=arguments.to_the_end and number == 2 * arguments.pairs - 1,
        )
        window = await measure_window(database, wanted, roots=roots, log_path=log_path)
        print(f"retention: {window}", file=sys.stderr)
        windows.append(window)
    return Measured(database=database.name, filled=filled, windows=windows)


def to_markdown(
    circumstances: Circumstances,
    found: Sequence[Measured],
    arguments: argparse.Namespace,
) -> str:
    lines = circumstances.heading("Retention beside W1")
    lines += [
        f"- W1 with {arguments.concurrency} in flight, windows of "
        f"{arguments.seconds:g} s, each on a fresh server and a copy of the database; "
        "load generator and database use the same cores",
        "",
    ]
    for each in found:
        filled = each.filled
        lines += [
            f"## {each.database}: {filled.runs:,} old runs of {filled.rows} rows",
            "",
            "| | workflows/s | p99 ms | server CPU ms each | pruned/s | other cores |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {'pruning' if window.is_pruning else 'undisturbed'} "
            f"| {window.rate:,.0f} | {window.p99_ms:,.0f} "
            f"| {window.server_cpu_ms_each} "
            f"| {window.pruned / arguments.seconds:,.0f} | {window.foreign_cores} |"
            for window in each.windows
        ]
        lines += ["", f"Rate while pruning ÷ undisturbed: {each.ratio} (medians)."]
        lines += [
            f"The last {window.rest:,} without load: {window.rest_seconds:,.0f} s, "
            f"{window.rest_rate():,.0f} runs/s."
            for window in each.windows
            if window.rest_seconds
        ]
        lines.append("")
    return "\n".join(lines)


async def run_command(arguments: argparse.Namespace) -> int:
    """Exit code: 1 when pruning slows W1 more than it may, or something failed."""
    found = []
    with tempfile.TemporaryDirectory(prefix="dwserver-retention-") as name:
        folder = Path(name)
        circumstances = Circumstances.of_now(folder)
        for kind in arguments.databases:
            with opened(kind, folder) as (database, roots):
                log_path = folder / "server.log"
                found.append(
                    await measure(database, roots, arguments, log_path=log_path)
                )
    document = {
        **circumstances.document(),
        "least_ratio": LEAST_RATIO,
        "databases": [{**asdict(each), "ratio": each.ratio} for each in found],
    }
    text = to_markdown(circumstances, found, arguments)
    write_result(arguments.json, document, text)
    print(text)
    return 0 if all(each.is_sound for each in found) else 1


def main() -> None:
    arguments = parse_arguments(sys.argv[1:])
    try:
        code = uvloop.run(run_command(arguments))
    except (LoadFailed, ServerFailed) as error:
        sys.exit(f"retention: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
