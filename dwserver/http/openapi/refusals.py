"""Which refusals a route can answer, and their bodies.

Source: the order of checks in ``dwserver/http/pipeline.py``, the reason table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypedDict

from dwserver.http.body import METHODS_WITH_BODY
from dwserver.http.openapi.typed_schemas import Schemas
from dwserver.http.route import NamespaceRule, Route
from dwserver.http.route_shape import Count
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import REASONS, Plane, Reason, status_of

_FIRST_REFUSAL: Final = 400


class ControlRefusal(TypedDict):
    """``message`` is for people, ``reason`` for programs."""

    message: str
    reason: str


class WorkerRefusal(ControlRefusal):
    """``error`` is ``message`` under the name that older workers read."""

    error: str


class _Unparsable(TypedDict):
    json_error: str


class _TooLarge(TypedDict):
    limit: Count


class _OtherMediaType(TypedDict):
    accepted_content_types: list[str]


class _OtherVersion(TypedDict):
    supported_version: str
    requested_version: str | None
    remediation: str


class _Forbidden(TypedDict):
    role: str
    allowed_roles: list[str]


class _NotHosted(TypedDict):
    current_shape: str
    current_process_class: str
    current_roles: list[str]
    required_roles: list[str]
    missing_roles: list[str]


class _Blocked(TypedDict):
    blocked_by: list[str]
    remediation: str


class _NoNamespace(TypedDict):
    namespace: str
    remediation: str


class _Invalid(TypedDict):
    errors: dict[str, list[str]]
    validation_errors: dict[str, list[str]]


class _Failed(TypedDict):
    retryable: bool
    error_id: str


class _TryAgain(_Failed):
    retry_after_seconds: Count


_R = Reason
# Members that a refusal has besides those of all refusals.
_MEMBERS: Final[Mapping[Reason, type[Any]]] = MappingProxyType(
    {
        _R.MALFORMED_JSON: _Unparsable,
        _R.PAYLOAD_TOO_LARGE: _TooLarge,
        _R.UNSUPPORTED_MEDIA_TYPE: _OtherMediaType,
        _R.MISSING_CONTROL_PLANE_VERSION: _OtherVersion,
        _R.UNSUPPORTED_CONTROL_PLANE_VERSION: _OtherVersion,
        _R.MISSING_PROTOCOL_VERSION: _OtherVersion,
        _R.UNSUPPORTED_PROTOCOL_VERSION: _OtherVersion,
        _R.FORBIDDEN: _Forbidden,
        _R.TOPOLOGY_ROLE_UNAVAILABLE: _NotHosted,
        _R.WORKFLOW_V2_BLOCKED: _Blocked,
        _R.NAMESPACE_NOT_FOUND: _NoNamespace,
        _R.VALIDATION_FAILED: _Invalid,
        _R.CONTROL_PLANE_INTERNAL_ERROR: _Failed,
        _R.BACKEND_UNAVAILABLE: _TryAgain,
        _R.BACKEND_LOCK_PRESSURE: _TryAgain,
        _R.LONG_POLL_CAPACITY_EXHAUSTED: _TryAgain,
    }
)
_COMMON: Final = (
    _R.MALFORMED_JSON,
    _R.PAYLOAD_TOO_LARGE,
    _R.SERVER_ERROR,
    _R.BACKEND_UNAVAILABLE,
    _R.BACKEND_LOCK_PRESSURE,
)
_OF_VERSIONS: Final[Mapping[Plane, tuple[Reason, ...]]] = MappingProxyType(
    {
        Plane.CONTROL: (
            _R.MISSING_CONTROL_PLANE_VERSION,
            _R.UNSUPPORTED_CONTROL_PLANE_VERSION,
        ),
        Plane.WORKER: (_R.MISSING_PROTOCOL_VERSION, _R.UNSUPPORTED_PROTOCOL_VERSION),
    }
)
# Of paths that the table lacks, or methods that a path lacks.
_OFF_THE_TABLE: Final = frozenset({_R.METHOD_NOT_ALLOWED})


def reasons_by_status(route: Route) -> dict[int, list[Reason]]:
    """The reasons of all refusals of a route, in the order of their statuses."""
    found: dict[int, dict[Reason, None]] = {}
    for reason, status in _refusals(route):
        found.setdefault(status, {})[reason] = None
    return {status: list(found[status]) for status in sorted(found)}


def refusal_schema(route: Route, reasons: list[Reason], schemas: Schemas) -> JsonObject:
    """The body for ``reasons``, which share a status, without the plane's envelope."""
    base = WorkerRefusal if route.plane is Plane.WORKER else ControlRefusal
    members = {**schemas.members(base), "additionalProperties": True}
    properties: JsonObject = {
        "reason": {"enum": sorted(reason.value for reason in reasons)}
    }
    for shape in filter(None, map(_MEMBERS.get, reasons)):
        properties.update(schemas.members(shape)["properties"])
    return {
        "allOf": [schemas.add(base.__name__, members)],
        "type": "object",
        "properties": properties,
    }


def _refusals(route: Route) -> Iterator[tuple[Reason, int]]:
    plane, shape = route.plane, route.shape
    if shape is None:
        # What the handler refuses is not told: anything the plane knows.
        for reason, facts in REASONS.items():
            for status in facts.statuses(plane):
                if status >= _FIRST_REFUSAL and reason not in _OFF_THE_TABLE:
                    yield reason, status
        return
    for reason in (*_checks(route), *shape.reasons):
        yield reason, shape.statuses.get(reason, status_of(reason, plane))
    if shape.query or shape.body:
        yield _R.VALIDATION_FAILED, status_of(_R.VALIDATION_FAILED, plane)


def _checks(route: Route) -> Iterator[Reason]:
    """Refusals before the handler, and for what it could not foresee."""
    yield from _COMMON
    if route.plane is Plane.CONTROL:
        yield _R.CONTROL_PLANE_INTERNAL_ERROR
    if route.method.value in METHODS_WITH_BODY:
        yield _R.UNSUPPORTED_MEDIA_TYPE
    if route.parameters:
        yield _R.NOT_FOUND
    if route.allowed_roles is not None:
        yield from (_R.UNAUTHORIZED, _R.FORBIDDEN)
    if route.is_hosted:
        yield from _OF_VERSIONS[route.plane]
        yield _R.TOPOLOGY_ROLE_UNAVAILABLE
    if route.is_bootstrap_gated:
        yield _R.WORKFLOW_V2_BLOCKED
    if route.namespace is NamespaceRule.MUST_EXIST:
        yield _R.NAMESPACE_NOT_FOUND
