"""``dwserver repair-pass``: look after tasks that do not move, once or all the time.

``--loop`` is for a dedicated matching process (``docs/architecture/matching.md``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import click
import orjson

from dwserver.cli.failure import EXPECTED, reported
from dwserver.cli.remote import RemoteServer
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.http.system.repair_report import has_failures, report_view
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.repair_pass import repairing
from dwserver.runtime.logging import LogFormat, configure_logging
from dwserver.runtime.service import wait_event
from dwserver.runtime.signals import ShutdownSignals
from dwserver.services.task_repair import RepairScopeFilter

ROUTE = "/api/system/repair/pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often: ``most`` passes, all that come if None, ``pause_seconds`` apart."""

    most: int | None
    pause_seconds: float
    respects_throttle: bool
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
@click.option("--json", "as_json", is_flag=True, help="One report per line.")
@click.option("--server", help="Ask the server at this address to do it.")
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
        settings = load_settings(process_environment())
        configure_logging(
            level=settings.logging.level, log_format=LogFormat(settings.logging.format)
        )
        namespace = options["namespace"] or settings.server.default_namespace
        about = RepairScopeFilter(
            namespace.lower(),
            options["run_ids"],
            options["instance_id"],
            connection=options["connection"],
            queue=options["queue"],
        )
        throttle = settings.repair.loop_throttle_seconds
        rounds = Rounds(
            most=options["max_iterations"] if loop else 1,
            pause_seconds=options["sleep_seconds"] or throttle,
            respects_throttle=loop or options["respect_throttle"],
            as_json=as_json,
        )
        is_fine = asyncio.run(_run(settings, about, rounds, server=server))
    raise SystemExit(0 if is_fine else 1)


Pass = Callable[[], Awaitable[JsonObject]]


async def _run(
    settings: Settings, about: RepairScopeFilter, rounds: Rounds, *, server: str | None
) -> bool:
    """Whether no pass had failures."""
    async with AsyncExitStack() as stack:
        if server is None:
            repair = await stack.enter_async_context(repairing(settings))

            async def run_pass() -> JsonObject:
                report = await repair.run_pass(
                    about, respects_throttle=rounds.respects_throttle
                )
                return report_view(
                    about, report, respects_throttle=rounds.respects_throttle
                )
        else:
            remote = await stack.enter_async_context(
                RemoteServer(server, settings.auth, namespace=about.namespace)
            )

            async def run_pass() -> JsonObject:
                return await remote.post(ROUTE, _body(about, rounds))

        return await _rounds(run_pass, rounds)


async def _rounds(run_pass: Pass, rounds: Rounds) -> bool:
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


def _body(about: RepairScopeFilter, rounds: Rounds) -> JsonObject:
    given = {
        "run_ids": list(about.run_ids) or None,
        "instance_id": about.workflow_id,
        "connection": about.connection,
        "queue": about.queue,
        "respect_throttle": rounds.respects_throttle,
    }
    return {name: value for name, value in given.items() if value is not None}


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
