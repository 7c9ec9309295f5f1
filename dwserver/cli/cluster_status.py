"""``dwserver cluster status``: the live nodes of a cluster."""

from __future__ import annotations

import asyncio

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.cluster_status import read_cluster_status
from dwserver.services.membership import MISSED_HEARTBEATS

COLUMNS = ("node", "class", "version", "address", "started", "heartbeat", "requests")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the nodes as JSON.")
def status(as_json: bool) -> None:
    """Which nodes live, what they are and how busy.

    Reads the database that the environment names. A node on SQLite is alone and not
    listed.
    """
    with reported():
        settings = load_settings(process_environment())
        report = asyncio.run(read_cluster_status(settings))
    if as_json:
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    else:
        click.echo(describe(report, settings))


def describe(report: JsonObject, settings: Settings) -> str:
    """The same as a table, or why there is none."""
    if not report["nodes"]:
        if settings.database.sqlite_path is not None:
            return "no live node; the node that serves an SQLite file is never listed"
        seconds = MISSED_HEARTBEATS * settings.topology.heartbeat_seconds
        return f"no live node: no heartbeat in the last {seconds:g} s"
    rows = [COLUMNS, *(_cells(node) for node in report["nodes"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _cells(node: JsonObject) -> tuple[str, ...]:
    load = node["load"]
    return (
        node["node_id"],
        node["process_class"],
        node["version"],
        node["address"],
        node["started_at"][:19] + "Z",
        f"{node['last_heartbeat_age_seconds']:.1f} s ago",
        f"{load['requests_in_flight']} ({load['polls_waiting']} polls)",
    )
