"""``dwserver repair-pass``: look after tasks that do not move, once or all the time.

``--loop`` is for a dedicated matching process (``docs/architecture/matching.md``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import click
import orjson

from dwserver.cli.failure import EXPECTED, reported
from dwserver.cli.maintenance import (
    Work,
    as_json_option,
    given,
    maintenance_settings,
    namespace_or_default,
    place_of_work,
    server_option,
)
from dwserver.config.settings import Settings
from dwserver.http.system.repair import repair
from dwserver.http.system.repair_report import has_failures
from dwserver.protocol.json_types import JsonObject
from dwserver.runtime.service import wait_event
from dwserver.runtime.signals import ShutdownSignals

REPAIR = Work("/api/system/repair/pass", repair)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often: ``most`` passes, all that come if None, ``pause_seconds`` apart."""

    most: int | None
    pause_seconds: float
    as_json: bool


@click.command("repair-pass")
@click.option("--run-id", "run_ids", multiple=True, help="Only this run; repeatable.")
@click.option("--instance-id", help="Only the current run of this workflow id.")
@click.option("--namespace", help="Of the workflow id (DW_DEFAULT_NAMESPACE).")
@click.option("--connection", help="Only tasks of these connections (comma list).")
@click.option("--queue", help="Only tasks of these queues (comma list).")
@click.option(
    "--respect-throttle",
    is_flag=True,
    help="Do nothing if another pass began a moment ago.",
)
@click.option(
    "--loop", is_flag=True, help="Go on until stopped; respects the throttle."
)
@click.option(
    "--sleep-seconds",
    type=click.FloatRange(min=0.05),
    help="Between passes of the loop (DW_V2_TASK_REPAIR_LOOP_THROTTLE_SECONDS).",
)
@click.option(
    "--max-iterations", type=click.IntRange(min=1), help="Passes of the loop."
)
@as_json_option
@server_option
def repair_pass(
    *, loop: bool, as_json: bool, server: str | None, **options: Any
) -> None:
    """Announce tasks that nobody has taken, take back leases that are over, end what is
    past its deadline.

    Opens the database of the environment, or asks --server with the admin token of the
    environment: an SQLite file that is served can only be asked for. Exit status 1 when
    a pass had failures.
    """
    with reported():
        settings = maintenance_settings()
        throttle = settings.repair.loop_throttle_seconds
        rounds = Rounds(
            most=options["max_iterations"] if loop else 1,
            pause_seconds=options["sleep_seconds"] or throttle,
            as_json=as_json,
        )
        body = given(
            run_ids=list(options["run_ids"]) or None,
            instance_id=options["instance_id"],
            connection=options["connection"],
            queue=options["queue"],
            respect_throttle=loop or options["respect_throttle"],
        )
        namespace = namespace_or_default(settings, options["namespace"])
        is_fine = asyncio.run(_run(settings, namespace, body, rounds, server=server))
    raise SystemExit(0 if is_fine else 1)


async def _run(
    settings: Settings,
    namespace: str,
    body: JsonObject,
    rounds: Rounds,
    *,
    server: str | None,
) -> bool:
    """Whether no pass had failures."""
    async with place_of_work(settings, server) as place:
        return await _rounds(lambda: place.run(REPAIR, namespace, body), rounds)


async def _rounds(
    run_pass: Callable[[], Awaitable[JsonObject]], rounds: Rounds
) -> bool:
    is_fine, done = True, 0
    with ShutdownSignals() as signals:
        while not signals.requested.is_set():
            try:
                report = await run_pass()
            except EXPECTED as error:
                if rounds.most == 1:
                    raise
                # The database may be back at the next pass.
                click.echo(f"dwserver: {error}", err=True)
                is_fine = False
            else:
                is_fine = is_fine and not has_failures(report)
                click.echo(orjson.dumps(report) if rounds.as_json else describe(report))
            done += 1
            if done == rounds.most:
                break
            await wait_event(signals.requested, rounds.pause_seconds)
    return is_fine


def describe(report: JsonObject) -> str:
    """One line for people, and one for each failure."""
    if report["throttled"]:
        return "throttled: another pass began a moment ago"
    line = (
        f"repaired {report['repaired_existing_tasks']} of "
        f"{report['selected_existing_task_candidates']} tasks, "
        f"{report['deadline_expired_candidates']} runs past their deadline, "
        f"timed out {report['activity_timeouts_enforced']} of "
        f"{report['activity_timeout_candidates']} activities"
    )
    failures = [
        f"failed: {next(iter(row.values()))}: {row['message']}"
        for name in report
        if name.endswith("_failures")
        for row in report[name]
    ]
    return "\n".join((line, *failures))
