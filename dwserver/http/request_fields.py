"""The fields of a request, checked; what breaks a rule is refused (422)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dwserver.http.errors import invalid_fields
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import Field, check


def checked(source: JsonValue, fields: Sequence[Field]) -> JsonObject:
    """Checked values by field name; raises the refusal 422 with every error."""
    values, errors = check(source, fields)
    if errors:
        raise invalid_fields(errors)
    return values


def words(query: Mapping[str, str]) -> JsonObject:
    """A query string as the source of fields."""
    return dict(query)
