"""What search attributes may be named and hold (``spec/control-plane-api.md §12``).

An attribute need not be defined to be set. One that is defined, or whose type comes
with the value, must be of its type; any other is a scalar. Null removes one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dwserver.engine.context import Limits
from dwserver.engine.model import JsonMap


class AttributeType(StrEnum):
    KEYWORD = "keyword"
    TEXT = "text"
    INT = "int"
    DOUBLE = "double"
    BOOL = "bool"
    DATETIME = "datetime"
    KEYWORD_LIST = "keyword_list"


ORDERED_TYPES = frozenset(
    {AttributeType.INT, AttributeType.DOUBLE, AttributeType.DATETIME}
)
"""Types whose values are less or greater than each other, beyond equal or not."""

SYSTEM_ATTRIBUTES: Mapping[str, AttributeType] = {
    "WorkflowType": AttributeType.KEYWORD,
    "WorkflowId": AttributeType.KEYWORD,
    "RunId": AttributeType.KEYWORD,
    "Status": AttributeType.KEYWORD,
    "StartTime": AttributeType.DATETIME,
    "CloseTime": AttributeType.DATETIME,
    "TaskQueue": AttributeType.KEYWORD,
    "BuildId": AttributeType.KEYWORD,
}

MAX_KEYWORD_BYTES = 255

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_KIND = {
    AttributeType.KEYWORD: f"a string of at most {MAX_KEYWORD_BYTES} bytes",
    AttributeType.TEXT: "a string",
    AttributeType.INT: "an integer",
    AttributeType.DOUBLE: "a number",
    AttributeType.BOOL: "a boolean",
    AttributeType.DATETIME: "an RFC 3339 instant",
    AttributeType.KEYWORD_LIST: "a list of strings",
}


def problem_of(
    attributes: JsonMap, types: Mapping[str, str], limits: Limits
) -> str | None:
    """The first thing that is wrong; ``types`` of the names that have one."""
    for name, value in attributes.items():
        problem = _name_problem(name, limits) or _value_problem(
            name, value, types.get(name), limits
        )
        if problem is not None:
            return problem
    return None


def _name_problem(name: str, limits: Limits) -> str | None:
    bound = limits.search_attribute_key_length
    if 0 < bound < len(name.encode()):
        return f"A search attribute name is longer than {bound} bytes."
    if _NAME.fullmatch(name):
        return None
    return (
        f"Search attribute name [{name}] may hold letters, digits and underscores "
        "only, a letter first."
    )


def _value_problem(
    name: str, value: object, declared: str | None, limits: Limits
) -> str | None:
    bound = limits.search_attribute_value_bytes
    for member in value if isinstance(value, list) else [value]:
        if isinstance(member, str) and 0 < bound < len(member.encode()):
            return f"Search attribute [{name}] is longer than {bound} bytes."
    if value is None:
        return None
    if declared is None:
        if isinstance(value, str | int | float):
            return None
        return f"Search attribute [{name}] must be a string, a number or a boolean."
    if _is_of_type(value, AttributeType(declared)):
        return None
    kind = _KIND[AttributeType(declared)]
    return f"Search attribute [{name}] is of type {declared} and must be {kind}."


def _is_of_type(value: object, declared: AttributeType) -> bool:
    match declared:
        case AttributeType.TEXT:
            return isinstance(value, str)
        case AttributeType.KEYWORD:
            return _is_keyword(value)
        case AttributeType.KEYWORD_LIST:
            return isinstance(value, list) and all(map(_is_keyword, value))
        case AttributeType.BOOL:
            return isinstance(value, bool)
        case AttributeType.INT:
            return isinstance(value, int) and not isinstance(value, bool)
        case AttributeType.DOUBLE:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case AttributeType.DATETIME:
            return isinstance(value, str) and instant_of(value) is not None


def _is_keyword(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= MAX_KEYWORD_BYTES


def instant_of(text: str) -> int | None:
    """An RFC 3339 instant in epoch microseconds, UTC unless it says otherwise; None
    for any other text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MICROSECOND
