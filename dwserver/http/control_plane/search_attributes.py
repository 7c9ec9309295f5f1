"""``/api/search-attributes`` (``spec/control-plane-api.md`` §12.1)."""

from __future__ import annotations

import re
from typing import Final, Literal, TypedDict

from dwserver.engine.search_attributes import SYSTEM_ATTRIBUTES, AttributeType
from dwserver.http.call import Call, Reply
from dwserver.http.errors import refuse
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import Field
from dwserver.services.catalog import Services
from dwserver.services.search_attributes import DefineOutcome

DEFINE_FIELDS: Final = (
    Field(
        "name",
        required=True,
        max_length=128,
        pattern=re.compile(r"[a-zA-Z][a-zA-Z0-9_]*"),
    ),
    Field("type", required=True, choices=frozenset(AttributeType)),
)


async def index(services: Services, call: Call) -> Reply:
    """Names and types of the search attributes of the namespace."""
    types = await services.search_attributes.types(call.namespace)
    return Reply(
        200,
        {
            "system_attributes": dict(SYSTEM_ATTRIBUTES),
            "custom_attributes": dict(types),
        },
    )


async def store(services: Services, call: Call) -> Reply:
    """Define an attribute; names are case-sensitive."""
    values = checked(call.body, DEFINE_FIELDS)
    name = values["name"]
    if name in SYSTEM_ATTRIBUTES:
        raise refuse(
            Reason.NAME_RESERVED,
            Plane.CONTROL,
            f"[{name}] is the name of a system search attribute.",
        )
    defined = await services.search_attributes.define(
        call.namespace, name, value_type=values["type"]
    )
    if defined.outcome is DefineOutcome.EXISTS:
        raise refuse(
            Reason.ATTRIBUTE_ALREADY_EXISTS,
            Plane.CONTROL,
            f"Namespace [{call.namespace}] has the search attribute [{name}] already.",
            name=name,
            type=defined.value_type,
        )
    if defined.outcome is DefineOutcome.LIMIT_REACHED:
        limit = services.limits.search_attributes
        raise refuse(
            Reason.SEARCH_ATTRIBUTE_LIMIT_REACHED,
            Plane.CONTROL,
            f"Namespace [{call.namespace}] holds at most {limit} search attributes.",
            limit=limit,
        )
    return Reply(
        201, {"name": name, "type": defined.value_type, "outcome": defined.outcome}
    )


async def destroy(services: Services, call: Call) -> Reply:
    """Forget an attribute; runs keep their values."""
    name = call.params["name"]
    if name in SYSTEM_ATTRIBUTES:
        raise refuse(
            Reason.SYSTEM_ATTRIBUTE,
            Plane.CONTROL,
            f"The system search attribute [{name}] stays.",
        )
    if not await services.search_attributes.remove(call.namespace, name):
        raise refuse(
            Reason.ATTRIBUTE_NOT_FOUND,
            Plane.CONTROL,
            f"Namespace [{call.namespace}] has no search attribute [{name}].",
        )
    return Reply(200, {"name": name, "outcome": "deleted"})


class SearchAttributes(TypedDict):
    """Types by name."""

    system_attributes: dict[str, AttributeType]
    custom_attributes: dict[str, AttributeType]


class DefinedAttribute(TypedDict):
    name: str
    type: AttributeType
    outcome: DefineOutcome


class DeletedAttribute(TypedDict):
    name: str
    outcome: Literal["deleted"]


ROUTES = (
    management_route(
        Method.GET,
        "/search-attributes",
        operation="index",
        handler=index,
        shape=RouteShape(answers={200: SearchAttributes}),
    ),
    management_route(
        Method.POST,
        "/search-attributes",
        operation="store",
        handler=store,
        shape=RouteShape(
            body=DEFINE_FIELDS,
            answers={201: DefinedAttribute},
            reasons=(
                Reason.NAME_RESERVED,
                Reason.ATTRIBUTE_ALREADY_EXISTS,
                Reason.SEARCH_ATTRIBUTE_LIMIT_REACHED,
            ),
        ),
    ),
    management_route(
        Method.DELETE,
        "/search-attributes/{name}",
        operation="destroy",
        handler=destroy,
        shape=RouteShape(
            answers={200: DeletedAttribute},
            reasons=(Reason.SYSTEM_ATTRIBUTE, Reason.ATTRIBUTE_NOT_FOUND),
        ),
    ),
)
