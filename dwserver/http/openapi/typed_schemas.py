"""From type annotations to JSON schemas."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from dwserver.http.route_shape import Rules
from dwserver.protocol.json_types import JsonObject

REFERENCE: Final = "#/components/schemas/"

_SCALARS: Final[Mapping[object, str]] = types.MappingProxyType(
    {
        str: "string",
        int: "integer",
        float: "number",
        bool: "boolean",
        types.NoneType: "null",
    }
)


class Schemas:
    """Schemas of typed dictionaries, collected under their class names."""

    def __init__(self) -> None:
        self.by_name: JsonObject = {}
        self._classes: dict[str, type[Any]] = {}

    def add(self, name: str, schema: JsonObject) -> JsonObject:
        """A reference to ``schema``, which is kept as ``name``. ValueError when the
        name means something else already."""
        if self.by_name.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are called {name}")
        return {"$ref": f"{REFERENCE}{name}"}

    def members(self, shape: type[Any]) -> JsonObject:
        """The object schema of a ``TypedDict``, its own members only by reference."""
        hints = get_type_hints(shape, include_extras=True)
        schema: JsonObject = {
            "type": "object",
            "properties": {
                name: self.of(_unwrapped(hint)) for name, hint in hints.items()
            },
            "required": [
                name
                for name, hint in hints.items()
                if name in shape.__required_keys__ and not _is_optional(hint)
            ],
        }
        text = shape.__dict__.get("__doc__")
        if text:
            schema["description"] = inspect.cleandoc(text)
        return schema

    def of(self, hint: Any) -> JsonObject:
        """The schema of values that an annotation allows. TypeError for one that has
        no equivalent."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is Any:
            return {}
        if origin is None and hint in _SCALARS:
            return {"type": _SCALARS[hint]}
        if origin is Annotated:
            return {**self.of(arguments[0]), **_told(arguments[1])}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return _any_of([self.of(argument) for argument in arguments])
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            values = self.of(arguments[1])
            # An explicit True marks that any member may be there.
            return {"type": "object", "additionalProperties": values or True}
        if is_typeddict(hint):
            return self._reference(hint)
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return {"enum": [word.value for word in hint]}
        raise TypeError(f"{hint!r} has no JSON schema")

    def _reference(self, shape: type[Any]) -> JsonObject:
        name = shape.__name__
        if self._classes.setdefault(name, shape) is not shape:
            raise ValueError(f"two shapes are called {name}")
        if name not in self.by_name:
            self.by_name[name] = {}
            self.by_name[name] = self.members(shape)
        return {"$ref": f"{REFERENCE}{name}"}


def _told(rules: Rules) -> JsonObject:
    return {key: value for key, value in asdict(rules).items() if value is not None}


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) is NotRequired


def _unwrapped(hint: Any) -> Any:
    return get_args(hint)[0] if _is_optional(hint) else hint


def _any_of(schemas: list[JsonObject]) -> JsonObject:
    """One of several; scalars without further rules share one list of types."""
    if {} in schemas:
        return {}
    if all(set(schema) == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}
