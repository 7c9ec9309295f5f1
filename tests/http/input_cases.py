"""Wrong values for the fields of a request, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

# What stands for an absent field.
ABSENT = object()

NO_TEXT = (7, True, ["text"], {"text": 1})
NO_INTEGER = ("many", "1.5", 1.5, True, [], {"one": 1})
NO_NUMBER = ("many", [1], {"one": 1})
NO_BOOLEAN = ("maybe", 7, ["true"], {"true": 1})
NO_LIST = ("text", 7, True, {"a": "b"})
NO_OBJECT = ("text", 7, True, ["text"])
NO_ARRAY = ("text", 7, True)
MISSING = (ABSENT, None, "", "  ")
MISSING_ANY = (ABSENT, None)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Values that one field may not have. ``path``: where the error is shown, the
    field itself unless it says otherwise. ``also``: where it may be shown as well."""

    field: str
    values: tuple[object, ...]
    path: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A request with one wrong field."""

    label: str
    body: Body
    path: str
    also: tuple[str, ...]


def text(field: str, *, longest: int | None = None, required: bool = False) -> Wrong:
    values: tuple[object, ...] = NO_TEXT
    if longest is not None:
        values = (*values, "x" * (longest + 1))
    return Wrong(field, (*values, *(MISSING if required else ())))


def word(field: str, *, required: bool = False) -> Wrong:
    """One of a list of words."""
    values = (*NO_TEXT, "unheard-of")
    return Wrong(field, (*values, *(MISSING if required else ())))


def integer(
    field: str,
    *,
    least: int | None = None,
    most: int | None = None,
    required: bool = False,
) -> Wrong:
    values: tuple[object, ...] = NO_INTEGER
    if least is not None:
        values = (*values, least - 1)
    if most is not None:
        values = (*values, most + 1)
    return Wrong(field, (*values, *(MISSING_ANY if required else ())))


def boolean(field: str) -> Wrong:
    return Wrong(field, NO_BOOLEAN)


def cases(body: Body, table: tuple[Wrong, ...]) -> Iterator[Case]:
    """``body`` with each wrong value in turn."""
    for wrong in table:
        for value in wrong.values:
            shown = "absent" if value is ABSENT else repr(value)[:40]
            yield Case(
                f"{wrong.field} = {shown}",
                changed(body, wrong.field, value),
                wrong.path or wrong.field,
                wrong.also,
            )


def changed(body: Mapping[str, Any], field: str, value: object) -> Body:
    """A copy with the value at a dotted path, whose parents are made if need be."""
    copied = deepcopy(dict(body))
    target: Any = copied
    *parents, last = field.split(".")
    for name in parents:
        if isinstance(target, list):
            target = target[int(name)]
        else:
            target = target.setdefault(name, {})
    if isinstance(target, list):
        target[int(last)] = value
    elif value is ABSENT:
        target.pop(last, None)
    else:
        target[last] = value
    return copied
