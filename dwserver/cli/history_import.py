"""``dwserver history-import``: move a run of an embedded application to a server
(``docs/embedded-import.md``)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.cli.remote import RemoteError, RemoteServer, address_of
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.embedded_import import IMPORT_PATH
from dwserver.protocol.schemas import EMBEDDED_IMPORT_REPORT

# A large history is looked at and written as a whole.
TIMEOUT_SECONDS: Final = 600.0
# A refused import is told by its report as well.
_REFUSED: Final = 422
_DONE: Final = frozenset({"imported", "already_imported", "dry_run"})
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("history-import")
@click.argument("file", type=_FILE)
@click.option("--namespace", help="Where the run goes (DW_DEFAULT_NAMESPACE).")
@click.option("--dry-run", is_flag=True, help="Say what would happen, write nothing.")
@click.option("--import-id", help="Name of this import, shown with the run.")
@click.option(
    "--signing-key-file",
    type=_FILE,
    help="File with the key of the bundle's signature, if it is not the server's.",
)
@click.option(
    "--require-signature", is_flag=True, help="Refuse a bundle that is not signed."
)
@click.option("--server", help="Its address (that of DW_HTTP_HOST, DW_HTTP_PORT).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def history_import(
    *,
    file: Path,
    namespace: str | None,
    dry_run: bool,
    import_id: str | None,
    signing_key_file: Path | None,
    require_signature: bool,
    server: str | None,
    as_json: bool,
) -> None:
    """Import the history bundle in FILE into a running server, with the admin token of
    the environment.

    Exit status 0 when the run is there or, in a dry run, could be; else 1.
    """
    with reported():
        settings = load_settings(process_environment())
        body: JsonObject = {
            "bundle": _bundle(file),
            "dry_run": dry_run,
            "require_signature": require_signature,
        }
        if import_id is not None:
            body["import_id"] = import_id
        if signing_key_file is not None:
            body["signing_key"] = signing_key_file.read_text().strip()
        report = asyncio.run(_sent(settings, body, server=server, namespace=namespace))
    click.echo(orjson.dumps(report) if as_json else describe(report))
    raise SystemExit(0 if report["status"] in _DONE else 1)


def _bundle(file: Path) -> JsonObject:
    try:
        bundle = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise RemoteError(f"{file} is no JSON document: {error}") from None
    if not isinstance(bundle, dict):
        raise RemoteError(f"{file} holds no history bundle")
    return bundle


async def _sent(
    settings: Settings,
    body: JsonObject,
    *,
    server: str | None,
    namespace: str | None,
) -> JsonObject:
    target = (namespace or settings.server.default_namespace).lower()
    async with RemoteServer(
        server or address_of(settings.http),
        settings.auth,
        timeout_seconds=TIMEOUT_SECONDS,
    ) as remote:
        answer = await remote.post(IMPORT_PATH, body, namespace=target, also=_REFUSED)
    if answer.get("schema") != EMBEDDED_IMPORT_REPORT.name:
        raise RemoteError(f"the import was refused: {answer.get('message')}")
    return answer


def describe(report: JsonObject) -> str:
    """A line for people, and one for each thing that speaks against the bundle."""
    workflow = report["workflow"]
    rows = sum(report["rows"].values())
    line = (
        f"{report['status']}: run {workflow['run_id']} of {workflow['instance_id']} "
        f"in {workflow['namespace']}, {rows} rows"
    )
    found = [
        f"{level}: {each['rule']}: {each['message']}"
        for level, name in (("error", "errors"), ("warning", "warnings"))
        for each in report["eligibility"][name]
    ]
    findings = [
        f"  {each['rule']}: {each['message']}"
        for each in report["integrity"]["findings"]
    ]
    return "\n".join((line, *found, *findings))
