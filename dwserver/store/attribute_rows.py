"""Search attributes as rows that lists can be asked for.

The types of a namespace may change after a run was started; a row therefore says what
its value *is*, and the condition of a list says as what it is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from dwserver.engine.model import Run, RunInput
from dwserver.engine.search_attributes import instant_of

_INT64: Final = range(-(1 << 63), 1 << 63)
# Bounds the entries of the index; longer texts are told apart by their digest.
_LONGEST_TERM: Final = 256


class AttributeKind(StrEnum):
    """What a value is. A list has a row for each member; an empty one has a row too,
    for it fulfils conditions that are negated."""

    STRING = "string"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    MEMBER = "member"
    NO_MEMBER = "no_member"


class AttributeRow(NamedTuple):
    """``term``: text that is equal for equal values. ``whole``: an integer, or the
    instant (epoch microseconds) that a string names. ``number``: any of these and
    real numbers, for the index of what has an order."""

    run_id: str
    name: str
    kind: str
    term: str
    namespace: str
    started_at: int
    whole: int | None
    number: float | None


def attribute_rows(run: Run, given: RunInput) -> list[AttributeRow]:
    """The rows of a run, none of them twice."""
    found = {
        (name, kind, term): AttributeRow(
            run.id, name, kind, term, run.namespace, run.started_at, whole, number
        )
        for name, value in given.search_attributes.items()
        for kind, term, whole, number in _values(value)
    }
    return list(found.values())


def term_of(value: object) -> str:
    """The term of a text, an integer or a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) <= _LONGEST_TERM:
        return text
    digest = sha256(text.encode()).hexdigest()
    return f"{text[: _LONGEST_TERM - len(digest)]}{digest}"


_Value = tuple[AttributeKind, str, int | None, float | None]


def _values(value: object) -> Iterator[_Value]:
    match value:
        case bool():
            yield AttributeKind.BOOLEAN, term_of(value), None, None
        case int() if value in _INT64:
            yield AttributeKind.INTEGER, term_of(value), value, float(value)
        case float():
            yield AttributeKind.REAL, repr(value), None, value
        case str():
            at = instant_of(value)
            number = None if at is None else float(at)
            yield AttributeKind.STRING, term_of(value), at, number
        case list() | tuple() if value:
            for member in value:
                if isinstance(member, str):
                    yield AttributeKind.MEMBER, term_of(member), None, None
        case list() | tuple():
            yield AttributeKind.NO_MEMBER, "", None, None
        case _:
            # Null, and what no rule of search attributes lets in.
            return
