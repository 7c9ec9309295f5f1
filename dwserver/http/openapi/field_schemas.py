"""From the field tables of requests to JSON schemas.

A schema tells the canonical form of a value. The server takes some others as well, such
as decimal strings for integers (``dwserver/protocol/validation.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from dwserver.protocol.control_plane import Operation, request_contract
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.validation import Field, Item, Kind

_TYPES: Final[Mapping[Kind, JsonObject]] = MappingProxyType(
    {
        Kind.STRING: {"type": "string"},
        Kind.TEXT: {"type": "string"},
        Kind.INTEGER: {"type": "integer"},
        Kind.NUMBER: {"type": "number"},
        Kind.BOOLEAN: {"type": "boolean"},
        Kind.ARRAY: {"type": ["array", "object"]},
        Kind.LIST: {"type": "array"},
        Kind.OBJECT: {"type": "object"},
        Kind.ANY: {},
    }
)
_NOT_BLANK: Final = r"\S"


def query_parameters(
    fields: Iterable[Field], operation: Operation | None
) -> list[JsonObject]:
    """Parameters of a query string."""
    contract = _contract(operation)
    return [
        {
            "name": field.name,
            "in": "query",
            "required": field.required,
            "schema": _with_contract(_rules(field), contract.get(field.name)),
        }
        for field in fields
    ]


def body_schema(
    fields: Iterable[Field],
    operation: Operation | None,
    details: Mapping[str, JsonObject],
) -> JsonObject:
    """The object that holds the fields; a dotted name is a member of a member.
    ``details`` are schemas of fields that the table leaves open."""
    contract = _contract(operation)
    root: JsonObject = {"type": "object", "properties": {}}
    for field in fields:
        parent = root
        for name in field.path[:-1]:
            parent = parent["properties"][name]
        schema = details.get(field.name) or _with_contract(
            _nullable(field), contract.get(field.name)
        )
        parent.setdefault("properties", {})[field.path[-1]] = schema
        if field.is_demanded:
            parent.setdefault("required", []).append(field.path[-1])
    for name in _refused(operation):
        root["properties"].setdefault(name, False)
    return root


def _rules(rule: Field | Item) -> JsonObject:
    """What a value must be when it is there."""
    schema = dict(_TYPES[rule.kind])
    if rule.max_length is not None:
        schema["maxLength"] = rule.max_length
    if rule.minimum is not None:
        schema["minimum"] = rule.minimum
    if rule.maximum is not None:
        schema["maximum"] = rule.maximum
    if rule.pattern is not None:
        schema["pattern"] = f"^(?:{rule.pattern.pattern})$"
    if rule.choices is not None:
        schema["enum"] = sorted(rule.choices)
    if isinstance(rule, Field):
        if rule.required and "pattern" not in schema and schema.get("type") == "string":
            schema["pattern"] = _NOT_BLANK
        if rule.max_items is not None:
            schema["maxItems"] = rule.max_items
        if rule.item is not None:
            schema["items"] = _rules(rule.item)
        if rule.default is not None:
            schema["default"] = rule.default
    return schema


def _nullable(field: Field) -> JsonObject:
    """An absent field and null are the same, unless the field is required."""
    schema = _rules(field)
    if field.required or "type" not in schema:
        return schema
    known = schema["type"]
    schema["type"] = [*(known if isinstance(known, list) else [known]), "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _contract(operation: Operation | None) -> JsonObject:
    """What the published request contract says about fields of the operation."""
    operations = request_contract()["operations"]
    found: JsonObject = operations.get(operation, {}).get("fields", {})
    return found


def _refused(operation: Operation | None) -> list[str]:
    """Fields that the operation does not take, though other servers did."""
    contract = request_contract()["operations"].get(operation, {})
    return [
        *contract.get("unsupported_fields", ()),
        *contract.get("removed_fields", ()),
    ]


def _with_contract(schema: JsonObject, told: JsonObject | None) -> JsonObject:
    words = told.get("canonical_values") if told else None
    if not words or "enum" in schema:
        return schema
    is_nullable = "null" in schema.get("type", ())
    return {**schema, "enum": [*words, None] if is_nullable else list(words)}
