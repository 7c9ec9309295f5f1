"""``dwserver schedule-pass``: fire the schedules that are due, once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import click

from dwserver.cli.maintenance import as_json_option, limit_option, show_passes
from dwserver.config.settings import Settings
from dwserver.http.system.passes import MAX_ROWS
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.maintenance import maintaining
from dwserver.roles.schedule_pass import run_schedule_pass

FIRED = ("triggered", "drained")


@click.command("schedule-pass")
@limit_option
@as_json_option
def schedule_pass(*, limit: int, as_json: bool) -> None:
    """Fire the schedules that are due, once, in all namespaces.

    Only the leader of the schedulers fires: while a node leads, this says which one and
    does nothing; else it leads itself for the pass. Opens the database of the
    environment; a server on SQLite is the leader of its file. Exit status 1 when a
    schedule could not be fired, 0 when another one leads.
    """

    async def reports(settings: Settings) -> AsyncIterator[JsonObject]:
        async with maintaining(settings) as core:
            yield await run_schedule_pass(settings, core, limit=min(limit, MAX_ROWS))

    show_passes(reports, as_json=as_json, describe=describe)


def describe(report: JsonObject) -> str:
    """One line for people, and one for each schedule that was not fired."""
    leader = report["leader"]
    if leader is not None:
        return f"nothing fired: {leader['holder']} leads in term {leader['term']}"
    line = (
        f"fired {report['fired']} of {report['processed']} due schedules, "
        f"skipped {report['skipped']}, failed {report['failed']}"
    )
    left = [_left(row) for row in report["results"] if row["outcome"] not in FIRED]
    return "\n".join((line, *left))


def _left(row: JsonObject) -> str:
    word = "failed" if row["outcome"] == "error" else row["outcome"]
    why = f": {row['reason']}" if "reason" in row else ""
    return f"{word}: {row['namespace']}/{row['schedule_id']}{why}"
