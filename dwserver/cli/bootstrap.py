"""``dwserver bootstrap``: migrations and the default namespace, idempotently."""

from __future__ import annotations

import asyncio

import click

from dwserver.cli.failure import reported
from dwserver.cli.logs import write_logs
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.roles.bootstrap import bootstrap_database
from dwserver.store.migrations import BootstrapReport


@click.command()
@click.option("--plan", is_flag=True, help="Only show what would be done.")
def bootstrap(plan: bool) -> None:
    """Prepare the database: migrations and the default namespace.

    Safe to repeat and to run several times at once. While the database cannot be
    reached it tries again, DW_BOOTSTRAP_RETRIES times, but for --plan.
    """
    with reported():
        settings = load_settings(process_environment())
        write_logs(settings)
        report = asyncio.run(bootstrap_database(settings, plan=plan))
    click.echo(describe(report, settings, plan=plan))


def describe(report: BootstrapReport, settings: Settings, *, plan: bool) -> str:
    """What was found and done, for people."""
    namespace = settings.server.default_namespace
    if plan:
        lines = [f"would apply {name}" for name in report.pending]
        return "\n".join(lines) or "nothing to apply: the schema is up to date"
    lines = [f"adopted {name}" for name in report.adopted]
    lines += [f"applied {name}" for name in report.applied]
    lines.append("the schema is up to date")
    lines.append(f"the namespace {namespace} exists")
    return "\n".join(lines)
