"""The three discovery routes (``spec/topology-and-operations.md`` §1.1, §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dwserver.engine.wire_time import iso
from dwserver.http.auth.principal import AccessRole
from dwserver.http.call import Call, Reply
from dwserver.http.discovery.cluster_info import ClusterInfo
from dwserver.http.discovery.readiness import Readiness
from dwserver.http.discovery.shapes import ClusterInfoAnswer, HealthAnswer, ReadyAnswer
from dwserver.http.route import (
    ANY_ROLE,
    API_ROOT,
    Handler,
    Method,
    NamespaceRule,
    Route,
)
from dwserver.http.route_shape import RouteShape
from dwserver.services.catalog import Services
from dwserver.topology.identity import NodeIdentity
from dwserver.topology.manifest import topology_summary

_OK: Final = 200
_UNAVAILABLE: Final = 503


class Discovery:
    """Handlers that know their process rather than the services."""

    def __init__(
        self,
        readiness: Readiness,
        cluster_info: ClusterInfo,
        identity: NodeIdentity,
        *,
        now: Callable[[], int],
    ) -> None:
        self._readiness = readiness
        self._cluster_info = cluster_info
        self._topology = topology_summary(identity)
        self._now = now

    def routes(self) -> tuple[Route, ...]:
        return discovery_routes(self.health, self.ready, self.info)

    async def health(self, _services: Services, _call: Call) -> Reply:
        """Liveness: ``degraded`` while the database cannot be reached. The checks of
        the node's own roles are shown and decide nothing."""
        is_reachable = await self._readiness.is_database_reachable()
        return Reply(
            _OK if is_reachable else _UNAVAILABLE,
            {
                "status": "serving" if is_reachable else "degraded",
                "timestamp": iso(self._now()),
                "checks": {
                    "database": "ok" if is_reachable else "unavailable",
                    **self._readiness.role_statuses(),
                },
                "topology": self._topology,
            },
        )

    async def ready(self, _services: Services, _call: Call) -> Reply:
        """Readiness: every check is ``ok`` or ``warning``, and nobody drains us."""
        evaluation = await self._readiness.evaluate()
        return Reply(
            _OK if evaluation.is_ready else _UNAVAILABLE,
            {
                "status": "ready" if evaluation.is_ready else "not_ready",
                "timestamp": iso(self._now()),
                "checks": evaluation.checks,
                "topology": self._topology,
            },
        )

    async def info(self, _services: Services, call: Call) -> Reply:
        """The discovery document for any authenticated caller."""
        document = await self._cluster_info.document(call.namespace, call.principal)
        return Reply(_OK, document)


def discovery_routes(
    health: Handler, ready: Handler, info: Handler
) -> tuple[Route, ...]:
    """The rows, whoever handles them."""
    return (
        discovery_route(
            "/health",
            operation="health",
            handler=health,
            shape=RouteShape(answers={200: HealthAnswer, 503: HealthAnswer}),
        ),
        discovery_route(
            "/ready",
            operation="ready",
            handler=ready,
            shape=RouteShape(answers={200: ReadyAnswer, 503: ReadyAnswer}),
        ),
        discovery_route(
            "/cluster/info",
            operation="cluster_info",
            handler=info,
            allowed_roles=ANY_ROLE,
            shape=RouteShape(answers={200: ClusterInfoAnswer}),
        ),
    )


def discovery_route(
    path: str,
    *,
    operation: str,
    handler: Handler,
    shape: RouteShape,
    allowed_roles: tuple[AccessRole, ...] | None = None,
) -> Route:
    """A row that every node answers; without roles it answers anyone."""
    return Route(
        method=Method.GET,
        path=f"{API_ROOT}{path}",
        operation=operation,
        handler=handler,
        allowed_roles=allowed_roles,
        namespace=NamespaceRule.EXEMPT,
        shape=shape,
    )
