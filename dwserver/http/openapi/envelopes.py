"""What each plane adds to every answer (``dwserver/http/envelopes.py``)."""

from __future__ import annotations

from typing import Final

from dwserver.http.observation import REQUEST_ID_HEADER
from dwserver.http.openapi.typed_schemas import Schemas
from dwserver.http.route import Route
from dwserver.protocol.control_plane import CONTRACTS, PROJECTED_FIELDS, Operation
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane
from dwserver.protocol.schemas import CONTROL_PLANE_RESPONSE
from dwserver.protocol.versions import (
    CONTROL_PLANE_HEADER,
    CONTROL_PLANE_VERSION,
    SUPPORTED_WORKER_VERSIONS,
    WORKER_PROTOCOL_HEADER,
)

# Any object: other documents say what is in it.
_OBJECT: Final[JsonObject] = {"type": "object", "additionalProperties": True}

CONTROL_VERSION: Final[JsonObject] = {"type": "string", "enum": [CONTROL_PLANE_VERSION]}
WORKER_VERSION: Final[JsonObject] = {
    "type": "string",
    "enum": list(SUPPORTED_WORKER_VERSIONS),
}


def with_envelope(
    schema: JsonObject, route: Route, schemas: Schemas, *, is_success: bool
) -> JsonObject:
    """The schema of a body with the members that its plane adds."""
    added = _members(route, schemas, is_success=is_success)
    if not added:
        return schema
    required = dict.fromkeys((*schema.get("required", ()), *added))
    return {
        **schema,
        "properties": {**schema.get("properties", {}), **added},
        "required": list(required),
    }


def answer_headers(route: Route, *, is_success: bool) -> JsonObject:
    """Headers of an answer by name. Discovery routes have no version, their refusals
    have the plane's."""
    headers: JsonObject = {
        str(REQUEST_ID_HEADER): {"required": True, "schema": {"type": "string"}}
    }
    if route.plane is Plane.WORKER:
        headers[WORKER_PROTOCOL_HEADER] = {"required": True, "schema": WORKER_VERSION}
    elif route.is_hosted:
        headers[CONTROL_PLANE_HEADER] = {"required": True, "schema": CONTROL_VERSION}
    elif not is_success:
        headers[CONTROL_PLANE_HEADER] = {"schema": CONTROL_VERSION}
    return headers


def _members(route: Route, schemas: Schemas, *, is_success: bool) -> JsonObject:
    if route.plane is Plane.WORKER:
        return {
            "protocol_version": WORKER_VERSION,
            "server_capabilities": schemas.add("ServerCapabilities", _OBJECT),
        }
    if route.envelope is None:
        return {}
    return {"control_plane": _control_plane(route.envelope, schemas, is_success)} | {
        name: {"type": "string"}
        for name in ("workflow_id", "run_id")
        if name in route.parameters
    }


def _control_plane(
    operation: Operation, schemas: Schemas, is_success: bool
) -> JsonObject:
    contract = CONTRACTS[operation]
    copied: JsonObject = {name: {} for name in PROJECTED_FIELDS}
    properties: JsonObject = {
        **{
            name: {"const": value}
            for name, value in CONTROL_PLANE_RESPONSE.identity().items()
        },
        "operation": {"const": operation.value},
        "workflow_id": {"type": ["string", "null"]},
        "contract": _OBJECT,
        **copied,
    }
    required = ["schema", "version", "operation", "workflow_id", "contract"]
    if contract.operation_name_field is not None:
        properties["operation_name"] = {"type": "string"}
        properties["operation_name_field"] = {"const": contract.operation_name_field}
    told = set(contract.required_fields) - set(required)
    name = f"ControlPlane{operation.value.title().replace('_', '')}"
    reference = schemas.add(
        name,
        {
            "type": "object",
            "description": "Repeats members of the answer under their own names.",
            "properties": properties,
            "required": [*required, *sorted(told)],
        },
    )
    expected = sorted(set(contract.success_fields) - set(required) - told)
    return {**reference, "required": expected} if is_success and expected else reference
