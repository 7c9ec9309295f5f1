"""Field checks with the validation texts of the wire, and a small checker.

The texts are part of the contract: clients look for the field keys, test suites
of the reference read some of the sentences (``spec/control-plane-api.md`` §1.6).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from dwserver.protocol.json_types import JsonObject, JsonValue

Errors: TypeAlias = dict[str, list[str]]

NULL: Final = "\0"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule at a dotted path such as ``commands.0.activity_type``."""

    path: str
    message: str


def collect(errors: Iterable[FieldError]) -> Errors:
    """Group errors by path, in order of appearance."""
    grouped: Errors = {}
    for error in errors:
        grouped.setdefault(error.path, []).append(error.message)
    return grouped


def validation_message(errors: Errors) -> str:
    """First text, and how many more there are."""
    texts = [text for messages in errors.values() for text in messages]
    match len(texts) - 1:
        case -1:
            return ""
        case 0:
            return texts[0]
        case more:
            plural = "" if more == 1 else "s"
            return f"{texts[0]} (and {more} more error{plural})"


def attribute_name(path: str) -> str:
    """How a sentence names a field: words apart, unless it sits in a list."""
    # The reference shows the paths of list members as they are.
    if any(segment.isdigit() for segment in path.split(".")):
        return path
    return path.replace("_", " ")


def required(path: str) -> str:
    return f"The {attribute_name(path)} field is required."


def required_with(path: str, other: str) -> str:
    return (
        f"The {attribute_name(path)} field is required when "
        f"{attribute_name(other)} is present."
    )


def must_be_present(path: str) -> str:
    return f"The {attribute_name(path)} field must be present."


def must_be(path: str, kind: str) -> str:
    """``kind`` is a noun with its article, e.g. ``a string``."""
    return f"The {attribute_name(path)} field must be {kind}."


def at_least(path: str, minimum: int) -> str:
    return f"The {attribute_name(path)} field must be at least {minimum}."


def not_greater(path: str, maximum: int) -> str:
    return f"The {attribute_name(path)} field must not be greater than {maximum}."


def too_long(path: str, maximum: int) -> str:
    return (
        f"The {attribute_name(path)} field must not be greater than "
        f"{maximum} characters."
    )


def too_many(path: str, maximum: int) -> str:
    return f"The {attribute_name(path)} field must not have more than {maximum} items."


def bad_format(path: str) -> str:
    return f"The {attribute_name(path)} field format is invalid."


def not_allowed(path: str) -> str:
    return f"The selected {attribute_name(path)} is invalid."


def first_text(*values: JsonValue) -> str | None:
    """The first of them that is a string and not blank."""
    texts = (value for value in values if isinstance(value, str))
    return next((text for text in texts if text.strip()), None)


class Kind(Enum):
    """What a field holds; the value is how a type error names it.

    ``STRING`` is an identifier: trimmed, and absent when nothing is left.
    ``TEXT`` is kept as sent, but blank text does not satisfy ``required``.
    ``INTEGER`` also takes decimal strings and integral floats; ``BOOLEAN`` takes
    true, false, 1, 0 and these words (decision 4). ``ARRAY`` is a list or an
    object, ``LIST`` a list, ``OBJECT`` an object or an empty list.
    """

    STRING = ("a string", 1)
    TEXT = ("a string", 2)
    INTEGER = ("an integer", 3)
    NUMBER = ("a number", 4)
    BOOLEAN = ("true or false", 5)
    ARRAY = ("an array", 6)
    LIST = ("an array", 7)
    OBJECT = ("an array", 8)
    ANY = ("anything", 9)

    @property
    def noun(self) -> str:
        return self.value[0]


STRING: Final = Kind.STRING
TEXT: Final = Kind.TEXT
INTEGER: Final = Kind.INTEGER
NUMBER: Final = Kind.NUMBER
BOOLEAN: Final = Kind.BOOLEAN
ARRAY: Final = Kind.ARRAY
LIST: Final = Kind.LIST
OBJECT: Final = Kind.OBJECT
ANY: Final = Kind.ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Rules for each member of a ``LIST`` field."""

    kind: Kind = Kind.STRING
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: re.Pattern[str] | None = None
    choices: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """Rules for one field of a request.

    ``name`` is a dotted path into nested objects. ``None`` counts as absent; an
    absent field takes ``default``. ``must_appear`` demands the key even where
    null is fine. Lengths are in characters, bounds are inclusive.
    """

    name: str
    kind: Kind = Kind.STRING
    required: bool = False
    default: JsonValue = None
    must_appear: bool = False
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: re.Pattern[str] | None = None
    choices: frozenset[str] | None = None
    max_items: int | None = None
    item: Item | None = None
    path: tuple[str, ...] = field(init=False, repr=False, compare=False)
    is_nested: bool = field(init=False, repr=False, compare=False)
    is_demanded: bool = field(init=False, repr=False, compare=False)
    # The length of an identifier that no other rule concerns; -1 for other fields.
    plain_length: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        path = tuple(self.name.split("."))
        rules = (self.minimum, self.maximum, self.pattern, self.choices)
        is_plain = self.kind is Kind.STRING and all(rule is None for rule in rules)
        longest = sys.maxsize if self.max_length is None else self.max_length
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "is_nested", len(path) > 1)
        object.__setattr__(self, "is_demanded", self.required or self.must_appear)
        object.__setattr__(self, "plain_length", longest if is_plain else -1)


def check(body: JsonValue, fields: Sequence[Field]) -> tuple[JsonObject, Errors]:
    """Checked, converted values by field name, and the errors by path.

    Every field has an entry in the values, absent ones their default; values of
    fields with errors mean nothing. A body that is no object counts as empty
    (``spec/control-plane-api.md`` §1.3). Unknown keys are ignored. No null character
    comes through, which no database column takes: an identifier with one is wrong, in
    free text it is replaced.
    """
    values: JsonObject = {}
    errors: Errors = {}
    root = body if isinstance(body, dict) else {}
    for rule in fields:
        name = rule.name
        raw = _lookup(root, rule.path) if rule.is_nested else root.get(name)
        # Absent options and identifiers of plain shape are nearly all fields of the
        # hot requests.
        if raw is None and not rule.is_demanded:
            values[name] = rule.default
            continue
        if type(raw) is str and rule.plain_length >= 0 and NULL not in raw:
            text = raw.strip()
            if 0 < len(text) <= rule.plain_length:
                values[name] = text
                continue
        values[name] = _check_field(rule, raw, root, errors)
    return values, errors


def _lookup(root: JsonObject, path: tuple[str, ...]) -> JsonValue:
    value: JsonValue = root
    for segment in path:
        if not isinstance(value, dict):
            return None
        value = value.get(segment)
    return value


def _has_key(root: JsonObject, path: tuple[str, ...]) -> bool:
    parent = _lookup(root, path[:-1])
    return isinstance(parent, dict) and path[-1] in parent


def _check_field(
    rule: Field, raw: JsonValue, root: JsonObject, errors: Errors
) -> JsonValue:
    if _is_absent(rule, raw):
        if rule.required:
            errors[rule.name] = [required(rule.name)]
        elif rule.must_appear and not _has_key(root, rule.path):
            errors[rule.name] = [must_be_present(rule.name)]
        return rule.default
    found: list[FieldError] = []
    value = _check_value(rule.name, rule, raw, found)
    if not found and isinstance(value, list | dict):
        if rule.max_items is not None and len(value) > rule.max_items:
            found.append(FieldError(rule.name, too_many(rule.name, rule.max_items)))
        elif rule.item is not None and isinstance(value, list):
            value = _check_items(rule.name, rule.item, value, found)
    for error in found:
        errors.setdefault(error.path, []).append(error.message)
    return value


def _is_absent(rule: Field, raw: JsonValue) -> bool:
    if raw is None:
        return True
    if isinstance(raw, str):
        # Blank text is a value unless the field insists on one.
        return not raw.strip() and (rule.kind is not TEXT or rule.required)
    # An empty list or object does not answer a demand for content.
    return rule.required and isinstance(raw, list | dict) and not raw


def _check_items(
    path: str, item: Item, raw: list[JsonValue], found: list[FieldError]
) -> list[JsonValue]:
    return [
        _check_value(f"{path}.{index}", item, member, found)
        for index, member in enumerate(raw)
    ]


def _check_value(
    path: str, rule: Field | Item, raw: JsonValue, found: list[FieldError]
) -> JsonValue:
    value = convert(rule.kind, raw)
    if value is None:
        found.append(FieldError(path, must_be(path, rule.kind.noun)))
        return None
    message = _broken_rule(path, rule, value)
    if message is not None:
        found.append(FieldError(path, message))
    return value


def _broken_rule(path: str, rule: Field | Item, value: JsonValue) -> str | None:
    if isinstance(value, str):
        if rule.max_length is not None and len(value) > rule.max_length:
            return too_long(path, rule.max_length)
        if rule.pattern is not None and rule.pattern.fullmatch(value) is None:
            return bad_format(path)
        if rule.choices is not None and value not in rule.choices:
            return not_allowed(path)
        if rule.kind is STRING and NULL in value:
            return bad_format(path)
    elif isinstance(value, int | float):
        if rule.minimum is not None and value < rule.minimum:
            return at_least(path, rule.minimum)
        if rule.maximum is not None and value > rule.maximum:
            return not_greater(path, rule.maximum)
    return None


def storable(text: str) -> str:
    """Free text without null characters, which no database column takes."""
    return text.replace(NULL, "\N{REPLACEMENT CHARACTER}") if NULL in text else text


_DECIMAL: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_BOOLEAN_WORDS: Final = {"1": True, "true": True, "0": False, "false": False}


def convert(kind: Kind, raw: JsonValue) -> JsonValue:
    """``raw`` as a value of ``kind``; ``None`` when it is none."""
    match kind:
        case Kind.STRING:
            return raw.strip() if isinstance(raw, str) else None
        case Kind.TEXT:
            return storable(raw) if isinstance(raw, str) else None
        case Kind.INTEGER:
            return as_integer(raw)
        case Kind.NUMBER:
            return _as_number(raw)
        case Kind.BOOLEAN:
            return as_boolean(raw)
        case Kind.ARRAY:
            return raw if isinstance(raw, list | dict) else None
        case Kind.LIST:
            return raw if isinstance(raw, list) else None
        case Kind.OBJECT:
            return raw if isinstance(raw, dict) else {} if raw == [] else None
        case Kind.ANY:
            return raw


_INT64: Final = range(-(1 << 63), 1 << 63)


def as_integer(raw: JsonValue) -> int | None:
    """An integer, an integral float or a decimal string; never a boolean.

    ``None`` also for what does not fit 64 bits: no column could hold it.
    """
    match raw:
        case bool():
            return None
        case int():
            number = raw
        case float() if raw.is_integer():
            number = int(raw)
        case str() if _DECIMAL.fullmatch(raw.strip()):
            number = int(raw)
        case _:
            return None
    return number if number in _INT64 else None


def as_boolean(raw: JsonValue) -> bool | None:
    """True, false, 1, 0, or one of these as a word."""
    if isinstance(raw, str):
        return _BOOLEAN_WORDS.get(raw.strip().lower())
    if isinstance(raw, bool | int) and raw in (0, 1):
        return bool(raw)
    return None


def _as_number(raw: JsonValue) -> int | float | None:
    if isinstance(raw, float):
        return raw
    if isinstance(raw, str):
        try:
            number = float(raw)
        except ValueError:
            return None
        # float() also reads the words for infinity and not-a-number.
        if not math.isfinite(number):
            return None
        return as_integer(raw) if _DECIMAL.fullmatch(raw.strip()) else number
    return as_integer(raw)
