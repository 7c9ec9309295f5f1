"""Cron in a time zone: from an instant to the next one (§3.2, decision 28).

At a change of the clocks
- a wall time that is skipped fires at the first instant after the gap, once;
- a wall time that comes twice fires the first time only;
- an expression that counts hours (``*``, ``*/n``) fires in every real hour and makes
  nothing up for the one that is skipped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from dwserver.engine.schedules.cron import Cron
from dwserver.engine.wire_time import MICROS

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)
_MIDNIGHT: Final = time()
# Instants are naive datetimes in UTC, so that they can be counted with wall times.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001


class UnknownZone(ValueError):
    """There is no time zone of that name."""


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZone(name) from error


def next_cron(cron: Cron, zone: ZoneInfo, after: int) -> int | None:
    """The first occurrence strictly after an instant, both in epoch microseconds."""
    instant = _EPOCH + timedelta(microseconds=after)
    today = instant.replace(tzinfo=UTC).astimezone(zone).date()
    found: datetime | None = None
    last_day = date.max
    # Clocks that are set back over midnight mix the instants of two days.
    for day in cron.days(today - _DAY):
        if day > last_day:
            break
        at = _first_after(cron, zone, day, instant)
        if at is not None:
            last_day = min(last_day, day + _DAY)
            found = at if found is None else min(found, at)
    return None if found is None else round((found - _EPOCH) / _SECOND) * MICROS


def _first_after(
    cron: Cron, zone: ZoneInfo, day: date, instant: datetime
) -> datetime | None:
    """The first instant of a matching day that is later; naive UTC."""
    midnight = datetime.combine(day, _MIDNIGHT)
    offset = _offset(midnight, zone)
    if _offset(midnight + _DAY, zone) == offset == _offset(midnight - _MINUTE, zone):
        since = (instant - (midnight - offset)) / _MINUTE
        index = bisect_right(cron.minutes_of_day, since)
        if index == len(cron.minutes_of_day):
            return None
        return midnight - offset + cron.minutes_of_day[index] * _MINUTE
    later = (at for at in _instants(cron, zone, midnight) if at > instant)
    return min(later, default=None)


def _instants(cron: Cron, zone: ZoneInfo, midnight: datetime) -> Iterator[datetime]:
    """All instants of a day on which the clocks change."""
    for minute in cron.minutes_of_day:
        wall = midnight + minute * _MINUTE
        before, after = _offset(wall, zone), _offset(wall, zone, fold=1)
        if before >= after:
            yield wall - before
            if before > after and cron.follows_hours:
                yield wall - after
        elif not cron.follows_hours:
            yield _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clocks skip this wall time."""
    before = _offset(wall, zone)
    early, late = wall - _offset(wall, zone, fold=1), wall - before
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle.replace(tzinfo=UTC).astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


def _offset(wall: datetime, zone: ZoneInfo, *, fold: int = 0) -> timedelta:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None
    return offset
