"""One request on its way through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from dwserver.http.envelopes import ControlEnvelope
from dwserver.http.origin import Origin
from dwserver.http.request import Request
from dwserver.http.route import Handler, NamespaceRule, Route
from dwserver.protocol.reasons import Plane
from dwserver.protocol.versions import WorkerVersion
from dwserver.topology.gate import (
    SERVING_ROLES,
    missing_roles,
    required_for_forwarded,
)
from dwserver.topology.identity import NodeIdentity
from dwserver.topology.shapes import Bundle, Role

# How metrics name requests that no route of the table answered.
NO_ROUTE: Final = "unmatched"

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route with what can be worked out before the first request.

    ``is_here``: this node hosts what the route demands of a node that clients reach;
    ``is_here_for_peers``: what it demands (``required_of_peers``) of one to which an
    ingress has passed the request on. ``is_better_elsewhere``: clients reach this node,
    and the role that serves the route first is hosted by others.
    """

    route: Route
    label: str
    handler: Handler
    parameters: tuple[str, ...]
    envelope: ControlEnvelope | None
    is_hosted: bool
    is_here: bool
    is_here_for_peers: bool
    is_better_elsewhere: bool
    required_of_peers: Bundle
    is_bootstrap_gated: bool
    needs_namespace: bool


@dataclass(slots=True)
class Exchange:
    """A request and what has been found out about it so far. ``is_worker``: it is
    on the worker plane. ``version`` is the accepted worker version, ``None`` before
    it is known and on the other plane. ``origin``: where it came from before another
    node let it in and passed it on."""

    request: Request
    request_id: str
    path: str
    query_string: str
    plane: Plane
    is_worker: bool
    endpoint: Endpoint | None = None
    params: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    version: WorkerVersion | None = None
    origin: Origin | None = None

    @property
    def is_forwarded(self) -> bool:
        return self.origin is not None

    @property
    def target(self) -> str:
        """Path and query string, as a request line has them."""
        if not self.query_string:
            return self.path
        return f"{self.path}?{self.query_string}"

    @property
    def label(self) -> str:
        return NO_ROUTE if self.endpoint is None else self.endpoint.label

    def query(self) -> Mapping[str, str]:
        """The words of the query string; of a repeated one the last counts."""
        if not self.query_string:
            return NOTHING
        return dict(parse_qsl(self.query_string, keep_blank_values=True))


def endpoint_of(route: Route, identity: NodeIdentity) -> Endpoint:
    roles, family = identity.roles, route.family
    of_peers: Bundle = ()
    is_better_elsewhere = False
    if family is not None:
        of_peers = required_for_forwarded(family, roles)
        is_better_elsewhere = (
            Role.API_INGRESS in roles and SERVING_ROLES[family][0] not in roles
        )
    return Endpoint(
        route=route,
        label=route.label,
        handler=route.handler,
        parameters=route.parameters,
        envelope=ControlEnvelope(route.envelope) if route.envelope else None,
        is_hosted=route.is_hosted,
        is_here=not missing_roles(route.required_roles, roles),
        is_here_for_peers=not missing_roles(of_peers, roles),
        is_better_elsewhere=is_better_elsewhere,
        required_of_peers=of_peers,
        is_bootstrap_gated=route.is_bootstrap_gated,
        needs_namespace=route.namespace is NamespaceRule.MUST_EXIST,
    )
