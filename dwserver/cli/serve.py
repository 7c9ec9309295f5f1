"""``dwserver serve``: run nodes until they are told to stop."""

from __future__ import annotations

import click
import structlog

from dwserver.cli.failure import reported
from dwserver.cli.process_group import supervise
from dwserver.cli.running import run_node
from dwserver.cli.supervised import SupervisorLink
from dwserver.config.environment import process_environment
from dwserver.config.settings import load_settings

# What an option says goes before what the environment says.
OPTIONS = {
    "host": "DW_HTTP_HOST",
    "port": "DW_HTTP_PORT",
    "shape": "DW_SERVER_TOPOLOGY_SHAPE",
    "process_class": "DW_SERVER_PROCESS_CLASS",
}
MAX_PROCESSES = 256


@click.command()
@click.option("--host", help="Address to listen on (DW_HTTP_HOST).")
@click.option("--port", type=int, help="Port to listen on (DW_HTTP_PORT).")
@click.option("--shape", help="Shape of the deployment (DW_SERVER_TOPOLOGY_SHAPE).")
@click.option("--process-class", help="What this node is (DW_SERVER_PROCESS_CLASS).")
@click.option(
    "--processes",
    type=click.IntRange(1, MAX_PROCESSES),
    default=1,
    show_default=True,
    help="How many nodes of the class share the port.",
)
@click.option("--supervisor-fd", type=int, hidden=True)
def serve(*, processes: int, supervisor_fd: int | None, **options: object) -> None:
    """Run the server.

    Every setting is an environment variable; see docs/configuration.md. The database
    must have been prepared with `dwserver bootstrap`.

    With --processes each process is a node of its own, with the number of the process
    behind its DW_SERVER_ID. One that dies is started again.
    """
    environ = dict(process_environment())
    for name, variable in OPTIONS.items():
        # One that is empty says nothing, like an empty variable.
        if options[name] not in (None, ""):
            environ[variable] = str(options[name])
    with reported():
        settings = load_settings(environ)
        if processes > 1:
            supervise(settings, environ, count=processes)
        elif supervisor_fd is not None:
            link = SupervisorLink(supervisor_fd)
            # The nodes of a group write to one stream.
            structlog.contextvars.bind_contextvars(node=settings.server.server_id)
            run_node(settings, environ, on_ready=link.report_ready)
        else:
            run_node(settings, environ)
