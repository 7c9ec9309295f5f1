"""Changes of the clocks, on both hemispheres (§3.2, decision 28)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dwserver.engine.schedules.cron import parse_cron
from dwserver.engine.schedules.wall_clock import UnknownZone, next_cron, zone_of
from dwserver.engine.wire_time import MICROS

BERLIN, NEW_YORK, SANTIAGO = "Europe/Berlin", "America/New_York", "America/Santiago"
# Half an hour is skipped and repeated there.
LORD_HOWE = "Australia/Lord_Howe"
SYDNEY = "Australia/Sydney"


def fires(expression: str, zone: str, after: str, count: int) -> list[str]:
    """Local times with their offsets; ``after`` is local too."""
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    instant = round(start.timestamp()) * MICROS
    found = []
    for _ in range(count):
        occurrence = next_cron(parse_cron(expression), zone_of(zone), instant)
        assert occurrence is not None
        assert occurrence > instant
        instant = occurrence
        local = datetime.fromtimestamp(instant // MICROS, UTC).astimezone(
            ZoneInfo(zone)
        )
        found.append(local.isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # The skipped hour: at the first instant after it.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            "30 2 * * *",
            NEW_YORK,
            "2026-03-07T12:00",
            ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"],
        ),
        (
            "15 2 * * *",
            SYDNEY,
            "2026-10-03T12:00",
            ["2026-10-04T03:00+11:00", "2026-10-05T02:15+11:00"],
        ),
        (
            "10 2 * * *",
            LORD_HOWE,
            "2026-10-03T12:00",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:10+11:00"],
        ),
        # Midnight itself is skipped.
        (
            "0 0 * * *",
            SANTIAGO,
            "2026-09-05T12:00",
            ["2026-09-06T01:00-03:00", "2026-09-07T00:00-03:00"],
        ),
        # Several skipped times are one fire.
        (
            "*/15 2 * * *",
            BERLIN,
            "2026-03-29T00:00",
            ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"],
        ),
        (
            "30 2,3 * * *",
            BERLIN,
            "2026-03-29T00:00",
            ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"],
        ),
        # The repeated hour: the first time.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "30 1 * * *",
            NEW_YORK,
            "2026-10-31T12:00",
            ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
        ),
        (
            "30 2 * * *",
            SYDNEY,
            "2026-04-04T12:00",
            ["2026-04-05T02:30+11:00", "2026-04-06T02:30+10:00"],
        ),
        (
            "45 1 * * *",
            LORD_HOWE,
            "2026-04-04T12:00",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        # Clocks that are set back over midnight.
        (
            "30 23 * * *",
            SANTIAGO,
            "2026-04-04T12:00",
            ["2026-04-04T23:30-03:00", "2026-04-05T23:30-04:00"],
        ),
        # Expressions that count hours fire in each real one.
        (
            "30 * * * *",
            BERLIN,
            "2026-03-29T00:45",
            ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"],
        ),
        (
            "30 * * * *",
            BERLIN,
            "2026-10-25T01:45",
            [
                "2026-10-25T02:30+02:00",
                "2026-10-25T02:30+01:00",
                "2026-10-25T03:30+01:00",
            ],
        ),
        (
            "0 */1 * * *",
            SYDNEY,
            "2026-04-05T01:30",
            [
                "2026-04-05T02:00+11:00",
                "2026-04-05T02:00+10:00",
                "2026-04-05T03:00+10:00",
            ],
        ),
        (
            "*/20 * * * *",
            LORD_HOWE,
            "2026-04-05T01:30",
            [
                "2026-04-05T01:40+11:00",
                "2026-04-05T01:40+10:30",
                "2026-04-05T02:00+10:30",
            ],
        ),
        # A day that a country left out (Samoa crossed the date line).
        (
            "0 12 30 12 *",
            "Pacific/Apia",
            "2011-06-01T00:00",
            ["2011-12-31T00:00+14:00", "2012-12-30T12:00+14:00"],
        ),
        # The zone decides the day.
        ("0 0 1 * *", "Asia/Kathmandu", "2026-04-13T00:00", ["2026-05-01T00:00+05:45"]),
    ],
)
def test_next(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert fires(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    "name", ["Mars/Base", "", ".", "..", "/etc/passwd", "../etc/passwd", "Europe", "\0"]
)
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(UnknownZone):
        zone_of(name)
