"""``dwserver doctor``: is everything there that a node needs."""

from __future__ import annotations

import asyncio

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.cli.logs import write_logs
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.config.shown_urls import shown_url
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.doctor import examine


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as one line.")
@click.option("--strict", is_flag=True, help="Exit 1 when there is an error.")
def doctor(as_json: bool, strict: bool) -> None:
    """Check the database, Redis, the codec and the topology of the environment.

    Works before `dwserver bootstrap`, beside a server, and when the database or Redis
    does not answer. Exit status 0 whatever is found; with --strict 1 when one of the
    issues is an error, but not for warnings. Passwords are never shown.
    """
    with reported():
        settings = load_settings(process_environment())
        # What fails is in the report, and need not be logged as well.
        write_logs(settings, level="error")
        report = asyncio.run(examine(settings))
    click.echo(orjson.dumps(report) if as_json else describe(report, settings))
    if strict and not report["supported"]:
        raise SystemExit(1)


def describe(report: JsonObject, settings: Settings) -> str:
    """A line for each part, and one for each issue."""
    topology, matching = report["topology"], report["matching_role"]
    redis = settings.redis.url
    database, cache, codec = report["database"], report["cache"], report["codec"]
    queue = report["queue"]
    location = shown_url(settings.database.url)
    place = f" at {shown_url(redis)}" if redis else " of this process alone"
    roles = ",".join(topology["current_roles"])
    lines = [
        f"{_mark(database)} database: {_pair(database, 'connection')} at {location}",
        f"{_mark(queue)} queue: {_pair(queue, 'connection')}",
        f"{_mark(cache)} cache: {_pair(cache, 'store')}{place}",
        f"{_mark(codec)} codec: {codec['configured']}",
        f"[INFO] topology: {topology['current_shape']}/"
        f"{topology['current_process_class']} "
        f"(execution_mode={topology['execution_mode']}, roles={roles})",
        f"[INFO] matching_role: {matching['shape']} "
        f"(wake_owner={matching['wake_owner']}, "
        f"task_dispatch_mode={matching['task_dispatch_mode']})",
    ]
    lines += [
        f"[{issue['severity'].upper()}] [{issue['code']}] {issue['message']}"
        for issue in report["issues"]
    ]
    if report["supported"]:
        lines.append("nothing that keeps a node from working was found")
    return "\n".join(lines)


def _mark(block: JsonObject) -> str:
    return "[OK]" if block["supported"] else "[FAIL]"


def _pair(block: JsonObject, name: str) -> str:
    return f"{block[name]}/{block['driver']}"
