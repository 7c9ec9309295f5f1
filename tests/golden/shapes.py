"""Where two documents differ: members, types, and values that mean the same anywhere.

Ids and times differ with every run; sentences are not part of the contract. They are
compared by kind. A place is a path such as ``history_events[2].payload.sequence``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}|[0-9A-HJKMNP-TV-Z]{26}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
# What a value of ours and of the recording have in common when they are not equal.
KINDS = (("an id", ULID), ("an instant", INSTANT))
DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")


class Difference(NamedTuple):
    """``what``: missing, extra, status, length, or the two values side by side."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def differences(theirs: Any, ours: Any, place: str = "") -> Iterator[Difference]:
    """``theirs``: recorded; ``ours``: answered now."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        yield from _of_objects(theirs, ours, place)
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield Difference(place, f"length {len(theirs)} there, {len(ours)} here")
        for index, (one, other) in enumerate(zip(theirs, ours, strict=False)):
            yield from differences(one, other, f"{place}[{index}]")
    elif kind_of(theirs) != kind_of(ours):
        yield Difference(place, f"{_shown(theirs)} there, {_shown(ours)} here")


def _of_objects(
    theirs: dict[str, Any], ours: dict[str, Any], place: str
) -> Iterator[Difference]:
    for name in theirs.keys() | ours.keys():
        inner = f"{place}.{name}" if place else name
        if name not in ours:
            yield Difference(inner, "missing")
        elif name not in theirs:
            yield Difference(inner, "extra")
        else:
            yield from differences(theirs[name], ours[name], inner)


def kind_of(value: Any) -> Any:
    """The value itself, or the kind of a value that differs with every run."""
    if not isinstance(value, str):
        return value
    if ULID.fullmatch(value):
        return "<id>"
    if INSTANT.fullmatch(value):
        return "<instant>"
    if DIGEST.fullmatch(value):
        return "<digest>"
    if " " in value:
        return "<sentence>"
    return INSTANT.sub("<instant>", ULID.sub("<id>", value))


def _shown(value: Any) -> str:
    return repr(kind_of(value))[:60]
