"""The `dwserver` command: subcommands by name, imported when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from dwserver import __version__

SUBCOMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("dwserver.cli.serve:serve", "Run the server."),
    "dev": ("dwserver.cli.dev:dev", "Run a ready-to-use server for development."),
    "bootstrap": (
        "dwserver.cli.bootstrap:bootstrap",
        "Prepare the database: migrations and the default namespace.",
    ),
    "cluster": (
        "dwserver.cli.cluster:cluster",
        "Run a whole cluster on this machine; look at any.",
    ),
    "scheduler": (
        "dwserver.cli.scheduler:scheduler",
        "Look at the scheduler: who leads, what is overdue.",
    ),
    "repair-pass": (
        "dwserver.cli.repair_pass:repair_pass",
        "Look after tasks that do not move, once or in a loop.",
    ),
    "history-import": (
        "dwserver.cli.history_import:history_import",
        "Move a run of an embedded application to a server.",
    ),
    "history-export": (
        "dwserver.cli.history_export:history_export",
        "Write everything about a run to a file.",
    ),
    "history-verify": (
        "dwserver.cli.history_verify:history_verify",
        "Check such a file without a server.",
    ),
    "retention-pass": (
        "dwserver.cli.retention_pass:retention_pass",
        "Forget closed runs that are old enough.",
    ),
    "activity-timeout-pass": (
        "dwserver.cli.activity_timeout_pass:activity_timeout_pass",
        "Time out activities that are past a deadline.",
    ),
    "schedule-pass": (
        "dwserver.cli.schedule_pass:schedule_pass",
        "Fire the schedules that are due, unless a node does.",
    ),
    "migration-status": (
        "dwserver.cli.migration_status:migration_status",
        "Which migrations the database has.",
    ),
    "doctor": (
        "dwserver.cli.doctor:doctor",
        "Check the database, Redis, the codec and the topology.",
    ),
    "env-audit": (
        "dwserver.cli.env_audit:env_audit",
        "Check the environment for unknown and legacy names.",
    ),
    "openapi": (
        "dwserver.cli.openapi:openapi",
        "Print the description of the HTTP API (OpenAPI).",
    ),
}
"""Subcommand -> where it lives ("module:attribute") and its line in the help."""


class LazyGroup(click.Group):
    """A group that imports a subcommand only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand; None when there is no such name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module_name, _, attribute = SUBCOMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{SUBCOMMANDS[cmd_name][0]} is not a click command")
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in SUBCOMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dwserver")
def main() -> None:
    """Durable workflow orchestration server."""
