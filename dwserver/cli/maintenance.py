"""What the commands of the maintenance passes have in common: where a pass runs, which
options it has, how its report is shown.

A pass runs in this process on the database of the environment, or is asked of a server:
an SQLite file that is served can only be asked for. Both read the same body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.cli.logs import write_logs
from dwserver.cli.remote import RemoteServer
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.http.errors import namespace_not_found
from dwserver.http.system.passes import MAX_ROWS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Plane
from dwserver.roles.core import Core
from dwserver.roles.maintenance import maintaining
from dwserver.roles.reading import require_schema
from dwserver.services.catalog import Services

NAMESPACES = "/api/namespaces"

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One report per line."
)
server_option = click.option(
    "--server", metavar="URL", help="Ask the server at this address to do it."
)
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=MAX_ROWS,
    show_default=True,
    help=f"Most that a pass looks at; {MAX_ROWS} is the most there is.",
)


@dataclass(frozen=True, slots=True)
class Work:
    """A pass: its route, and the function of the namespace and the body behind it."""

    path: str
    here: Callable[[Services, str, JsonValue], Awaitable[JsonObject]]


class Place(Protocol):
    """Where passes run. What either method raises is in ``cli.failure``."""

    async def run(self, work: Work, namespace: str, body: JsonObject) -> JsonObject:
        """The report of a pass."""
        ...

    async def namespaces(self, default: str) -> list[str]:
        """All of them; ``default`` is one that exists."""
        ...


class _ThisProcess:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def run(self, work: Work, namespace: str, body: JsonObject) -> JsonObject:
        await require_schema(self._core.store)
        if not await self._core.services.namespaces.exists(namespace):
            raise namespace_not_found(Plane.CONTROL, namespace)
        return await work.here(self._core.services, namespace, body)

    async def namespaces(self, default: str) -> list[str]:
        await require_schema(self._core.store)
        return [each.name for each in await self._core.services.namespaces.find_all()]


class _AServer:
    def __init__(self, remote: RemoteServer) -> None:
        self._remote = remote

    async def run(self, work: Work, namespace: str, body: JsonObject) -> JsonObject:
        return await self._remote.post(work.path, body, namespace=namespace)

    async def namespaces(self, default: str) -> list[str]:
        answer = await self._remote.get(NAMESPACES, namespace=default)
        return [each["name"] for each in answer["namespaces"]]


@asynccontextmanager
async def place_of_work(settings: Settings, server: str | None) -> AsyncIterator[Place]:
    """The server at this address, else this process."""
    if server is not None:
        async with RemoteServer(server, settings.auth) as remote:
            yield _AServer(remote)
    else:
        async with maintaining(settings) as core:
            yield _ThisProcess(core)


def maintenance_settings(*, is_quiet: bool = False) -> Settings:
    """Of the environment; from now on logs are written as they say. ``is_quiet``:
    without lines that repeat what a report says."""
    settings = load_settings(process_environment())
    level = settings.logging.level
    write_logs(settings, level="warning" if is_quiet and level == "info" else level)
    return settings


def namespace_or_default(settings: Settings, name: str | None) -> str:
    return (name or settings.server.default_namespace).lower()


def given(**members: JsonValue) -> JsonObject:
    """The body of a pass: what is not None."""
    return {name: value for name, value in members.items() if value is not None}


Reports = Callable[[Settings], AsyncIterator[JsonObject]]


def show_passes(
    reports: Reports, *, as_json: bool, describe: Callable[[JsonObject], str]
) -> None:
    """Print reports of passes as they come; exits, with 1 when a row failed or what
    ``cli.failure`` knows was raised. ``describe``: for people, "" for nothing."""

    async def show(settings: Settings) -> bool:
        is_fine = True
        async for report in reports(settings):
            is_fine = is_fine and not report["failed"]
            if as_json:
                click.echo(orjson.dumps(report))
            elif text := describe(report):
                click.echo(text)
        return is_fine

    with reported():
        is_fine = asyncio.run(show(maintenance_settings(is_quiet=True)))
    raise SystemExit(0 if is_fine else 1)


def describe_rows(report: JsonObject, *, done: str, of: str, named: str) -> str:
    """A line of counts, and one for each row that was not dealt with.

    ``done``: the outcome of those that were, ``of``: what they are, ``named``: the
    member of a row that names it.
    """
    line = (
        f"{done} {report[done]} of {report['processed']} {of}, "
        f"skipped {report['skipped']}, failed {report['failed']}"
    )
    words = {"skipped": "skipped", "error": "failed"}
    left = [
        f"{words[row['outcome']]}: {row[named]}: {row['reason']}"
        for row in report["results"]
        if row["outcome"] in words
    ]
    return "\n".join((line, *left))
