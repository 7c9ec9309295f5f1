"""Maintenance by a process of its own: what the commands of the passes run on.

It opens the database and the coordination like a node, so that what it announces wakes
the polls that wait on the nodes, and serves nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dwserver.config.settings import Settings
from dwserver.roles.compose import open_settings_store
from dwserver.roles.core import Core, build_core
from dwserver.roles.database import DatabaseService
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.ids import UlidSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor


@asynccontextmanager
async def maintaining(settings: Settings) -> AsyncIterator[Core]:
    """Raises ServiceStartError when the database does not answer. What was announced
    is sent before the end."""
    metrics, supervisor = Metrics(), Supervisor()
    store = open_settings_store(settings.database, metrics)
    core = build_core(
        settings,
        store=store,
        clock=SystemClock(),
        ids=UlidSource(),
        metrics=metrics,
        supervisor=supervisor,
    )
    for service in (DatabaseService(store), *core.coordination.services):
        supervisor.add(service)
    await supervisor.start()
    try:
        yield core
    finally:
        core.release_waits()
        await supervisor.stop()
