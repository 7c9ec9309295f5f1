"""The forwarding of an ingress: what it takes, and what has to run for it."""

from __future__ import annotations

import structlog

from dwserver.config.settings import Settings
from dwserver.http.departures import Departures
from dwserver.http.forwarding.breaker import BreakerState
from dwserver.http.forwarding.credential import forwarding_key
from dwserver.http.forwarding.forwarder import Forwarder, Sender
from dwserver.http.forwarding.peer_connection import AnswerLost
from dwserver.http.forwarding.peer_connections import Neighbours
from dwserver.http.forwarding.peer_pool import PoolLimits
from dwserver.roles.core import Core
from dwserver.roles.identity import node_identity
from dwserver.runtime.clock import Clock
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.store.api import StoreError
from dwserver.topology.gate import SERVING_ROLES
from dwserver.topology.shapes import Role

REFRESH_SECONDS = 0.5
"""How old the forwarder's view of the cluster may be, beyond that of the membership."""

_log = structlog.stdlib.get_logger(__name__)


def build_forwarder(
    settings: Settings, core: Core, *, clock: Clock, metrics: Metrics
) -> Forwarder | None:
    """None for a node that passes nothing on: clients do not come to it, it answers
    everything itself, or it is told not to."""
    topology, key = settings.topology, settings.server.server_key
    roles = node_identity(settings).roles
    serves_all = all(serving[0] in roles for serving in SERVING_ROLES.values())
    is_wanted = topology.ingress_forwarding and not serves_all
    if Role.API_INGRESS not in roles or not is_wanted or not key:
        return None
    membership = core.membership

    async def look() -> None:
        try:
            await membership.look()
        except StoreError as error:
            # The view stays as it is; the heartbeats tell of the database.
            _log.debug("peers_not_seen", error=str(error))

    return Forwarder(
        Sender(key=forwarding_key(key), now=clock.now),
        Neighbours(
            own_id=settings.server.server_id,
            own_roles=roles,
            live=membership.live,
            report_unreachable=membership.report_unreachable,
            look=look,
        ),
        PoolLimits.of(topology.peer_connections),
        departures=Departures(),
        observe=metrics.forwarded_requests.inc,
    )


class ForwardingService:
    """Keeps the forwarder's view of the cluster fresh, asks silent nodes whether they
    are still there, ends what takes too long, and closes the connections when nobody
    needs them any more."""

    name = "forwarding"

    def __init__(
        self, forwarder: Forwarder, host: TaskHost, *, metrics: Metrics
    ) -> None:
        self._connections = forwarder.connections
        self._host = host
        self._metrics = metrics
        self._loop = Loop(
            self.name,
            self._refresh,
            host,
            interval_seconds=REFRESH_SECONDS,
            on_failure=FailurePolicy.RESTART,
        )

    async def start(self) -> None:
        await self._loop.start()

    async def drain(self) -> None:
        """The loop goes on: it ends what the last requests wait for."""

    async def stop(self) -> None:
        await self._loop.stop()
        self._connections.close(AnswerLost("this node has ended"))

    async def _refresh(self) -> None:
        self._connections.refresh()
        for pool in self._connections.to_probe():
            self._host.spawn("peer-probe", pool.probe())
        busy, idle = self._connections.counts()
        self._metrics.peer_connections.set("busy", to=busy)
        self._metrics.peer_connections.set("idle", to=idle)
        states = self._connections.breaker_states()
        for state in BreakerState:
            self._metrics.peer_breakers.set(state.value, to=states[state])
