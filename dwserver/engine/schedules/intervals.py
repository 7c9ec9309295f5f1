"""Intervals: multiples of a duration since the epoch (§3.1)."""

from __future__ import annotations

import re
from typing import Final

from dwserver.engine.wire_time import MICROS

_DAY: Final = 86_400
# Fixed factors: a month has 30 days, a year 365.
_FACTORS: Final = (365 * _DAY, 30 * _DAY, 7 * _DAY, _DAY, 3600, 60, 1)
_DURATION: Final = re.compile(
    r"P(?=.)(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> int | None:
    """Seconds of an ISO-8601 duration; None when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    return sum(
        int(number) * factor
        for number, factor in zip(match.groups(default="0"), _FACTORS, strict=True)
    )


def next_interval(every: int, offset: int, after: int) -> int:
    """The first ``offset + k · every`` strictly after an instant; all but the instants
    in seconds."""
    seconds = after // MICROS
    return (((seconds - offset) // every + 1) * every + offset) * MICROS
