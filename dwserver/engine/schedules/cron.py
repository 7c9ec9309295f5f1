"""The cron dialect (``spec/scheduling-and-maintenance.md`` §3.1).

An expression means times of the clock on the wall; ``wall_clock`` knows time zones.

Five fields: minute, hour, day of month, month, weekday. ``*``, lists, ranges, steps;
names of months and weekdays; 0 and 7 are Sunday; ``?`` in the two day fields; ``L``,
``LW`` and ``15W`` as day of month; ``5#3`` and ``5L`` as weekday; macros. When both day
fields are restricted, a day that matches either one counts. No library has all of it
(decision 28): croniter and cronsim lack ``W``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = (
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN"),
    *("JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
)
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAY: Final = timedelta(days=1)
# 29 February is eight years away when a century is no leap year.
_YEARS_AHEAD: Final = 9
# The calendar ends a year later; nothing is reckoned from there.
_LAST_YEAR: Final = 9998


class CronError(ValueError):
    """The text is no expression of the dialect."""


@dataclass(frozen=True, slots=True)
class _Field:
    """Which numbers and names a field takes."""

    first: int
    last: int
    names: tuple[str, ...] = ()
    first_name: int = 0

    def number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.first_name
        if not text.isascii() or not text.isdigit() or len(text) > 2:
            raise CronError(text)
        value = int(text)
        if not self.first <= value <= self.last:
            raise CronError(text)
        return value

    def numbers(self, text: str) -> Iterator[int]:
        """Of one item of a list: ``*``, a number, a range; perhaps with a step."""
        span, slash, step_text = text.partition("/")
        step = _step(step_text) if slash else 1
        if span == "*":
            first, last = self.first, self.last
        elif "-" in span:
            low, _, high = span.partition("-")
            first, last = self._range(self.number(low), self.number(high))
        else:
            first = self.number(span)
            last = self.last if slash else first
        yield from range(first, last + 1, step)

    def _range(self, first: int, last: int) -> tuple[int, int]:
        if self.names and self.first_name == 0:
            # Sunday stands at either end of the week.
            first = 0 if first == 7 else first
            last = 7 if last == 0 and first > 0 else last
        if first > last:
            raise CronError(f"{first}-{last}")
        return first, last


_MINUTE = _Field(0, 59)
_HOUR = _Field(0, 23)
_MONTH_DAY = _Field(1, 31)
_MONTH = _Field(1, 12, _MONTHS, 1)
_WEEKDAY = _Field(0, 7, _WEEKDAYS, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MonthDays:
    """Days of a month: numbers, the last one, the last weekday, the weekday nearest to
    one."""

    numbers: frozenset[int]
    has_last: bool = False
    has_last_weekday: bool = False
    nearest: frozenset[int] = frozenset()

    def has(self, day: date) -> bool:
        if day.day in self.numbers:
            return True
        if not (self.has_last or self.has_last_weekday or self.nearest):
            return False
        length = monthrange(day.year, day.month)[1]
        if self.has_last and day.day == length:
            return True
        if self.has_last_weekday and day == _nearest_weekday(day, length):
            return True
        return any(
            day == _nearest_weekday(day, number)
            for number in self.nearest
            if number <= length
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weekdays:
    """Weekdays (0 is Sunday), also the n-th or the last one of a month."""

    numbers: frozenset[int]
    nth: frozenset[tuple[int, int]] = frozenset()
    last: frozenset[int] = frozenset()

    def has(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.numbers or (weekday, (day.day + 6) // 7) in self.nth:
            return True
        length = monthrange(day.year, day.month)[1]
        return weekday in self.last and day.day + 7 > length


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A parsed expression. ``minutes_of_day`` ascend.

    ``follows_hours``: its hours are ``*`` or ``*/n``: it counts real hours, whatever
    the clocks on the wall do (§3.2).
    """

    minutes_of_day: tuple[int, ...]
    months: frozenset[int]
    month_days: _MonthDays | None
    weekdays: _Weekdays | None
    follows_hours: bool

    def has_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        if self.month_days is None:
            return self.weekdays is None or self.weekdays.has(day)
        if self.weekdays is None:
            return self.month_days.has(day)
        return self.month_days.has(day) or self.weekdays.has(day)

    def days(self, first: date) -> Iterator[date]:
        """Matching days from ``first`` on; they end some years ahead."""
        day, last_year = first, min(first.year + _YEARS_AHEAD, _LAST_YEAR)
        while day.year <= last_year:
            if day.month not in self.months:
                day = _next_month(day)
                continue
            if self.has_day(day):
                yield day
            day += _DAY


@lru_cache(maxsize=4096)
def parse_cron(text: str) -> Cron:
    """The expression; CronError when it is none, or can match no day."""
    expression = MACROS.get(text.strip().lower(), text)
    fields = expression.upper().split()
    if len(fields) != 5:
        raise CronError(text)
    minute, hour, month_day, month, weekday = fields
    minutes, hours = _numbers(_MINUTE, minute), _numbers(_HOUR, hour)
    cron = Cron(
        minutes_of_day=tuple(
            60 * h + m for h in sorted(hours) for m in sorted(minutes)
        ),
        months=_numbers(_MONTH, month),
        month_days=None if month_day in ("*", "?") else _month_days(month_day),
        weekdays=None if weekday in ("*", "?") else _weekdays(weekday),
        follows_hours=hour.startswith("*"),
    )
    if next(cron.days(date(2000, 1, 1)), None) is None:
        raise CronError(text)
    return cron


def _numbers(field: _Field, text: str) -> frozenset[int]:
    return frozenset(n for item in text.split(",") for n in field.numbers(item))


def _month_days(text: str) -> _MonthDays:
    numbers: set[int] = set()
    nearest: set[int] = set()
    items = text.split(",")
    for item in items:
        if item in ("L", "LW"):
            continue
        if item.endswith("W"):
            nearest.add(_MONTH_DAY.number(item[:-1]))
        else:
            numbers.update(_MONTH_DAY.numbers(item))
    return _MonthDays(
        numbers=frozenset(numbers),
        has_last="L" in items,
        has_last_weekday="LW" in items,
        nearest=frozenset(nearest),
    )


def _weekdays(text: str) -> _Weekdays:
    numbers: set[int] = set()
    nth: set[tuple[int, int]] = set()
    last: set[int] = set()
    for item in text.split(","):
        if "#" in item:
            name, _, count = item.partition("#")
            if count not in ("1", "2", "3", "4", "5"):
                raise CronError(item)
            nth.add((_WEEKDAY.number(name) % 7, int(count)))
        elif item.endswith("L") and item != "L":
            last.add(_WEEKDAY.number(item[:-1]) % 7)
        else:
            numbers.update(number % 7 for number in _WEEKDAY.numbers(item))
    return _Weekdays(
        numbers=frozenset(numbers), nth=frozenset(nth), last=frozenset(last)
    )


def _step(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 2 or int(text) == 0:
        raise CronError(text)
    return int(text)


def _nearest_weekday(in_month: date, number: int) -> date:
    """Monday to Friday, as near as can be to that day without leaving the month."""
    day = in_month.replace(day=number)
    length = monthrange(day.year, day.month)[1]
    match day.isoweekday():
        case 6:
            return day - _DAY if number > 1 else day + 2 * _DAY
        case 7:
            return day + _DAY if number < length else day - 2 * _DAY
        case _:
            return day


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
