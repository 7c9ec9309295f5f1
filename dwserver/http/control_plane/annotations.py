"""Memo and search attributes that a caller attaches to a run
(``spec/control-plane-api.md`` §5.2, §12.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import orjson

from dwserver.http.errors import invalid_fields
from dwserver.protocol.commands.fields import recording_errors
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.services.catalog import RequestLimits

MEMO: Final = "memo"
SEARCH_ATTRIBUTES: Final = "search_attributes"

_ATTRIBUTE_KEY: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")


def checked_memo(raw: JsonValue, limits: RequestLimits) -> JsonObject:
    """The memo as an object; raises the refusal 422 when it is too large.

    A list stands for an object that is keyed by position.
    """
    if not raw:
        return {}
    memo: JsonObject = (
        {str(index): value for index, value in enumerate(raw)}
        if isinstance(raw, list)
        else raw
    )
    problems = recording_errors(memo, MEMO)
    if not problems and len(orjson.dumps(raw)) > limits.memo_bytes:
        problems = [f"The memo is larger than {limits.memo_bytes} bytes."]
    if problems:
        raise invalid_fields({MEMO: problems})
    return memo


def checked_search_attributes(raw: JsonValue, limits: RequestLimits) -> JsonObject:
    """The attributes that have a value; raises the refusal 422 with every problem."""
    if not raw:
        return {}
    problems = list(_attribute_problems(raw, limits))
    if problems:
        raise invalid_fields({SEARCH_ATTRIBUTES: problems})
    return {key: value for key, value in raw.items() if value is not None}


def _attribute_problems(raw: JsonValue, limits: RequestLimits) -> Iterator[str]:
    if not isinstance(raw, dict):
        yield "Search attributes are an object with non-empty keys."
        return
    if len(raw) > limits.search_attributes:
        yield f"A run holds at most {limits.search_attributes} search attributes."
    yield from recording_errors(raw, SEARCH_ATTRIBUTES)
    for key, value in raw.items():
        text = _key_problem(key, limits) or _value_problem(key, value, limits)
        if text is not None:
            yield text


def _key_problem(key: str, limits: RequestLimits) -> str | None:
    if not key:
        return "Search attribute keys must not be empty."
    if len(key.encode()) > limits.search_attribute_key_length:
        return (
            f"Search attribute key [{key}] is longer than "
            f"{limits.search_attribute_key_length} bytes."
        )
    if not _ATTRIBUTE_KEY.fullmatch(key):
        return (
            f"Search attribute key [{key}] may hold letters, digits and underscores "
            "only, a letter first."
        )
    return None


def _value_problem(key: str, value: JsonValue, limits: RequestLimits) -> str | None:
    members = value if isinstance(value, list) else [value]
    for member in members:
        if isinstance(member, list | dict):
            return f"Search attribute [{key}] must be a scalar or a list of scalars."
        if not isinstance(member, str):
            continue
        if len(member.encode()) > limits.search_attribute_value_bytes:
            return (
                f"Search attribute [{key}] is longer than "
                f"{limits.search_attribute_value_bytes} bytes."
            )
    return None
