"""Copying frozen records with changes, on the hot path of every decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")
Setter = Callable[[Any, Any], None]


@cache
def _shape(record_type: Any) -> tuple[Callable[[Any, Any], None], dict[str, Setter]]:
    """A function that fills the slots of a new record from an old one, written out
    field by field as ``dataclasses`` writes constructors, and the slots' setters."""
    names = [field.name for field in fields(record_type)]
    setters = {name: vars(record_type)[name].__set__ for name in names}
    lines = [f" set_{name}(new, old.{name})" for name in names]
    scope: dict[str, Any] = {f"set_{name}": setters[name] for name in names}
    exec("\n".join(("def fill(new, old):", *lines)), scope)
    return scope["fill"], setters


def replace(record: Record, **changes: Any) -> Record:
    """``dataclasses.replace`` for frozen records with slots, in a quarter of the time:
    the slots are filled directly, the constructor is not run."""
    record_type: Any = type(record)
    fill, setters = _shape(record_type)
    copy: Any = object.__new__(record_type)
    fill(copy, record)
    for name, value in changes.items():
        setters[name](copy, value)
    result: Record = copy
    return result
