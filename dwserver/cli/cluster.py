"""``dwserver cluster``: a split cluster on this machine."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

import click

from dwserver.cli.cluster_status import status
from dwserver.cli.dev import CREDENTIALS
from dwserver.cli.failure import reported
from dwserver.cli.local_cluster.cluster import LocalCluster
from dwserver.cli.local_cluster.control import ask, control_socket
from dwserver.cli.local_cluster.databases import (
    TemporaryPostgres,
    TemporaryRedis,
    TemporaryServer,
    free_port,
)
from dwserver.cli.local_cluster.output import Terminal
from dwserver.cli.local_cluster.plan import (
    CLASSES,
    EDGE,
    WORKERS,
    ClusterPlan,
    class_named,
    node_plans,
)
from dwserver.config.environment import process_environment
from dwserver.runtime.signals import ShutdownSignals, exit_at_once
from dwserver.topology.shapes import ProcessClass

STATE_FOLDER: Final = Path(".dwserver-cluster")

_state_folder = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE_FOLDER,
    show_default=True,
    help="Folder with the cluster's control socket; one cluster each.",
)


@click.group()
def cluster() -> None:
    """Run a whole split cluster on this machine, or look at any cluster."""


cluster.add_command(status)


@cluster.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to use.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_000),
    default=8080,
    show_default=True,
    help="Port of the first ingress node; further ones follow it.",
)
@click.option("--database-url", help="PostgreSQL to use (DW_DATABASE_URL).")
@click.option("--redis-url", help="Redis to use (DW_REDIS_URL).")
@click.option(
    "--nodes",
    "counts",
    multiple=True,
    metavar="CLASS=COUNT",
    help="Processes of a class, such as matching=2; one of each by default, and no "
    "execution node unless DW_EXECUTION_MODULES is set.",
)
@_state_folder
def up(
    *,
    host: str,
    port: int,
    database_url: str | None,
    redis_url: str | None,
    counts: tuple[str, ...],
    state_dir: Path,
) -> None:
    """Start a cluster and stay with it until Ctrl-C.

    Prepares the database, makes a server key and, unless one is configured, a token,
    and starts a process for each process class. Databases that are not named are
    temporary ones, which end with the cluster. Every line of a process is shown with
    its name. Other settings come from the environment, as for `serve`.
    """
    environ = dict(process_environment())
    database_url = database_url or environ.get("DW_DATABASE_URL")
    redis_url = redis_url or environ.get("DW_REDIS_URL")
    terminal = Terminal(has_colours=False if environ.get("NO_COLOR") else None)
    wanted = _counts(counts, environ)
    with reported(), ExitStack() as stack:

        def temporary(server: TemporaryServer) -> TemporaryServer:
            stack.callback(server.delete)
            databases.append(server)
            return server

        databases: list[TemporaryServer] = []
        if not redis_url:
            redis_url = temporary(TemporaryRedis(environ)).url
        if not database_url:
            database_url = temporary(TemporaryPostgres(environ)).url
        settings = {
            "DW_DATABASE_URL": database_url,
            "DW_REDIS_URL": redis_url,
        }
        if not any(environ.get(name) for name in CREDENTIALS):
            settings["DW_AUTH_TOKEN"] = secrets.token_urlsafe(24)
        plan = ClusterPlan(
            host=host,
            port=port,
            counts=wanted,
            environment=settings,
            server_key=environ.pop("DW_SERVER_KEY", "") or secrets.token_urlsafe(32),
        )
        local = LocalCluster(
            node_plans(plan, free_port=free_port),
            databases=databases,
            base=environ,
            terminal=terminal,
        )
        banner = _banner(
            plan, {**environ, **settings}, hints=_hints(state_dir, databases)
        )
        asyncio.run(_run(local, state_dir, terminal, banner=banner))


@cluster.command()
@click.argument("name")
@_state_folder
def restart(name: str, state_dir: Path) -> None:
    """Restart nodes of the cluster that `up` runs, one after the other.

    NAME is a process class (matching_node) or one process (matching_node-1), also one
    that was killed.
    """
    _ask(state_dir, "restart", name)


@cluster.command()
@_state_folder
def ps(state_dir: Path) -> None:
    """List the processes of the cluster that `up` runs."""
    _ask(state_dir, "ps")


def _ask(state_dir: Path, *words: str) -> None:
    with reported():
        worked = asyncio.run(ask(state_dir, *words, tell=click.echo))
    if not worked:
        raise SystemExit(1)


async def _run(
    local: LocalCluster, state_dir: Path, terminal: Terminal, *, banner: str
) -> None:
    def abort(number: int) -> None:
        local.kill()
        exit_at_once(number)

    async with AsyncExitStack() as stack:
        signals = stack.enter_context(ShutdownSignals(on_abort=abort))
        await stack.enter_async_context(control_socket(state_dir, local.handle))
        stack.push_async_callback(local.stop)
        starting = asyncio.create_task(local.start())
        asked = asyncio.create_task(signals.requested.wait())
        await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            await starting  # raises what kept it from starting
            terminal.say(banner)
            await asked
        starting.cancel()
        await asyncio.wait((starting,))
        terminal.say("stopping; again to end at once")


def _counts(
    words: tuple[str, ...], environ: Mapping[str, str]
) -> dict[ProcessClass, int]:
    counts = dict.fromkeys(CLASSES, 1)
    if not environ.get("DW_EXECUTION_MODULES"):
        counts[WORKERS] = 0
    for word in words:
        name, _, count = word.partition("=")
        if not count.isdecimal():
            raise click.BadParameter(f"{word!r} is not CLASS=COUNT")
        process_class = class_named(name)
        if process_class is None:
            known = ", ".join(each.value for each in CLASSES)
            raise click.BadParameter(f"{name!r} is none of: {known}")
        counts[process_class] = int(count)
    if counts[EDGE] < 1:
        raise click.BadParameter("a cluster needs an ingress node")
    return counts


def _banner(
    plan: ClusterPlan, environ: Mapping[str, str], *, hints: Sequence[str]
) -> str:
    """Where the cluster is and what to try. The tokens are shown on purpose."""

    def first(*names: str) -> str:
        return next((environ[name] for name in names if environ.get(name)), "")

    token = first("DW_AUTH_TOKEN", "DW_ADMIN_TOKEN", "DW_OPERATOR_TOKEN")
    worker_token = first("DW_AUTH_TOKEN", "DW_WORKER_TOKEN")
    return f"""
The cluster is ready at {plan.base_url}
  token      {token or worker_token}

Try:
  curl {plan.base_url}/api/ready
  curl -H 'Authorization: Bearer {token}' {plan.base_url}/api/cluster/info
  {f"{chr(10)}  ".join(hints)}

Workers: durable_workflow.Client("{plan.base_url}", token="{worker_token}")
Stop with Ctrl-C.
"""


def _hints(state_dir: Path, databases: Sequence[TemporaryServer]) -> list[str]:
    """Commands for another terminal. Temporary databases have nothing to hide."""
    where = "" if state_dir == STATE_FOLDER else f" --state-dir {state_dir}"
    exports = [f"export {each.variable}={each.url}" for each in databases]
    return [
        f"dwserver cluster ps{where}",
        f"dwserver cluster restart matching_node{where}",
        *exports,
        "dwserver cluster status",
        "dwserver scheduler status",
    ]
