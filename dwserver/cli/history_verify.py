"""``dwserver history-verify``: whether a bundle is what its exporter wrote."""

from __future__ import annotations

from typing import BinaryIO

import click
import orjson

from dwserver.cli.failure import reported
from dwserver.cli.history_report import describe
from dwserver.config.environment import process_environment
from dwserver.config.settings import load_settings
from dwserver.protocol.history_bundles.verification.report import VerificationStatus
from dwserver.protocol.history_bundles.verification.verifying import verify_text


@click.command("history-verify")
@click.argument("bundle", metavar="FILE|-", type=click.File("rb"))
@click.option(
    "--signing-key-file",
    type=click.File("rb"),
    help="Holds the key of the signature (DW_V2_HISTORY_EXPORT_SIGNING_KEY).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def history_verify(
    bundle: BinaryIO, *, signing_key_file: BinaryIO | None, as_json: bool
) -> None:
    """Check an exported history; neither server nor database is asked.

    Exit status 1 when the bundle failed, 0 when it is fine or doubtful. A signature is
    compared if there is a key.
    """
    with reported():
        key = _key(signing_key_file)
        report = verify_text(bundle.read(), signing_key=key)
    if as_json:
        click.echo(orjson.dumps(report.as_document(), option=orjson.OPT_INDENT_2))
    else:
        click.echo(describe(report))
    raise SystemExit(1 if report.status is VerificationStatus.FAILED else 0)


def _key(file: BinaryIO | None) -> str | None:
    if file is None:
        return load_settings(process_environment()).history.export_signing_key
    try:
        key = file.read().decode().strip()
    except UnicodeDecodeError:
        raise click.UsageError("the key is no text in UTF-8") from None
    if not key:
        raise click.UsageError("the file of the key is empty")
    return key
