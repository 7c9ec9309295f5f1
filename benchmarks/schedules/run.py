"""The runner: ``python -m benchmarks.schedules.run --help``."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg
import uvloop

from benchmarks.load.latency import Latency, summarise
from benchmarks.private_postgres import PrivatePostgres, running_postgres
from benchmarks.result import Circumstances, add_json_option, write_result
from benchmarks.schedules.cost import Cost, Meter
from benchmarks.schedules.load import POLLERS, Fleet
from benchmarks.servers import bootstrap
from dwserver.store.opening import open_store
from dwserver.store.schedules import ScheduleSummary
from tests.support.server_process import ServerProcess

TOKEN = "bench-token"
# From the first creation to the minute, at least; the rest is creating them.
LEAD_SECONDS = 15
PER_SCHEDULE_SECONDS = 0.003
GIVE_UP_SECONDS = 90.0
KILLED_AFTER_SECONDS = 1.0
SECOND_ONES_SECONDS = 2.0
LAST_WITHIN_SECONDS = 20.0
_LAST_FIRED = "select max(last_fired_at) from schedules"
UNDISTURBED, KILLED = CASES = ("undisturbed", "killed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times are seconds after the minute that all schedules are of."""

    schedules: int
    is_killed: bool
    creation_seconds: float
    delivered: int
    missed: int
    twice: int
    lag: Latency | None
    last_fired_seconds: float
    last_seconds: float
    errors: dict[str, int]
    summary: ScheduleSummary
    terms: int
    cost: Cost

    @property
    def is_sound(self) -> bool:
        return (
            self.missed == self.twice == 0
            and self.summary.fires_total == self.schedules
            and self.last_seconds <= LAST_WITHIN_SECONDS
        )


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.schedules.run",
        description="W9b: schedules of one minute, delivered to workers.",
    )
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE"
    )
    add_json_option(parser, "schedules.json")
    return parser.parse_args(words)


def node(url: str, folder: Path, name: str, **env: str) -> ServerProcess:
    return ServerProcess(
        {
            "DW_DATABASE_URL": url,
            "DW_AUTH_TOKEN": TOKEN,
            "DW_SERVER_ID": name,
            "DW_SCHEDULER_LEASE_SECONDS": "3",
            **env,
        },
        log_path=folder / f"{name}.log",
    )


async def measure(
    postgres: PrivatePostgres, folder: Path, *, schedules: int, kill: bool
) -> Measured:
    """One node for clients, two schedulers; ``kill``: the leader dies in the minute."""
    url = postgres.databases.create()
    bootstrap(url)
    with ExitStack() as running:
        api = running.enter_context(node(url, folder, "api"))
        schedulers = [
            running.enter_context(
                node(url, folder, f"s{n}", DW_SERVER_PROCESS_CLASS="scheduler_node")
            )
            for n in range(2)
        ]
        lead = LEAD_SECONDS + schedules * PER_SCHEDULE_SECONDS
        due_at = math.ceil((time.time() + lead) / 60) * 60
        fleet = Fleet(api.base_url, TOKEN, due_at, schedules)
        creation_seconds = await fleet.create()
        print(f"created in {creation_seconds:.1f} s", file=sys.stderr)
        await fleet.register()
        polls = [asyncio.create_task(fleet.poll(n)) for n in range(POLLERS)]
        await asyncio.sleep(due_at - time.time())
        meter = Meter(
            postgres,
            url,
            servers={"node": api.pid, **{f"s{n}": schedulers[n].pid for n in (0, 1)}},
        )
        await meter.start()
        if kill:
            await asyncio.sleep(KILLED_AFTER_SECONDS)
            leader = await leading(url)
            schedulers[int(leader.removeprefix("s"))].kill()
            meter.forget(leader)
        left = due_at - time.time() + GIVE_UP_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(fleet.everything.wait(), left)
        cost = await meter.stop()
        # A second one would come now.
        await asyncio.sleep(SECOND_ONES_SECONDS)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        return await counted(
            url, fleet, cost, creation_seconds=creation_seconds, kill=kill
        )


async def leading(url: str) -> str:
    store = open_store(url)
    await store.open()
    try:
        lease = await store.find_leader("scheduler")
        assert lease is not None
        return lease.holder.split("/")[0]
    finally:
        await store.close()


async def counted(
    url: str, fleet: Fleet, cost: Cost, *, creation_seconds: float, kill: bool
) -> Measured:
    store = open_store(url)
    await store.open()
    try:
        summary = await store.summarise_schedules(None, now=fleet.due_at * 10**6)
        lease = await store.find_leader("scheduler")
    finally:
        await store.close()
    connection = await asyncpg.connect(url)
    try:
        last_fired_at = await connection.fetchval(_LAST_FIRED)
    finally:
        await connection.close()
    lags = list(fleet.delivered.values())
    return Measured(
        schedules=fleet.schedules,
        is_killed=kill,
        creation_seconds=round(creation_seconds, 1),
        delivered=len(lags),
        missed=fleet.schedules - len(lags),
        twice=sum(fleet.twice.values()),
        lag=summarise(lags),
        last_fired_seconds=round((last_fired_at or 0) / 10**6 - fleet.due_at, 2),
        last_seconds=round(max(lags, default=0.0), 2),
        errors=dict(fleet.errors),
        summary=summary,
        terms=lease.term if lease else 0,
        cost=cost,
    )


def to_markdown(circumstances: Circumstances, found: Sequence[Measured]) -> str:
    text = circumstances.heading("Schedules of one minute")
    text += [
        "- PostgreSQL, one node for clients, two schedulers, lease of 3 s, "
        f"{POLLERS} polls",
        "",
        "| | schedules | created/s | last fired s | delivered p50 s | p99 s | last s "
        "| missed | twice | terms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        name = "leader killed in the minute" if each.is_killed else "undisturbed"
        lag = each.lag
        assert lag is not None
        text.append(
            f"| {name} | {each.schedules:,} "
            f"| {each.schedules / each.creation_seconds:,.0f} "
            f"| {each.last_fired_seconds:.2f} "
            f"| {lag.p50_ms / 1000:.2f} | {lag.p99_ms / 1000:.2f} "
            f"| {each.last_seconds:.2f} | {each.missed} | {each.twice} "
            f"| {each.terms} |"
        )
    text += ["", "CPU ms each, from the minute to the last delivery:", ""]
    for each in found:
        name = "leader killed in the minute" if each.is_killed else "undisturbed"
        shares = ", ".join(
            f"{who} {1000 * seconds / each.schedules:.2f}"
            for who, seconds in each.cost.cpu_seconds.items()
        )
        text.append(
            f"- {name}: {shares}; {each.cost.commits / each.schedules:.2f} commits, "
            f"{each.cost.transactions / each.schedules:.2f} transactions each; "
            f"{each.cost.busy_cores:.2f} cores busy, {each.cost.foreign_cores:.2f} of "
            "them with something else"
        )
    return "\n".join((*text, ""))


async def run_command(arguments: argparse.Namespace) -> int:
    """Exit code: 1 when one was missed, fired twice, or came too late."""
    found = []
    with tempfile.TemporaryDirectory(prefix="dwserver-schedules-") as name:
        folder = Path(name)
        circumstances = Circumstances.of_now(folder)
        with running_postgres() as postgres:
            for case in arguments.cases:
                measured = await measure(
                    postgres,
                    folder,
                    schedules=arguments.schedules,
                    kill=case == KILLED,
                )
                found.append(measured)
                print(measured, file=sys.stderr)
    document = {
        **circumstances.document(),
        "runs": [asdict(each) for each in found],
    }
    text = to_markdown(circumstances, found)
    write_result(arguments.json, document, text)
    print(text)
    return 0 if all(each.is_sound for each in found) else 1


def main() -> None:
    sys.exit(uvloop.run(run_command(parse_arguments(sys.argv[1:]))))


if __name__ == "__main__":
    main()
