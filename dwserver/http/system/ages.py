"""Since when something is as it is, as a pair of members."""

from __future__ import annotations

from typing import Final

from dwserver.engine.wire_time import micro_or_none
from dwserver.protocol.json_types import JsonObject

MICROS_PER_MILLI: Final = 1000


def age_ms(at: int | None, *, now: int) -> int:
    """Whole milliseconds, 0 for what is not."""
    return 0 if at is None else max(now - at, 0) // MICROS_PER_MILLI


def oldest(since: str, age: str, at: int | None, *, now: int) -> JsonObject:
    """The instant under the name ``since``, what it comes to under ``age``."""
    return {since: micro_or_none(at), age: age_ms(at, now=now)}


def earliest(*instants: int | None) -> int | None:
    return min((at for at in instants if at is not None), default=None)
