"""The fields of a request, checked; what breaks a rule is refused (422)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dwserver.http.errors import invalid_fields
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import Errors, Field, Kind, bad_format, check

NULL: Final = "\0"


def checked(source: JsonValue, fields: Sequence[Field]) -> JsonObject:
    """Checked values by field name; raises the refusal 422 with every error."""
    values, errors = check_fields(source, fields)
    if errors:
        raise invalid_fields(errors)
    return values


def check_fields(
    source: JsonValue, fields: Sequence[Field]
) -> tuple[JsonObject, Errors]:
    """As :func:`~dwserver.protocol.validation.check`, and no null characters come
    through, which no database column takes: an identifier with one is wrong, in free
    text it is replaced."""
    values, errors = check(source, fields)
    for rule in fields:
        value = values[rule.name]
        if rule.kind is Kind.STRING and value is not None and NULL in value:
            errors.setdefault(rule.name, []).append(bad_format(rule.name))
        elif rule.kind is Kind.TEXT and value is not None and NULL in value:
            values[rule.name] = value.replace(NULL, "\N{REPLACEMENT CHARACTER}")
        elif rule.item is not None and rule.name not in errors:
            for index, item in enumerate(value or ()):
                if type(item) is str and NULL in item:
                    path = f"{rule.name}.{index}"
                    errors.setdefault(path, []).append(bad_format(path))
    return values, errors


def words(query: Mapping[str, str]) -> JsonObject:
    """A query string as the source of fields."""
    return dict(query)
