"""What a request is about to use: the resource that an auth provider decides on.

Source: ``spec/control-plane-api.md`` §3.4. It is built before the namespace is looked
up, so nothing in it tells whether anything exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.http.route import API_ROOT, Route
from dwserver.protocol.json_types import JsonObject, JsonValue

OPERATION_FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cluster": "cluster",
        "namespaces": "namespace",
        "workflows": "workflow",
        "worker": "worker",
        "workers": "worker_management",
        "task-queues": "task_queue",
        "schedules": "schedule",
        "search-attributes": "search_attribute",
        "system": "system",
    }
)
"""The family of an operation by the first segment of its path; others have none."""

IDENTIFIERS: Final = (
    "activity_attempt_id",
    "build_id",
    "lease_owner",
    "poll_request_id",
    "query_name",
    "query_task_attempt",
    "query_task_id",
    "run_id",
    "runtime",
    "schedule_id",
    "signal_name",
    "task_id",
    "task_queue",
    "update_name",
    "worker_id",
    "workflow_id",
    "workflow_task_attempt",
    "workflow_type",
)

_UNDERSCORED: Final = re.compile(r"_([a-z])")


def access_resource(
    route: Route,
    path: str,
    *,
    params: Mapping[str, str],
    body: JsonValue,
    namespace: str,
    default_namespace: str,
) -> JsonObject:
    """``path`` as it was sent, ``params`` decoded; ``namespace`` is the requested
    one. Empty values are left out."""
    family = OPERATION_FAMILIES.get(route.path[len(API_ROOT) + 1 :].partition("/")[0])
    members = body if isinstance(body, dict) else {}
    resource: JsonObject = {
        "allowed_roles": [role.value for role in route.allowed_roles or ()],
        "method": route.method.value,
        "path": path,
        "route_uri": _template(route.path),
        "route_parameters": dict(params),
        "operation_family": family,
        "operation_name": route.operation,
        "default_namespace": default_namespace,
        "requested_namespace": namespace,
        "namespace": namespace,
    }
    if family == "namespace":
        target = params.get("namespace") or _identifier(members.get("name"))
        name = target.lower() if isinstance(target, str) else None
        resource |= {"target_namespace": name, "namespace_name": name}
    if family == "search_attribute":
        resource["search_attribute_name"] = params.get("name")
    for name in IDENTIFIERS:
        resource[name] = _identifier(params.get(name, members.get(name)))
    return {
        key: value for key, value in resource.items() if value not in (None, "", {}, [])
    }


def _identifier(value: JsonValue) -> str | int | float | None:
    """Trimmed text, a number or a boolean; nothing else identifies anything."""
    if isinstance(value, str):
        return value.strip()
    return value if isinstance(value, int | float) else None


def _template(path: str) -> str:
    """The route as providers know it: without the slash, parameters in camel case."""
    return "/".join(
        _UNDERSCORED.sub(lambda found: found[1].upper(), segment)
        if segment.startswith("{")
        else segment
        for segment in path.lstrip("/").split("/")
    )
