"""``/api/namespaces`` (``spec/control-plane-api.md`` §6).

None of these requests needs its own namespace to exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypedDict

from dwserver.engine.wire_time import iso
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.lookups import no_namespace
from dwserver.http.errors import refuse
from dwserver.http.request_fields import checked
from dwserver.http.route import ADMINS, Method, NamespaceRule, management_route
from dwserver.http.route_shape import Count, IsoTime, JsonMap, RouteShape
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import BOOLEAN, INTEGER, OBJECT, Field
from dwserver.services.catalog import Services
from dwserver.services.records import Driver, Namespace, StoragePolicy

MAX_RETENTION_DAYS: Final = 365

SETTING_FIELDS: Final = (
    Field("description", max_length=1000),
    Field("retention_days", INTEGER, minimum=1, maximum=MAX_RETENTION_DAYS),
)
CREATE_FIELDS: Final = (
    Field(
        "name",
        required=True,
        max_length=128,
        pattern=re.compile(r"[a-zA-Z0-9._-]+"),
    ),
    *SETTING_FIELDS,
)

# Members of ``config`` and their longest text; others are not kept.
STORAGE_CONFIG: Final[Mapping[str, int]] = MappingProxyType(
    {
        "uri": 2048,
        "bucket": 255,
        "disk": 255,
        "prefix": 1024,
        "region": 128,
        "endpoint": 2048,
        "auth_profile": 255,
    }
)
STORAGE_FIELDS: Final = (
    Field("driver", required=True, choices=frozenset(Driver)),
    Field("enabled", BOOLEAN, default=True),
    Field("threshold_bytes", INTEGER, minimum=1),
    Field("config", OBJECT),
    *(
        Field(f"config.{name}", max_length=longest)
        for name, longest in STORAGE_CONFIG.items()
    ),
)


async def index(services: Services, call: Call) -> Reply:
    """All namespaces."""
    namespaces = await services.namespaces.find_all()
    return Reply(200, {"namespaces": [_resource(each) for each in namespaces]})


async def store(services: Services, call: Call) -> Reply:
    """Create a namespace; names are kept in lower case."""
    values = checked(call.body, CREATE_FIELDS)
    name = values["name"].lower()
    namespace = await services.namespaces.create(
        name,
        description=values["description"],
        retention_days=values["retention_days"] or services.limits.retention_days,
    )
    if namespace is None:
        raise refuse(
            Reason.NAMESPACE_ALREADY_EXISTS,
            Plane.CONTROL,
            "Namespace already exists.",
            namespace=name,
        )
    return Reply(201, _without(_resource(namespace), "updated_at"))


async def show(services: Services, call: Call) -> Reply:
    """One namespace."""
    return Reply(200, _resource(await _found(services, call)))


async def update(services: Services, call: Call) -> Reply:
    """Change what is given; nothing can be cleared."""
    name = (await _found(services, call)).name
    values = checked(call.body, SETTING_FIELDS)
    namespace = await services.namespaces.update(
        name,
        description=values["description"],
        retention_days=values["retention_days"],
    )
    if namespace is None:
        raise no_namespace(name)
    return Reply(200, _without(_resource(namespace), "created_at"))


async def update_external_storage(services: Services, call: Call) -> Reply:
    """Replace the whole policy. Whether it can be used is for the storage test to say:
    nodes may differ in what they let policies use."""
    name = (await _found(services, call)).name
    values = checked(call.body, STORAGE_FIELDS)
    config = {key: values[f"config.{key}"] for key in STORAGE_CONFIG}
    policy = StoragePolicy(
        driver=Driver(values["driver"]),
        is_enabled=values["enabled"],
        threshold_bytes=values["threshold_bytes"],
        config={key: value for key, value in config.items() if value is not None},
    )
    namespace = await services.namespaces.set_storage(name, policy.as_json())
    if namespace is None:
        raise no_namespace(name)
    return Reply(200, _resource(namespace))


async def _found(services: Services, call: Call) -> Namespace:
    name = call.params["namespace"].lower()
    namespace = await services.namespaces.find(name)
    if namespace is None:
        raise no_namespace(name)
    return namespace


def _resource(namespace: Namespace) -> JsonObject:
    return {
        "name": namespace.name,
        "description": namespace.description,
        "retention_days": namespace.retention_days,
        "status": namespace.status,
        "external_payload_storage": namespace.external_storage,
        "created_at": iso(namespace.created_at),
        "updated_at": iso(namespace.updated_at),
    }


def _without(resource: JsonObject, key: str) -> JsonObject:
    return {name: value for name, value in resource.items() if name != key}


class _NamespaceMembers(TypedDict):
    name: str
    description: str | None
    retention_days: Count
    status: str
    external_payload_storage: JsonMap | None


class CreatedNamespace(_NamespaceMembers):
    created_at: IsoTime


class UpdatedNamespace(_NamespaceMembers):
    updated_at: IsoTime


class NamespaceView(_NamespaceMembers):
    created_at: IsoTime
    updated_at: IsoTime


class NamespaceList(TypedDict):
    namespaces: list[NamespaceView]


ROUTES = (
    management_route(
        Method.GET,
        "/namespaces",
        operation="index",
        handler=index,
        shape=RouteShape(answers={200: NamespaceList}),
        namespace=NamespaceRule.EXEMPT,
    ),
    management_route(
        Method.POST,
        "/namespaces",
        operation="store",
        handler=store,
        allowed_roles=ADMINS,
        namespace=NamespaceRule.EXEMPT,
        shape=RouteShape(
            body=CREATE_FIELDS,
            answers={201: CreatedNamespace},
            reasons=(Reason.NAMESPACE_ALREADY_EXISTS,),
        ),
    ),
    management_route(
        Method.GET,
        "/namespaces/{namespace}",
        operation="show",
        handler=show,
        namespace=NamespaceRule.EXEMPT,
        shape=RouteShape(
            answers={200: NamespaceView}, reasons=(Reason.NAMESPACE_NOT_FOUND,)
        ),
    ),
    management_route(
        Method.PUT,
        "/namespaces/{namespace}",
        operation="update",
        handler=update,
        allowed_roles=ADMINS,
        namespace=NamespaceRule.EXEMPT,
        shape=RouteShape(
            body=SETTING_FIELDS,
            answers={200: UpdatedNamespace},
            reasons=(Reason.NAMESPACE_NOT_FOUND,),
        ),
    ),
    management_route(
        Method.PUT,
        "/namespaces/{namespace}/external-storage",
        operation="update_external_storage",
        handler=update_external_storage,
        allowed_roles=ADMINS,
        namespace=NamespaceRule.EXEMPT,
        shape=RouteShape(
            body=STORAGE_FIELDS,
            answers={200: NamespaceView},
            reasons=(Reason.NAMESPACE_NOT_FOUND,),
        ),
    ),
)
