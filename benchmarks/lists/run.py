"""The runner: ``python -m benchmarks.lists.run --help``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.lists.filling import Filled, fill
from benchmarks.lists.questions import Refused, Timed, ask_all
from benchmarks.load.http_client import Connection
from benchmarks.private_postgres import running_postgres
from benchmarks.report import number
from benchmarks.result import Circumstances, add_json_option, write_result
from benchmarks.servers import ServerFailed, Target, bootstrap, running_server

MOST_TIMES_THE_FIRST = 2.0
"""What a page deep in the list may cost, as a multiple of the first one (p50)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    database: str
    filled: Filled
    timed: list[Timed]

    def ratios(self) -> dict[str, float]:
        """p50 of each deep page ÷ that of the first one."""
        p50 = {each.name: each.latency.p50_ms for each in self.timed}
        return {
            each.name: round(p50[each.name] / p50[each.first], 2)
            for each in self.timed
            if each.first is not None
        }


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lists.run",
        description="Times lists and details of runs in a database full of runs.",
    )
    parser.add_argument("--runs", type=int, default=100_000, help="in the database")
    parser.add_argument("--rounds", type=int, default=300, help="of all questions")
    add_json_option(parser, "lists.json")
    return parser.parse_args(words)


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """URLs of empty bootstrapped databases, by the name of the engine."""
    with running_postgres() as postgres:
        found = {
            f"PostgreSQL {postgres.version}": postgres.databases.create(),
            "SQLite": f"sqlite:///{folder / 'dw.sqlite'}",
        }
        for url in found.values():
            bootstrap(url)
        yield found


async def measure(
    engine: str, url: str, *, runs: int, rounds: int, log_path: Path
) -> Measured:
    filled = await fill(url, runs)
    with running_server(Target.DWSERVER, url, log_path=log_path) as server:
        headers = {
            "Authorization": f"Bearer {server.token}",
            "X-Durable-Workflow-Control-Plane-Version": "2",
        }
        connection = Connection(server.url, headers)
        try:
            timed = await ask_all(connection, filled, rounds=rounds)
        finally:
            connection.close()
    return Measured(database=engine, filled=filled, timed=timed)


def to_document(
    circumstances: Circumstances, found: Sequence[Measured]
) -> dict[str, Any]:
    return {
        **circumstances.document(),
        "most_times_the_first": MOST_TIMES_THE_FIRST,
        "databases": [{**asdict(each), "ratios": each.ratios()} for each in found],
    }


def to_markdown(circumstances: Circumstances, found: Sequence[Measured]) -> str:
    lines = circumstances.heading("Lists of runs")
    lines += ["- one client, one request at a time; times at the client, in ms", ""]
    for each in found:
        filled = each.filled
        lines += [
            f"## {each.database}: {filled.runs:,} runs",
            "",
            f"Written in {filled.seconds:.0f} s, each with two search attributes.",
            "",
            "| request | p50 | p99 | p50 ÷ first page |",
            "|---|---|---|---|",
        ]
        ratios = each.ratios()
        lines += [
            f"| {timed.name} | {number(timed.latency.p50_ms)} "
            f"| {number(timed.latency.p99_ms)} | {ratios.get(timed.name, '')} |"
            for timed in each.timed
        ]
        lines.append("")
    return "\n".join(lines)


async def run_command(arguments: argparse.Namespace) -> int:
    """Exit code: 1 when a deep page costs more than it may."""
    found = []
    with tempfile.TemporaryDirectory(prefix="dwserver-lists-") as name:
        folder = Path(name)
        circumstances = Circumstances.of_now(folder)
        with databases(folder) as urls:
            for engine, url in urls.items():
                measured = await measure(
                    engine,
                    url,
                    runs=arguments.runs,
                    rounds=arguments.rounds,
                    log_path=folder / "server.log",
                )
                found.append(measured)
                print(f"lists: {engine} done", file=sys.stderr)
    text = to_markdown(circumstances, found)
    write_result(arguments.json, to_document(circumstances, found), text)
    print(text)
    ratios = [ratio for each in found for ratio in each.ratios().values()]
    return 1 if max(ratios) > MOST_TIMES_THE_FIRST else 0


def main() -> None:
    arguments = parse_arguments(sys.argv[1:])
    try:
        code = asyncio.run(run_command(arguments))
    except (Refused, ServerFailed) as error:
        sys.exit(f"lists: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
