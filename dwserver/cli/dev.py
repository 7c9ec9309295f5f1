"""``dwserver dev``: bootstrap and serve in one step, with a token of its own."""

from __future__ import annotations

import asyncio
import secrets

import click

from dwserver.cli.failure import reported
from dwserver.cli.logs import write_logs
from dwserver.cli.running import run_node
from dwserver.config.environment import process_environment
from dwserver.config.settings import Settings, load_settings
from dwserver.roles.bootstrap import bootstrap_database

CREDENTIALS = (
    "DW_AUTH_TOKEN",
    "DW_WORKER_TOKEN",
    "DW_OPERATOR_TOKEN",
    "DW_ADMIN_TOKEN",
)


@click.command()
@click.option("--host", help="Address to listen on (DW_HTTP_HOST).")
@click.option("--port", type=int, help="Port to listen on (DW_HTTP_PORT).")
def dev(host: str | None, port: int | None) -> None:
    """Run a ready-to-use server for development.

    Prepares the database, makes a token unless one is configured, and prints
    commands to try.
    """
    environ = dict(process_environment())
    environ.setdefault("DW_LOG_FORMAT", "console")
    environ.setdefault("DW_SCHEDULER_IN_PROCESS", "1")
    if host is not None:
        environ["DW_HTTP_HOST"] = host
    if port is not None:
        environ["DW_HTTP_PORT"] = str(port)
    if not any(environ.get(name) for name in CREDENTIALS):
        environ["DW_AUTH_TOKEN"] = secrets.token_urlsafe(24)
    with reported():
        settings = load_settings(environ)
        write_logs(settings)
        asyncio.run(bootstrap_database(settings))
        run_node(settings, environ, on_ready=lambda: click.echo(banner(settings)))


def banner(settings: Settings) -> str:
    """Where the server listens and what to try first. The token is shown on purpose."""
    base = f"http://{settings.http.host}:{settings.http.port}"
    token = settings.auth.shared_token or settings.auth.admin_token or ""
    auth = f"-H 'Authorization: Bearer {token}'" if token else ""
    plane = "-H 'X-Durable-Workflow-Control-Plane-Version: 2'"
    return f"""
dwserver is ready at {base}
  database   {_shown_database(settings)}
  namespace  {settings.server.default_namespace}
  token      {token or "(authentication is off)"}

Try:
  curl {base}/api/ready
  curl {auth} {base}/api/cluster/info
  curl {auth} {plane} {base}/api/workflows
  curl {auth} {plane} -H 'Content-Type: application/json' \\
    -d '{{"workflow_type":"orders.process","task_queue":"orders"}}' \\
    {base}/api/workflows

Workers: durable_workflow.Client("{base}", token="{token}")
Stop with Ctrl-C.
"""


def _shown_database(settings: Settings) -> str:
    path = settings.database.sqlite_path
    return f"SQLite, {path}" if path is not None else "PostgreSQL"
