"""A whole node on a real database and a real socket, whose time a test moves.

No loop runs: what is due is done when the time is moved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dwserver.config.settings import load_settings
from dwserver.roles.core import Core, build_core
from dwserver.roles.http import build_http_server
from dwserver.runtime.clock import ManualClock
from dwserver.runtime.ids import UlidSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.store.opening import open_store
from tests.http.harness import HOST, Client, client_of
from tests.support.api_description import whole_api

# Tokens of the recorded server; polls look once.
RECORDED_ENVIRONMENT = {
    "DW_HTTP_HOST": HOST,
    "DW_HTTP_PORT": "0",
    "DW_WORKER_TOKEN": "worker-token",
    "DW_OPERATOR_TOKEN": "operator-token",
    "DW_ADMIN_TOKEN": "admin-token",
    "DW_WORKER_PROTOCOL_VERSION": "1.0",
    "DW_WORKER_POLL_TIMEOUT": "0",
    "DW_QUERY_TASK_POLL_TIMEOUT": "0",
    "DW_DRAIN_SECONDS": "0",
}


@dataclass(frozen=True, slots=True)
class LiveNode:
    client: Client
    core: Core
    clock: ManualClock

    async def pass_time(self, seconds: float) -> None:
        """Move the time, then do once what the loops of a process do."""
        self.clock.advance(seconds=seconds)
        await self.do_what_is_due()

    async def do_what_is_due(self) -> None:
        await self.core.leases.requeue_expired()
        await self.core.deadlines.enforce()
        await self.core.timers.fire_due()
        await self.core.close_policies.deliver_due()
        # Polls look again: what became ready by time is heard of by real timers.
        self.core.matcher.forget_idle_queues()


@asynccontextmanager
async def live_node(
    url: str, env: Mapping[str, str], *, began_at: int
) -> AsyncIterator[LiveNode]:
    """On a bootstrapped database; ``env`` adds to the configuration, ``began_at`` is
    its time (epoch microseconds)."""
    settings = load_settings({"DW_DATABASE_URL": url, **RECORDED_ENVIRONMENT, **env})
    clock, metrics, supervisor = ManualClock(began_at), Metrics(), Supervisor()
    ids = UlidSource(time_ns=lambda: clock.now() * 1000)
    store = open_store(url)
    await store.open()
    try:
        core = build_core(
            settings,
            store=store,
            clock=clock,
            ids=ids,
            metrics=metrics,
            supervisor=supervisor,
        )
        server = build_http_server(
            settings, core, clock=clock, ids=ids, metrics=metrics, role_checks={}
        )
        await server.start()
        try:
            async with client_of(server.port, whole_api()) as client:
                yield LiveNode(client, core, clock)
        finally:
            core.release_waits()
            await server.stop()
            await supervisor.stop()
    finally:
        await store.close()
