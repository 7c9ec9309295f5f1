"""One node: a process from its settings to its orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from dwserver.config.settings import Settings
from dwserver.roles.compose import compose
from dwserver.roles.errors import BootError
from dwserver.roles.identity import node_identity
from dwserver.runtime.memory import tune_garbage_collection
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.signals import ShutdownSignals
from dwserver.runtime.supervisor import Supervisor

_log = structlog.stdlib.get_logger(__name__)


async def serve_node(settings: Settings, *, on_ready: Callable[[], None]) -> None:
    """Run until a signal or a fatal failure; raises BootError for the latter."""
    metrics = Metrics()
    supervisor = Supervisor(on_loop_failure=metrics.loop_failures.inc)
    for service in compose(settings, supervisor, metrics):
        supervisor.add(service)
    with ShutdownSignals() as signals:
        await supervisor.start()
        tune_garbage_collection()
        identity = node_identity(settings)
        _log.info(
            "node_started",
            server_id=settings.server.server_id,
            process_class=identity.process_class.value,
            roles=[role.value for role in identity.roles],
        )
        on_ready()
        failed = asyncio.create_task(supervisor.wait_for_failure())
        asked = asyncio.create_task(signals.requested.wait())
        await asyncio.wait((failed, asked), return_when=asyncio.FIRST_COMPLETED)
        _log.info("node_stopping")
        for task in (failed, asked):
            task.cancel()
        drain = settings.shutdown.drain_seconds + settings.shutdown.timeout_seconds
        await supervisor.stop(timeout_seconds=drain)
    _log.info("node_stopped")
    failure = supervisor.failure
    if failure is not None:
        raise BootError(f"{failure.name} failed: {failure.error}") from failure.error
