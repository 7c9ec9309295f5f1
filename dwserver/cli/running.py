"""Run a node in a fresh event loop (uvloop) until a signal or a fatal failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import uvloop

from dwserver.config.audit import audit_environment
from dwserver.config.settings import Settings
from dwserver.roles.boot import admit
from dwserver.roles.node import serve_node
from dwserver.runtime.logging import LogFormat, configure_logging


def run_node(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until stopped. Raises the start-up errors of ``cli.failure``."""
    configure_logging(
        level=settings.logging.level, log_format=LogFormat(settings.logging.format)
    )
    admit(settings, audit_environment(environ))
    uvloop.run(serve_node(settings, on_ready=on_ready))
