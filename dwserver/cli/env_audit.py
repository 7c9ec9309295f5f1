"""`dwserver env-audit`: which names of the environment the server understands."""

from __future__ import annotations

import click
import orjson

from dwserver.config.audit import Severity, audit_environment
from dwserver.config.environment import process_environment


@click.command("env-audit")
@click.option("--strict", is_flag=True, help="Exit 1 when there is any finding.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def env_audit(strict: bool, as_json: bool) -> None:
    """Check the environment for unknown and legacy names.

    Exit status: 0, or 1 with --strict when a name is unknown or legacy. Values
    are never printed.
    """
    report = audit_environment(process_environment())
    if as_json:
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    else:
        for message in report.messages():
            is_warning = message.severity is Severity.WARNING
            click.echo(f"{message.severity.value}: {message.text}", err=is_warning)
    if not report.is_acceptable(strict=strict):
        raise click.exceptions.Exit(1)
