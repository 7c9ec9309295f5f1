"""One request on its way through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from dwserver.http.envelopes import ControlEnvelope
from dwserver.http.route import Handler, NamespaceRule, Route
from dwserver.protocol.reasons import Plane
from dwserver.protocol.versions import WorkerVersion
from dwserver.topology.gate import missing_roles
from dwserver.topology.identity import NodeIdentity

# How metrics name requests that no route of the table answered.
NO_ROUTE: Final = "unmatched"

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route with what can be worked out before the first request. ``is_here``:
    this node hosts the roles that the route needs."""

    route: Route
    label: str
    handler: Handler
    parameters: tuple[str, ...]
    envelope: ControlEnvelope | None
    is_hosted: bool
    is_here: bool
    is_bootstrap_gated: bool
    needs_namespace: bool


@dataclass(slots=True)
class Exchange:
    """A request and what has been found out about it so far. ``is_worker``: it is
    on the worker plane. ``version`` is the accepted worker version, ``None`` before
    it is known and on the other plane."""

    request: web.BaseRequest
    request_id: str
    path: str
    query_string: str
    plane: Plane
    is_worker: bool
    endpoint: Endpoint | None = None
    params: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    version: WorkerVersion | None = None

    @property
    def label(self) -> str:
        return NO_ROUTE if self.endpoint is None else self.endpoint.label

    def query(self) -> Mapping[str, str]:
        """The words of the query string; of a repeated one the last counts."""
        if not self.query_string:
            return NOTHING
        return dict(parse_qsl(self.query_string, keep_blank_values=True))


def endpoint_of(route: Route, identity: NodeIdentity) -> Endpoint:
    return Endpoint(
        route=route,
        label=route.label,
        handler=route.handler,
        parameters=route.parameters,
        envelope=ControlEnvelope(route.envelope) if route.envelope else None,
        is_hosted=route.is_hosted,
        is_here=not missing_roles(route.required_roles, identity.roles),
        is_bootstrap_gated=route.is_bootstrap_gated,
        needs_namespace=route.namespace is NamespaceRule.MUST_EXIST,
    )


def split_target(request: web.BaseRequest) -> tuple[str, str]:
    """Raw path and query string of the request line."""
    target = request.raw_path
    if not target.startswith("/"):
        # The absolute form, which clients send to proxies.
        url = request.rel_url
        return url.raw_path, url.raw_query_string
    path, _, query_string = target.partition("?")
    return path, query_string
