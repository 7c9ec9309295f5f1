"""Run a node in a fresh event loop (uvloop) until a signal or a fatal failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import uvloop

from dwserver.cli.logs import write_logs
from dwserver.config.audit import audit_environment
from dwserver.config.settings import Settings
from dwserver.roles.boot import admit
from dwserver.roles.node import serve_node


def run_node(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until stopped. Raises the start-up errors of ``cli.failure``."""
    write_logs(settings)
    admit(settings, audit_environment(environ))
    uvloop.run(serve_node(settings, on_ready=on_ready))
