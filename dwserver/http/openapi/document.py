"""The OpenAPI document of a route table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from http import HTTPStatus
from types import UnionType
from typing import Any, Final, get_args

from dwserver import __version__
from dwserver.http.auth.signature import SIGNATURE_HEADER
from dwserver.http.body import METHODS_WITH_BODY
from dwserver.http.namespace import NAMESPACE_QUERY_WORD
from dwserver.http.openapi.envelopes import (
    CONTROL_VERSION,
    WORKER_VERSION,
    answer_headers,
    with_envelope,
)
from dwserver.http.openapi.field_schemas import body_schema, query_parameters
from dwserver.http.openapi.refusals import reasons_by_status, refusal_schema
from dwserver.http.openapi.typed_schemas import Schemas
from dwserver.http.repetition import REPETITIONS
from dwserver.http.route import API_ROOT, NamespaceRule, Route
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane
from dwserver.protocol.versions import (
    CONTROL_PLANE_HEADER,
    NAMESPACE_HEADER,
    WORKER_PROTOCOL_HEADER,
)

OPENAPI_VERSION: Final = "3.1.0"
JSON: Final = "application/json"

# What is not told about a route without a shape.
_ANY_OBJECT: Final[JsonObject] = {"type": "object", "additionalProperties": True}
_ANY_SUCCESS: Final = "2XX"
_FIRST_REFUSAL: Final = 400
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9]+")

_SECURITY: Final[JsonObject] = {
    "token": {"type": "http", "scheme": "bearer"},
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HEADER,
        "description": "Lower-case hex HMAC-SHA256 of the raw body.",
    },
}
_DESCRIPTION: Final = (
    "Unknown request fields are ignored, answers may gain members. Absent and null "
    "fields are the same. Integers may come as decimal strings, booleans as 0, 1 and "
    "words; identifiers are trimmed."
)


def document(routes: Iterable[Route]) -> JsonObject:
    """Every row is an operation; HEAD goes with GET and is not told."""
    schemas = Schemas()
    paths: JsonObject = {}
    for route in routes:
        item = paths.setdefault(route.path, {})
        item[route.method.value.lower()] = _operation(route, schemas)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "dwserver",
            "version": __version__,
            "description": _DESCRIPTION,
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.by_name.items())),
            "securitySchemes": _SECURITY,
        },
    }


def _operation(route: Route, schemas: Schemas) -> JsonObject:
    operation: JsonObject = {
        "operationId": _operation_id(route),
        "tags": [_tag(route)],
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
        "security": [{name: []} for name in _SECURITY] if route.allowed_roles else [],
        "x-operation-name": route.operation,
        "x-allowed-roles": [role.value for role in route.allowed_roles or ()],
    }
    summary = _summary(route)
    if summary:
        operation["summary"] = summary
    repetition = REPETITIONS.get(route.label)
    if repetition is not None:
        operation["description"] = repetition.text
    body = _request_body(route)
    if body is not None:
        operation["requestBody"] = body
    return operation


def _operation_id(route: Route) -> str:
    """Method and path: the names of the table are not unique."""
    words = _NO_WORD.sub("_", route.path.removeprefix(API_ROOT)).strip("_")
    return f"{route.method.value.lower()}_{words}"


def _tag(route: Route) -> str:
    return route.path.split("/")[2].partition(".")[0]


def _summary(route: Route) -> str:
    """The first paragraph of the handler's text, as one line."""
    paragraph = (inspect.getdoc(route.handler) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def _parameters(route: Route) -> list[JsonObject]:
    parameters: list[JsonObject] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for name in route.parameters
    ]
    if route.shape is not None:
        parameters += query_parameters(route.shape.query, route.envelope)
    if route.is_hosted:
        is_worker = route.plane is Plane.WORKER
        parameters.append(
            {
                "name": WORKER_PROTOCOL_HEADER if is_worker else CONTROL_PLANE_HEADER,
                "in": "header",
                "required": True,
                "schema": WORKER_VERSION if is_worker else CONTROL_VERSION,
            }
        )
    if route.namespace is NamespaceRule.MUST_EXIST:
        parameters += [
            {"name": name, "in": place, "schema": {"type": "string", "minLength": 1}}
            for name, place in (
                (NAMESPACE_HEADER, "header"),
                (NAMESPACE_QUERY_WORD, "query"),
            )
        ]
    return parameters


def _request_body(route: Route) -> JsonObject | None:
    if route.method.value not in METHODS_WITH_BODY:
        return None
    shape, schema = route.shape, _ANY_OBJECT
    if shape is not None:
        if not shape.body:
            return None
        schema = body_schema(shape.body, route.envelope, shape.details)
    return {"required": "required" in schema, "content": {JSON: {"schema": schema}}}


def _responses(route: Route, schemas: Schemas) -> JsonObject:
    bodies: dict[str, list[JsonObject]] = {}
    if route.shape is None:
        bodies[_ANY_SUCCESS] = [
            with_envelope(_ANY_OBJECT, route, schemas, is_success=True)
        ]
    else:
        for status, shape in route.shape.answers.items():
            is_success = status < _FIRST_REFUSAL
            bodies[str(status)] = [
                with_envelope(
                    {**schemas.members(member), "title": member.__name__},
                    route,
                    schemas,
                    is_success=is_success,
                )
                for member in _members(shape)
            ]
    for status, reasons in reasons_by_status(route).items():
        schema = refusal_schema(route, reasons, schemas)
        bodies.setdefault(str(status), []).append(
            with_envelope(schema, route, schemas, is_success=False)
        )
    return {
        status: _response(route, status, found)
        for status, found in sorted(bodies.items())
    }


def _members(shape: type[Any] | UnionType) -> tuple[type[Any], ...]:
    return get_args(shape) if isinstance(shape, UnionType) else (shape,)


def _response(route: Route, status: str, found: list[JsonObject]) -> JsonObject:
    is_success = status == _ANY_SUCCESS or int(status) < _FIRST_REFUSAL
    return {
        "description": (
            "Success" if status == _ANY_SUCCESS else HTTPStatus(int(status)).phrase
        ),
        "headers": answer_headers(route, is_success=is_success),
        "content": {
            JSON: {"schema": found[0] if len(found) == 1 else {"anyOf": found}}
        },
    }
