"""One row of the route table, and what is the same in every row of a plane.

Source: ``spec/control-plane-api.md`` §2 and §3.3, ``spec/topology-and-operations.md``
§2, ``spec/worker-protocol.md`` §2.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from dwserver.http.auth.principal import AccessRole
from dwserver.http.call import Call, Reply
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.reasons import Plane
from dwserver.services.catalog import Services
from dwserver.topology.gate import HOSTED_ROUTE_ROLES, RouteFamily
from dwserver.topology.shapes import Bundle

Handler: TypeAlias = Callable[[Services, Call], Awaitable[Reply]]

API_ROOT: Final = "/api"
WORKER_ROOT: Final = "/api/worker"
_BELOW_WORKER_ROOT: Final = f"{WORKER_ROOT}/"

# Orders are the ones in which a refusal names the allowed roles.
OPERATORS: Final = (AccessRole.OPERATOR, AccessRole.ADMIN)
ADMINS: Final = (AccessRole.ADMIN,)
WORKERS: Final = (AccessRole.WORKER,)
ANY_ROLE: Final = (AccessRole.WORKER, AccessRole.OPERATOR, AccessRole.ADMIN)

# Snake case, so that the names match the fields of the bodies.
_PARAMETER: Final = re.compile(r"\{([a-z]+(?:_[a-z]+)*)\}")


class Method(StrEnum):
    """Methods that a route can be mounted with; HEAD follows GET."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"


class NamespaceRule(StrEnum):
    """Whether the namespace of a request must exist before its handler runs."""

    MUST_EXIST = "must_exist"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method on a path and everything that is checked before its handler.

    ``path`` holds parameters as ``{snake_case}`` segments. ``operation`` is the
    ``operation_name`` of the authorization resource. ``allowed_roles`` ``None``
    lets anyone in; ``family`` ``None`` is answered by every node, without a version
    header. ``envelope`` is the workflow operation whose nested object the answers
    carry. ``idle``: the JSON text of what a long poll answers when there is nothing
    for it; other routes have none. ``shape`` is what the route takes and answers;
    without one the description of the API leaves both open. ``takes_bundles``: bodies
    have a limit of their own, and one that exceeds the usual one is taken at a time.
    """

    method: Method
    path: str
    operation: str
    handler: Handler
    plane: Plane = Plane.CONTROL
    allowed_roles: tuple[AccessRole, ...] | None
    family: RouteFamily | None = None
    is_bootstrap_gated: bool = False
    namespace: NamespaceRule = NamespaceRule.MUST_EXIST
    envelope: Operation | None = None
    idle: bytes | None = None
    shape: RouteShape | None = None
    takes_bundles: bool = False

    def __post_init__(self) -> None:
        if not self.path.startswith(f"{API_ROOT}/"):
            raise ValueError(f"{self.path} is outside {API_ROOT}")
        if self.allowed_roles is not None and not self.allowed_roles:
            raise ValueError(f"{self.label} allows nobody")
        if plane_of(self.path) is not self.plane:
            raise ValueError(f"{self.label} lies on the other plane's paths")
        for segment in self.path.split("/"):
            if "{" in segment and not _PARAMETER.fullmatch(segment):
                raise ValueError(f"{self.label}: bad parameter {segment}")

    @property
    def label(self) -> str:
        """How metrics and logs name the route; its set of values is bounded."""
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path parameters, from left to right."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def is_hosted(self) -> bool:
        """Whether version, topology and role checks apply (not discovery)."""
        return self.family is not None

    @property
    def required_roles(self) -> Bundle:
        """Topology roles that a node needs to answer a client directly."""
        return HOSTED_ROUTE_ROLES if self.is_hosted else ()


def plane_of(path: str) -> Plane:
    """The plane whose envelope an answer on ``path`` takes, known route or not."""
    if path.startswith(_BELOW_WORKER_ROOT) or path == WORKER_ROOT:
        return Plane.WORKER
    return Plane.CONTROL


def worker_route(
    method: Method,
    path: str,
    *,
    operation: str,
    handler: Handler,
    idle: bytes | None = None,
    shape: RouteShape | None = None,
) -> Route:
    """A row of the worker plane: workers only, bootstrap-gated, namespaced."""
    return Route(
        method=method,
        path=f"{WORKER_ROOT}{path}",
        operation=operation,
        handler=handler,
        plane=Plane.WORKER,
        allowed_roles=WORKERS,
        family=RouteFamily.WORKER,
        is_bootstrap_gated=True,
        idle=idle,
        shape=shape,
    )


def workflow_route(
    method: Method,
    path: str,
    envelope: Operation,
    *,
    handler: Handler,
    is_bootstrap_gated: bool = False,
    family: RouteFamily = RouteFamily.CONTROL,
    shape: RouteShape | None = None,
) -> Route:
    """A row of the workflow operations, whose answers carry ``control_plane``."""
    return Route(
        method=method,
        path=f"{API_ROOT}/workflows{path}",
        operation=envelope.value,
        handler=handler,
        allowed_roles=OPERATORS,
        family=family,
        is_bootstrap_gated=is_bootstrap_gated,
        envelope=envelope,
        shape=shape,
    )


def command_routes(
    path: str,
    envelope: Operation,
    *,
    handler: Handler,
    shape: RouteShape | None = None,
) -> tuple[Route, Route]:
    """The two rows of an operator command: for a workflow id, and for its run."""
    under_id, under_run = "/{workflow_id}", "/{workflow_id}/runs/{run_id}"
    at_id, at_run = (
        workflow_route(
            Method.POST,
            f"{parent}{path}",
            envelope,
            handler=handler,
            is_bootstrap_gated=True,
            shape=shape,
        )
        for parent in (under_id, under_run)
    )
    return at_id, at_run


def management_route(
    method: Method,
    path: str,
    *,
    operation: str,
    handler: Handler,
    allowed_roles: tuple[AccessRole, ...] = OPERATORS,
    is_bootstrap_gated: bool = False,
    namespace: NamespaceRule = NamespaceRule.MUST_EXIST,
    shape: RouteShape | None = None,
) -> Route:
    """A row of the other operator routes (namespaces, workers, …)."""
    return Route(
        method=method,
        path=f"{API_ROOT}{path}",
        operation=operation,
        handler=handler,
        allowed_roles=allowed_roles,
        family=RouteFamily.CONTROL,
        is_bootstrap_gated=is_bootstrap_gated,
        namespace=namespace,
        shape=shape,
    )
