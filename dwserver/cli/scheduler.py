"""``dwserver scheduler``: who leads the schedulers, and how schedules stand."""

from __future__ import annotations

import asyncio

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.config.environment import process_environment
from dwserver.config.settings import load_settings
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.scheduler import read_scheduler_status


@click.group()
def scheduler() -> None:
    """Look at the scheduler."""


@scheduler.command()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def status(as_json: bool) -> None:
    """Who leads, in which term, and how schedules stand.

    Reads the database, also an SQLite file that a server has open.
    """
    with reported():
        report = asyncio.run(
            read_scheduler_status(load_settings(process_environment()))
        )
    if as_json:
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    else:
        click.echo(describe(report))


def describe(report: JsonObject) -> str:
    """The same for people."""
    leader, schedules = report["leader"], report["schedules"]
    lines = []
    if leader is None:
        lines.append("leader     nobody has led yet")
    else:
        held = "until " if leader["is_held"] else "no longer; it ended "
        lines += [
            f"leader     {leader['holder']}",
            f"term       {leader['term']}",
            f"lease      {held}{leader['expires_at'] or 'with its release'}",
        ]
    lines += [
        f"schedules  {schedules['active']} active, {schedules['paused']} paused",
        f"missed     {schedules['missed']}",
    ]
    if schedules["oldest_overdue_at"] is not None:
        lines.append(f"overdue    since {schedules['oldest_overdue_at']}")
    return "\n".join(lines)
