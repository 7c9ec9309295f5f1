"""``dwserver retention-pass``: forget closed runs that are old enough."""

from __future__ import annotations

from collections.abc import AsyncIterator

import click

from dwserver.cli.maintenance import (
    Work,
    as_json_option,
    describe_rows,
    given,
    limit_option,
    namespace_or_default,
    place_of_work,
    server_option,
    show_passes,
)
from dwserver.config.settings import Settings
from dwserver.http.system.retention import prune
from dwserver.protocol.json_types import JsonObject

PRUNE = Work("/api/system/retention/pass", prune)


@click.command("retention-pass")
@limit_option
@click.option(
    "--run-id",
    "run_ids",
    multiple=True,
    help="Only this closed run, whatever its age; repeatable.",
)
@click.option(
    "--namespace",
    help="Only this one; all of them by default, with --run-id DW_DEFAULT_NAMESPACE.",
)
@as_json_option
@server_option
def retention_pass(
    *,
    limit: int,
    run_ids: tuple[str, ...],
    namespace: str | None,
    as_json: bool,
    server: str | None,
) -> None:
    """Forget the history of closed runs that are older than their namespace keeps: one
    pass, and one report, for each namespace.

    Nodes do this by themselves once a minute. Opens the database of the environment, or
    asks --server with the admin token of the environment: an SQLite file that is served
    can only be asked for. Exit status 1 when a run could not be pruned.
    """
    body = given(limit=limit, run_ids=list(run_ids) or None)

    async def reports(settings: Settings) -> AsyncIterator[JsonObject]:
        default = namespace_or_default(settings, namespace)
        async with place_of_work(settings, server) as place:
            names = [default]
            if namespace is None and not run_ids:
                names = await place.namespaces(default)
            for name in names:
                yield {"namespace": name, **await place.run(PRUNE, name, body)}

    show_passes(reports, as_json=as_json, describe=describe)


def describe(report: JsonObject) -> str:
    rows = describe_rows(report, done="pruned", of="closed runs", named="run_id")
    return f"{report['namespace']}: {rows}"
