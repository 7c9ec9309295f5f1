"""`dwserver openapi`: the description of the HTTP API."""

from __future__ import annotations

import click
import orjson

from dwserver.http.routes import api_document


@click.command("openapi")
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API.

    It is what GET /api/openapi.json answers; neither configuration nor database is
    looked at.
    """
    click.echo(orjson.dumps(api_document(), option=orjson.OPT_INDENT_2))
