"""``dwserver serve``: run one node until it is told to stop."""

from __future__ import annotations

import click

from dwserver.cli.failure import reported
from dwserver.cli.running import run_node
from dwserver.config.environment import process_environment
from dwserver.config.settings import load_settings


@click.command()
@click.option("--host", help="Address to listen on (DW_HTTP_HOST).")
@click.option("--port", type=int, help="Port to listen on (DW_HTTP_PORT).")
def serve(host: str | None, port: int | None) -> None:
    """Run the server.

    Every setting is an environment variable; see docs/configuration.md. The database
    must have been prepared with `dwserver bootstrap`.
    """
    environ = dict(process_environment())
    if host is not None:
        environ["DW_HTTP_HOST"] = host
    if port is not None:
        environ["DW_HTTP_PORT"] = str(port)
    with reported():
        run_node(load_settings(environ), environ)
