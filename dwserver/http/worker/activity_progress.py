"""What an activity may report with a heartbeat (``spec/engine.md`` §7.5)."""

from __future__ import annotations

import re
from typing import Final

from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import (
    ARRAY,
    NUMBER,
    TEXT,
    Errors,
    Field,
    bad_format,
    must_be,
    too_long,
    too_many,
)

MAX_DETAILS: Final = 20
MAX_DETAIL_LENGTH: Final = 191

PROGRESS_FIELDS: Final = (
    Field("message", TEXT, max_length=280),
    Field("current", NUMBER),
    Field("total", NUMBER),
    Field("unit", TEXT, max_length=64),
    Field("details", ARRAY),
)

_KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


def reported_progress(values: JsonObject) -> JsonObject | None:
    """What checked :data:`PROGRESS_FIELDS` say, without what is blank or absent."""
    progress: JsonObject = {}
    for field in PROGRESS_FIELDS:
        value = values[field.name]
        if isinstance(value, str):
            value = value.strip()
        if value is not None and value != "" and value != {} and value != []:
            progress[field.name] = value
    return progress or None


def details_errors(details: JsonValue) -> Errors:
    """What is wrong with ``details``: named scalars, a bounded number of them."""
    if not details:
        return {}
    if not isinstance(details, dict):
        return {"details": [must_be("details", "an object")]}
    if len(details) > MAX_DETAILS:
        return {"details": [too_many("details", MAX_DETAILS)]}
    errors: Errors = {}
    for key, value in details.items():
        text = _detail_error(key, value)
        if text is not None:
            errors.setdefault("details", []).append(text)
    return errors


def _detail_error(key: str, value: JsonValue) -> str | None:
    if not _KEY.fullmatch(key):
        return bad_format(f"details.{key[:64]}")
    if isinstance(value, list | dict):
        return must_be(f"details.{key}", "a scalar")
    if isinstance(value, str) and len(value) > MAX_DETAIL_LENGTH:
        return too_long(f"details.{key}", MAX_DETAIL_LENGTH)
    return None
