"""``dwserver history-export``: the bundle of a run, from a running server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.cli.remote import RemoteError, RemoteServer, address_of
from dwserver.config.environment import process_environment
from dwserver.config.settings import load_settings
from dwserver.protocol.history_bundles.verification.rules import Severity
from dwserver.protocol.history_bundles.verification.verifying import verify_text
from dwserver.runtime.whole_files import write_whole


@click.command("history-export")
@click.argument("workflow_id")
@click.option("--run-id", help="Of which run (the current one).")
@click.option("--namespace", help="Of the workflow id (DW_DEFAULT_NAMESPACE).")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=Path("-"),
    help="The file to write; an older one is replaced when all is there.",
)
@click.option("--pretty", is_flag=True, help="With line breaks; as verifiable.")
@click.option("--server", help="Its address (that of DW_HTTP_HOST, DW_HTTP_PORT).")
def history_export(
    workflow_id: str,
    *,
    run_id: str | None,
    namespace: str | None,
    output: Path,
    pretty: bool,
    server: str | None,
) -> None:
    """Write everything that a server knows about a run of WORKFLOW_ID to standard
    output, or to a file that only you can read.

    Asks with the admin, shared or operator token of the environment. What is no whole
    bundle is not written.
    """
    with reported():
        settings = load_settings(process_environment())
        remote = RemoteServer(server or address_of(settings.http), settings.auth)
        namespace = (namespace or settings.server.default_namespace).lower()
        text = asyncio.run(_fetched(remote, workflow_id, run_id, namespace=namespace))
        if pretty:
            text = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2)
        if output == Path("-"):
            click.echo(text)
        else:
            _write(output.resolve(), text + b"\n")


async def _fetched(
    remote: RemoteServer, workflow_id: str, run_id: str | None, *, namespace: str
) -> bytes:
    path = f"/api/workflows/{quote(workflow_id, safe='')}"
    async with remote:
        if run_id is None:
            run_id = str((await remote.get(path, namespace=namespace))["run_id"])
        path += f"/runs/{quote(run_id, safe='')}/history/export"
        text = await remote.get_text(path, namespace=namespace)
    for finding in verify_text(text).findings:
        if finding.severity is Severity.ERROR:
            raise RemoteError(f"no whole bundle was answered: {finding.message}")
    return text


def _write(path: Path, text: bytes) -> None:
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no regular file")
    write_whole(path, text)
