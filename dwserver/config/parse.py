"""Reading one value out of the text of a variable."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

import orjson

from dwserver.config.errors import InvalidValueError
from dwserver.config.variable import OnInvalid, ValueType, Variable

_TRUE = frozenset({"1", "true", "on", "yes"})
_FALSE = frozenset({"0", "false", "off", "no"})


def parse_value(variable: Variable, text: str) -> object:
    """Return the typed value of `text`, which is stripped and not empty.

    Raises InvalidValueError when the text is not of the type, pattern or
    choices, or is out of bounds and the variable doesn't clamp.
    """
    match variable.type:
        case ValueType.BOOLEAN:
            return _boolean(variable, text)
        case ValueType.INTEGER | ValueType.NUMBER:
            return _number(variable, text)
        case ValueType.ENUM:
            return _choice(variable, text)
        case ValueType.JSON:
            return _json_object(variable, text)
        case ValueType.CSV:
            return tuple(part for raw in text.split(",") if (part := raw.strip()))
        case ValueType.STRING | ValueType.URL:
            return _text(variable, text)


def _boolean(variable: Variable, text: str) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise InvalidValueError(f"{variable.expectation} (true or false)")


def _number(variable: Variable, text: str) -> float | None:
    value: float
    try:
        value = int(text) if variable.type is ValueType.INTEGER else float(text)
    except ValueError:
        raise InvalidValueError(variable.expectation) from None
    if not math.isfinite(value):
        raise InvalidValueError(variable.expectation)
    clamped = value
    if variable.minimum is not None:
        clamped = max(clamped, variable.minimum)
    if variable.maximum is not None:
        clamped = min(clamped, variable.maximum)
    if clamped != value and variable.on_invalid is not OnInvalid.CLAMP:
        raise InvalidValueError(variable.expectation)
    return None if variable.zero_unsets and clamped == 0 else clamped


def _choice(variable: Variable, text: str) -> str:
    word = text.lower()
    if word not in variable.choices:
        raise InvalidValueError(variable.expectation)
    return word


def _json_object(variable: Variable, text: str) -> Mapping[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidValueError(variable.expectation) from None
    if not isinstance(value, dict):
        raise InvalidValueError(variable.expectation)
    return MappingProxyType(value)


def _text(variable: Variable, text: str) -> str:
    if variable.pattern and not re.fullmatch(variable.pattern, text):
        raise InvalidValueError(variable.expectation)
    return text
