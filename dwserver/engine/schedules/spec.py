"""When a schedule fires: the merged occurrences of its cron expressions and intervals.

Backfill and the tick ask the same function, so that they agree (§3.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from dwserver.engine.schedules.cron import Cron, CronError, parse_cron
from dwserver.engine.schedules.intervals import next_interval, parse_duration
from dwserver.engine.schedules.wall_clock import UnknownZone, next_cron, zone_of
from dwserver.engine.wire_time import MICROS

DEFAULT_ZONE: Final = "UTC"
# Each is evaluated at every fire.
MAX_ENTRIES: Final = 100
# A century; later instants would leave the calendar of the wire.
MAX_INTERVAL_SECONDS: Final = 3_155_760_000

# 9999-01-01: where the calendar of the wire is about to end.
END_OF_TIME: Final = 253_370_764_800 * MICROS

Problems = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Interval:
    every: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """A parsed spec. All schedules of the same spec share one."""

    crons: tuple[Cron, ...]
    zone: ZoneInfo
    intervals: tuple[Interval, ...]

    def next_after(self, at: int) -> int | None:
        """The first occurrence strictly after an instant (epoch microseconds) before
        ``END_OF_TIME``."""
        return _remembered_next(self, at // MICROS)

    def between(self, start: int, end: int) -> Iterator[int]:
        """Occurrences with ``start <= t < end``, ascending."""
        at = _find_next(self, (start - 1) // MICROS)
        while at is not None and at < end:
            yield at
            at = _find_next(self, at // MICROS)


def _find_next(timetable: Timetable, second: int) -> int | None:
    """The first occurrence after a second; occurrences are whole seconds."""
    after = second * MICROS
    found = [next_interval(i.every, i.offset, after) for i in timetable.intervals]
    for cron in timetable.crons:
        occurrence = next_cron(cron, timetable.zone, after)
        if occurrence is not None:
            found.append(occurrence)
    return min((at for at in found if at < END_OF_TIME), default=None)


# Schedules of one spec are due, and planned again, at the same time.
_remembered_next = lru_cache(maxsize=4096)(_find_next)


def timetable_of(spec: Mapping[str, Any]) -> Timetable:
    """The timetable of a spec that :func:`spec_problems` has nothing against."""
    intervals = tuple(
        (each["every"], each.get("offset")) for each in spec.get("intervals") or ()
    )
    return _timetable(
        tuple(spec.get("cron_expressions") or ()),
        spec.get("timezone") or DEFAULT_ZONE,
        intervals,
    )


@lru_cache(maxsize=4096)
def _timetable(
    expressions: tuple[str, ...],
    zone: str,
    intervals: tuple[tuple[str, str | None], ...],
) -> Timetable:
    return Timetable(
        tuple(map(parse_cron, expressions)),
        zone_of(zone),
        tuple(
            Interval(parse_duration(every) or 1, parse_duration(offset or "PT0S") or 0)
            for every, offset in intervals
        ),
    )


def spec_problems(spec: Mapping[str, Any]) -> Problems:
    """What is wrong with the values of a spec of the right shape, by field."""
    problems: Problems = {}
    expressions = spec.get("cron_expressions") or ()
    intervals = spec.get("intervals") or ()
    if not expressions and not intervals:
        problems["spec"] = [
            "A schedule needs a cron expression or an interval to fire by."
        ]
    for name, entries in (("cron_expressions", expressions), ("intervals", intervals)):
        if len(entries) > MAX_ENTRIES:
            problems[f"spec.{name}"] = [f"At most {MAX_ENTRIES} are taken."]
            return problems
    for index, expression in enumerate(expressions):
        if not _is_cron(expression):
            problems[f"spec.cron_expressions.{index}"] = [
                f"[{expression}] is not a cron expression."
            ]
    for index, interval in enumerate(intervals):
        problems.update(_interval_problems(f"spec.intervals.{index}", interval))
    zone = spec.get("timezone")
    if zone is not None and not _is_zone(zone):
        problems["spec.timezone"] = [f"[{zone}] is not a time zone."]
    return problems


def _is_cron(expression: str) -> bool:
    try:
        parse_cron(expression)
    except CronError:
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        zone_of(name)
    except UnknownZone:
        return False
    return True


def _interval_problems(field: str, interval: dict[str, Any]) -> Problems:
    problems: Problems = {}
    every = parse_duration(interval["every"])
    if every is None or not 0 < every <= MAX_INTERVAL_SECONDS:
        problems[f"{field}.every"] = [
            f"[{interval['every']}] is not an ISO 8601 duration of a second or more."
        ]
    offset = interval.get("offset")
    if offset is not None and (
        (seconds := parse_duration(offset)) is None or seconds > MAX_INTERVAL_SECONDS
    ):
        problems[f"{field}.offset"] = [f"[{offset}] is not an ISO 8601 duration."]
    return problems


def jitter_of(schedule_id: str, occurrence: int, jitter_seconds: int) -> int:
    """Microseconds that an occurrence of a schedule (its own id) is put off: between 0
    and ``jitter_seconds``, always the same for the same occurrence."""
    if jitter_seconds == 0:
        return 0
    digest = hashlib.sha256(f"{schedule_id}:{occurrence}".encode()).digest()
    return int.from_bytes(digest[:8]) % (jitter_seconds + 1) * MICROS
