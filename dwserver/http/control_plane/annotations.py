"""Memo and search attributes that a caller attaches to a run
(``spec/control-plane-api.md`` §5.2, §12.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from dwserver.engine.search_attributes import (
    SYSTEM_ATTRIBUTES,
    AttributeType,
    problem_of,
)
from dwserver.http.call import Call
from dwserver.http.errors import invalid_fields
from dwserver.protocol.commands.fields import recording_errors
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.services.catalog import RequestLimits, Services

MEMO: Final = "memo"
SEARCH_ATTRIBUTES: Final = "search_attributes"


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


async def defined_attributes(
    services: Services, call: Call, values: JsonObject
) -> Mapping[str, str]:
    """Types by name of what the namespace has defined; asked for only when checked
    ``values`` have search attributes."""
    if not values[SEARCH_ATTRIBUTES]:
        return {}
    return await services.search_attributes.known_types(call.namespace)


def checked_search_attributes(
    raw: JsonValue, limits: RequestLimits, defined: Mapping[str, str]
) -> JsonObject:
    """The attributes that have a value; raises the refusal 422 with every problem."""
    if not raw:
        return {}
    problems = list(_attribute_problems(raw, limits, defined))
    if problems:
        raise invalid_fields({SEARCH_ATTRIBUTES: problems})
    return {key: value for key, value in raw.items() if value is not None}


def _attribute_problems(
    raw: JsonValue, limits: RequestLimits, defined: Mapping[str, str]
) -> Iterator[str]:
    if not isinstance(raw, dict):
        yield "Search attributes are an object with non-empty keys."
        return
    unrecordable = recording_errors(raw, SEARCH_ATTRIBUTES)
    if unrecordable:
        yield from unrecordable
        return
    most = limits.attributes.search_attributes
    if 0 < most < len(raw):
        yield f"A run holds at most {most} search attributes."
    # A list needs a type; one that nobody defined is taken for keywords.
    lists = {
        name: AttributeType.KEYWORD_LIST
        for name, value in raw.items()
        if isinstance(value, list)
    }
    types = {**lists, **defined, **SYSTEM_ATTRIBUTES}
    for name, value in raw.items():
        problem = problem_of({name: value}, types, limits.attributes)
        if problem is not None:
            yield problem
    bound = limits.attributes.search_attribute_bytes
    if 0 < bound < len(orjson.dumps(raw)):
        yield f"The search attributes are larger than {bound} bytes together."
