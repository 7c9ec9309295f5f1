"""A small strict schema: documents hold known keys of the right type, and no others.

A schema is a type, a tuple of types, a list with one schema for every item, a dict of
keys to schemas (``"key!"`` is required), or :class:`MapOf` for free keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MapOf:
    """Any keys, and this for each value."""

    values: Any


@dataclass(frozen=True, slots=True)
class Either:
    """One of several schemas."""

    schemas: tuple[Any, ...]


def problems(schema: Any, found: Any, where: str = "") -> Iterator[str]:
    """What is wrong with a document, with the path of each part."""
    match schema:
        case dict():
            yield from _mapping(schema, found, where)
        case [item]:
            if not isinstance(found, list):
                yield f"{where}: a list is needed, not {found!r}"
                return
            for number, each in enumerate(found):
                yield from problems(item, each, f"{where}[{number}]")
        case MapOf(values):
            if not isinstance(found, dict):
                yield f"{where}: a mapping is needed, not {found!r}"
                return
            for key, value in found.items():
                if not isinstance(key, str):
                    yield f"{where}: {key!r} is no text"
                yield from problems(values, value, f"{where}.{key}")
        case Either(schemas):
            if all(list(problems(each, found)) for each in schemas):
                yield f"{where}: {found!r} fits nothing"
        case _:
            kinds = schema if isinstance(schema, tuple) else (schema,)
            # YAML reads words such as "yes" as booleans: never where a number goes.
            if not isinstance(found, schema) or (
                isinstance(found, bool) and bool not in kinds
            ):
                yield f"{where}: {found!r} is no {schema}"


def _mapping(schema: dict[str, Any], found: Any, where: str) -> Iterator[str]:
    if not isinstance(found, dict):
        yield f"{where}: a mapping is needed, not {found!r}"
        return
    known = {key.removesuffix("!"): value for key, value in schema.items()}
    for key in schema:
        if key.endswith("!") and key[:-1] not in found:
            yield f"{where}: {key[:-1]} is missing"
    for key, value in found.items():
        if key in known:
            yield from problems(known[key], value, f"{where}.{key}")
        else:
            yield f"{where}: {key} is unknown"
