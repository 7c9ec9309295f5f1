"""``dwserver activity-timeout-pass``: time out activities that are past a deadline."""

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
from dwserver.http.system.activity_timeouts import enforce
from dwserver.protocol.json_types import JsonObject

ENFORCE = Work("/api/system/activity-timeouts/pass", enforce)


@click.command("activity-timeout-pass")
@limit_option
@click.option(
    "--execution-id",
    "execution_ids",
    multiple=True,
    help="Only this activity, if it is overdue; repeatable.",
)
@as_json_option
@server_option
def activity_timeout_pass(
    *, limit: int, execution_ids: tuple[str, ...], as_json: bool, server: str | None
) -> None:
    """Time out activities that are past a deadline, in all namespaces.

    Nodes do this by themselves once a second; this is for what waits while none runs.
    Opens the database of the environment, or asks --server with the admin token of the
    environment: an SQLite file that is served can only be asked for. Exit status 1 when
    an activity could not be decided.
    """
    body = given(limit=limit, execution_ids=list(execution_ids) or None)

    async def reports(settings: Settings) -> AsyncIterator[JsonObject]:
        async with place_of_work(settings, server) as place:
            yield await place.run(ENFORCE, namespace_or_default(settings, None), body)

    show_passes(reports, as_json=as_json, describe=describe)


def describe(report: JsonObject) -> str:
    return describe_rows(
        report, done="enforced", of="overdue activities", named="execution_id"
    )
