"""Answers held against the description of the API (OpenAPI).

Clients must accept members that the description does not know; here they are errors, so
that it stays complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from dwserver.http.openapi.document import document
from dwserver.http.route import Route, plane_of
from dwserver.http.router import Router
from dwserver.http.routes import api_document
from dwserver.protocol.reasons import Plane

JSON = "application/json"
UNANSWERED_METHODS = frozenset({"HEAD", "OPTIONS"})
OFF_THE_TABLE = frozenset({404, 405})
MAX_PROBLEMS = 5


class ApiDescription:
    """A document, asked about answers. ``has_real_handlers``: else what an undescribed
    route answers when all is well is not looked at."""

    def __init__(
        self, described: Mapping[str, Any], *, has_real_handlers: bool = True
    ) -> None:
        self._has_real_handlers = has_real_handlers
        self._components = closed(described["components"])
        self._router = Router(
            (method.upper(), path, operation)
            for path, item in described["paths"].items()
            for method, operation in item.items()
        )
        self._validators: dict[tuple[str, int], Any] = {}

    def problems(
        self,
        method: str,
        target: str,
        *,
        status: int,
        headers: Mapping[str, str],
        body: object,
    ) -> list[str]:
        """What is undocumented about an answer; ``target`` is the path as it was sent,
        ``headers`` have lower-case names."""
        if method in UNANSWERED_METHODS:
            return []
        path = target.split("?")[0]
        match = self._router.find(path)
        operation = match[0].endpoints.get(method) if match else None
        if operation is None:
            return self._off_the_table(path, status, body)
        where = f"{operation['operationId']} {status}"
        response = _response(operation, status)
        if response is None:
            return [f"{where}: undocumented status: {str(body)[:300]}"]
        is_undescribed = str(status) not in operation["responses"]
        if is_undescribed and not self._has_real_handlers:
            return []
        missing = [
            f"{where}: no header {name}"
            for name, header in response["headers"].items()
            if header.get("required") and name.lower() not in headers
        ]
        validator = self._validator(operation["operationId"], status, response)
        return missing + _errors(where, validator, body)

    def _off_the_table(self, path: str, status: int, body: object) -> list[str]:
        if status not in OFF_THE_TABLE:
            return [f"{path}: {status} on a path or method that is not described"]
        plane = plane_of(path)
        name = "WorkerRefusal" if plane is Plane.WORKER else "ControlRefusal"
        schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
        if name not in self._components["schemas"]:
            return []
        return _errors(path, self._compiled(schema), body)

    def _validator(self, operation: str, status: int, response: Any) -> Any:
        key = (operation, status)
        if key not in self._validators:
            schema = closed(response["content"][JSON]["schema"])
            self._validators[key] = self._compiled(schema)
        return self._validators[key]

    def _compiled(self, schema: Mapping[str, Any]) -> Any:
        whole = {**schema, "components": self._components}
        return jsonschema_rs.Draft202012Validator(whole)


def closed(schema: Any) -> Any:
    """The schema with no members allowed but those it names, where it says nothing
    about others. What is composed of several stays open."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    is_object = schema.get("type") == "object" and "properties" in schema
    if is_object and "allOf" not in schema:
        inner.setdefault("additionalProperties", False)
    return inner


def _response(operation: Mapping[str, Any], status: int) -> Any:
    responses = operation["responses"]
    return responses.get(str(status)) or responses.get(f"{status // 100}XX")


def _errors(where: str, validator: Any, body: object) -> list[str]:
    found = []
    for error in validator.iter_errors(body):
        place = "/".join(map(str, error.instance_path))
        found.append(f"{where}: {place}: {error.message[:500]}")
        if len(found) == MAX_PROBLEMS:
            break
    return found


@cache
def whole_api() -> ApiDescription:
    """The description of a server with all its routes."""
    return ApiDescription(api_document())


def description_of(routes: Iterable[Route]) -> ApiDescription:
    """The description of a table, whose handlers may be made up."""
    return ApiDescription(document(routes), has_real_handlers=False)
