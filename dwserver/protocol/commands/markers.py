"""``record_side_effect``, ``record_version_marker``, ``upsert_search_attributes``
(``spec/worker-protocol.md`` §8.7)."""

from __future__ import annotations

from typing import Final

from dwserver.engine.commands.markers import (
    RecordSideEffect,
    RecordVersionMarker,
    UpsertSearchAttributes,
)
from dwserver.engine.search_attributes import AttributeType
from dwserver.protocol.commands.fields import (
    MAX_COUNT,
    MAX_NAME_LENGTH,
    CommandFields,
    as_whole_number,
    recording_errors,
)
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import must_be
from dwserver.protocol.versions import Feature

TYPES: Final = frozenset(AttributeType)
VERSION_FIELDS: Final = ("version", "min_supported", "max_supported")


def record_side_effect(fields: CommandFields) -> RecordSideEffect:
    """The result is a blob as it is, or an envelope."""
    result = fields.raw.get("result")
    if not isinstance(result, str | dict) or not result:
        fields.report("result", "A side effect needs a result: a blob or an envelope.")
        return RecordSideEffect()
    return RecordSideEffect(result=fields.payload("result"))


def record_version_marker(fields: CommandFields) -> RecordVersionMarker:
    """Errors are collected at the command, as clients of the contract expect."""
    change_id = fields.raw.get("change_id")
    name = change_id.strip() if isinstance(change_id, str) else ""
    if not name:
        fields.report_command("A change_id is required.")
    elif len(name) > MAX_NAME_LENGTH or "\0" in name:
        fields.report_command(f"A change_id has at most {MAX_NAME_LENGTH} characters.")
    numbers = [_version(fields, field) for field in VERSION_FIELDS]
    version, lowest, highest = numbers
    return RecordVersionMarker(
        change_id=name, version=version, min_supported=lowest, max_supported=highest
    )


def _version(fields: CommandFields, name: str) -> int:
    number = as_whole_number(fields.raw.get(name))
    if number is None or abs(number) > MAX_COUNT:
        fields.report_command(f"The {name} must be an integer.")
        return 0
    return number


def upsert_search_attributes(fields: CommandFields) -> UpsertSearchAttributes:
    """What the names and values may be depends on the namespace: the engine looks."""
    raw = fields.raw.get("attributes")
    attributes = _attributes(raw)
    if not attributes:
        fields.report("attributes", "Search attributes are a non-empty object.")
        return UpsertSearchAttributes(attributes={})
    for message in recording_errors(attributes, fields.path_of("attributes")):
        fields.report("attributes", message)
    types = _types(fields)
    if fields.version.supports(Feature.TYPED_SEARCH_ATTRIBUTES):
        for name, value in attributes.items():
            if isinstance(value, list):
                types.setdefault(name, AttributeType.KEYWORD_LIST)
    return UpsertSearchAttributes(attributes=attributes, types=types)


def _attributes(raw: JsonValue) -> JsonObject:
    """A list stands for an object that is keyed by position."""
    if isinstance(raw, list):
        return {str(index): value for index, value in enumerate(raw)}
    return raw if isinstance(raw, dict) else {}


def _types(fields: CommandFields) -> dict[str, str]:
    """Types by name; workers of an older protocol do not send them."""
    raw = fields.raw.get("attribute_types")
    if raw is None or not fields.version.supports(Feature.TYPED_SEARCH_ATTRIBUTES):
        return {}
    if not isinstance(raw, dict):
        path = fields.path_of("attribute_types")
        fields.report("attribute_types", must_be(path, "an object"))
        return {}
    for name, value in raw.items():
        if not isinstance(value, str) or value not in TYPES:
            fields.report("attribute_types", f"Attribute [{name}] is of no known type.")
    return raw
