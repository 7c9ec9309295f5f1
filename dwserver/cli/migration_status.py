"""``dwserver migration-status``: each migration, and whether it has run."""

from __future__ import annotations

import asyncio

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.config.environment import process_environment
from dwserver.config.settings import load_settings
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.migration_status import read_migration_status

REMARKS = {
    "adoptable": "its tables are there; `dwserver bootstrap` records it",
    "pending": "`dwserver bootstrap` applies it",
    "unknown": "of a newer release than this one",
}
"""What is to be said of a state."""


@click.command("migration-status")
@click.option("--json", "as_json", is_flag=True, help="Print the states as JSON.")
def migration_status(as_json: bool) -> None:
    """Show each migration and whether the database has it.

    Reads the database, also an SQLite file that a server has open. Exit status 1 when
    one is missing, when a table of one is, or when the database has one that this
    release does not know.
    """
    with reported():
        report = asyncio.run(
            read_migration_status(load_settings(process_environment()))
        )
    if as_json:
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    else:
        click.echo(describe(report))
    if not report["is_current"]:
        raise SystemExit(1)


def describe(report: JsonObject) -> str:
    """The same for people."""
    rows = report["migrations"]
    lines = [f"database   {report['database']}"]
    lines += [
        f"{row['state']:<9}  {row['name']}" + _remark(row["state"]) for row in rows
    ]
    if report["missing_tables"]:
        tables = ", ".join(report["missing_tables"])
        lines.append(f"missing    tables of applied migrations: {tables}")
    is_current = report["is_current"]
    lines.append(
        "the schema is up to date"
        if is_current
        else "the schema is not that of this release"
    )
    return "\n".join(lines)


def _remark(state: str) -> str:
    return f" ({REMARKS[state]})" if state in REMARKS else ""
