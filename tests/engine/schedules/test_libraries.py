"""The dialect against two independent evaluators, where theirs and ours agree.

They do not: on ``W``, which neither has; on ``?``; on day fields such as ``*/2``, which
they call unrestricted; and at changes of the clocks for expressions of which only one
of minute and hour begins with a star (cronsim) or for all (croniter).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import croniter
import cronsim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwserver.engine.schedules.cron import CronError, parse_cron
from dwserver.engine.schedules.wall_clock import next_cron, zone_of
from dwserver.engine.wire_time import MICROS

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
)
WITHOUT_CHANGES = ("UTC", "Asia/Kathmandu")


@st.composite
def fields(draw: st.DrawFn, first: int, last: int) -> str:
    low = draw(st.integers(first, last))
    # croniter takes 5-5 for the whole range.
    low, high = min(low, last - 1), draw(st.integers(min(low, last - 1) + 1, last))
    step = draw(st.integers(1, last - first))
    shapes = ("*", f"*/{step}", f"{low}", f"{low}-{high}", f"{low}-{high}/{step}")
    return draw(st.sampled_from((*shapes, f"{low},{high}")))


month_days = st.sampled_from(["*", "1", "13", "29", "30", "31", "L", "1,15", "10-20"])
weekdays = st.sampled_from(["*", "0", "7", "1-5", "MON", "SUN", "1#1", "5#4", "6#5"])
expressions = st.tuples(
    fields(0, 59), fields(0, 23), month_days, fields(1, 12), weekdays
)
# The union of special days is not croniter's.
plain_expressions = st.tuples(
    fields(0, 59),
    fields(0, 23),
    st.sampled_from(["*", "1", "13", "29", "31", "1,15", "10-20"]),
    fields(1, 12),
    st.sampled_from(["*", "0", "7", "1-5", "MON", "2,4"]),
)
instants = st.integers(946_684_800, 2_114_380_800).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


def ours(expression: str, zone: str, after: datetime) -> datetime | None:
    instant = round(after.timestamp()) * MICROS
    found = next_cron(parse_cron(expression), zone_of(zone), instant)
    return None if found is None else datetime.fromtimestamp(found // MICROS, UTC)


@given(expressions, st.sampled_from(ZONES), instants)
@settings(max_examples=150, deadline=None)
def test_cronsim(parts: tuple[str, ...], zone: str, after: datetime) -> None:
    minute, hour, *_ = parts
    if minute.startswith("*") != hour.startswith("*") and zone not in WITHOUT_CHANGES:
        zone = "UTC"
    expression = " ".join(parts)
    local = after.astimezone(ZoneInfo(zone))
    try:
        theirs = next(cronsim.CronSim(expression, local), None)
    except cronsim.CronSimError:
        with pytest.raises(CronError):
            parse_cron(expression)
        return
    if theirs is not None and theirs.year > after.year + 8:
        return
    assert ours(expression, zone, after) == (theirs and theirs.astimezone(UTC))


@given(plain_expressions, st.sampled_from(WITHOUT_CHANGES), instants)
@settings(max_examples=150, deadline=None)
def test_croniter(parts: tuple[str, ...], zone: str, after: datetime) -> None:
    expression = " ".join(parts)
    local = after.astimezone(ZoneInfo(zone))
    try:
        theirs = croniter.croniter(
            expression, local, max_years_between_matches=9
        ).get_next(datetime)
    except croniter.CroniterBadDateError:
        return
    assert ours(expression, zone, after) == theirs.astimezone(UTC)


@given(expressions, st.sampled_from(ZONES), instants)
@settings(deadline=None)
def test_occurrences_ascend_and_none_is_between(
    parts: tuple[str, ...], zone: str, after: datetime
) -> None:
    """Whatever instant before an occurrence is asked from, it is the next one."""
    try:
        first = ours(" ".join(parts), zone, after)
    except CronError:
        return
    if first is None:
        return
    assert first > after
    for earlier in (first - timedelta(seconds=1), after + (first - after) / 2):
        whole = earlier.replace(microsecond=0)
        if whole >= after:
            assert ours(" ".join(parts), zone, whole) == first
