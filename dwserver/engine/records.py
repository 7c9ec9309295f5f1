"""Copying frozen records with changes, on the hot path of every decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

Record = TypeVar("Record")
Setter = Callable[[Any, Any], None]


@cache
def _shape(record_type: Any) -> tuple[Callable[[Any], Any], dict[str, Setter]]:
    names = [field.name for field in fields(record_type)]
    return attrgetter(*names), {name: vars(record_type)[name].__set__ for name in names}


def replace(record: Record, **changes: Any) -> Record:
    """``dataclasses.replace`` for frozen records with slots, in half the time: the
    slots are filled directly, the constructor is not run."""
    record_type: Any = type(record)
    read, setters = _shape(record_type)
    copy: Any = object.__new__(record_type)
    for set_field, value in zip(setters.values(), read(record), strict=True):
        set_field(copy, value)
    for name, value in changes.items():
        setters[name](copy, value)
    result: Record = copy
    return result
