"""The cron dialect, expression by expression (all in UTC)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dwserver.engine.schedules.cron import CronError, parse_cron
from dwserver.engine.schedules.wall_clock import next_cron, zone_of
from dwserver.engine.wire_time import MICROS


def at(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp()) * MICROS


def fires(expression: str, after: str, count: int) -> list[str]:
    cron, zone, instant = parse_cron(expression), zone_of("UTC"), at(after)
    found = []
    for _ in range(count):
        occurrence = next_cron(cron, zone, instant)
        assert occurrence is not None
        assert occurrence > instant
        instant = occurrence
        wall = datetime.fromtimestamp(instant // MICROS, UTC)
        found.append(wall.strftime("%Y-%m-%d %H:%M"))
    return found


# 2026-04-13 is a Monday.
@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 12 * * *", "2026-04-13T10:00", ["2026-04-13 12:00", "2026-04-14 12:00"]),
        ("0 12 * * *", "2026-04-13T12:00", ["2026-04-14 12:00"]),
        ("0 12 * * *", "2026-04-13T11:59:59", ["2026-04-13 12:00"]),
        ("* * * * *", "2026-04-13T23:59:30", ["2026-04-14 00:00", "2026-04-14 00:01"]),
        ("*/20 * * * *", "2026-04-13T10:05", ["2026-04-13 10:20", "2026-04-13 10:40"]),
        ("5/20 10 * * *", "2026-04-13T09:00", ["2026-04-13 10:05", "2026-04-13 10:25"]),
        ("10-30/10 8 * * *", "2026-04-13T08:10", ["2026-04-13 08:20"]),
        (
            "0 9-11,17 * * *",
            "2026-04-13T10:30",
            ["2026-04-13 11:00", "2026-04-13 17:00"],
        ),
        ("0 0 * * MON-FRI", "2026-04-17T00:00", ["2026-04-20 00:00"]),
        (
            "0 0 * * fri-sun",
            "2026-04-17T00:00",
            ["2026-04-18 00:00", "2026-04-19 00:00"],
        ),
        (
            "0 0 * * sun-tue",
            "2026-04-14T00:00",
            ["2026-04-19 00:00", "2026-04-20 00:00"],
        ),
        ("0 0 * * 0", "2026-04-13T00:00", ["2026-04-19 00:00"]),
        ("0 0 * * 7", "2026-04-13T00:00", ["2026-04-19 00:00"]),
        ("0 0 * * 5-7", "2026-04-18T00:00", ["2026-04-19 00:00", "2026-04-24 00:00"]),
        (
            "0 0 1 JAN,jul *",
            "2026-04-13T00:00",
            ["2026-07-01 00:00", "2027-01-01 00:00"],
        ),
        ("0 0 31 * *", "2026-04-13T00:00", ["2026-05-31 00:00", "2026-07-31 00:00"]),
        ("0 0 29 2 *", "2026-04-13T00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 29 2 ?", "2096-03-01T00:00", ["2104-02-29 00:00"]),
        ("0 0 L * *", "2027-01-31T12:00", ["2027-02-28 00:00", "2027-03-31 00:00"]),
        ("0 0 L 2 *", "2027-03-01T00:00", ["2028-02-29 00:00"]),
        ("0 0 LW * *", "2026-01-01T00:00", ["2026-01-30 00:00", "2026-02-27 00:00"]),
        ("0 0 1,L * *", "2026-04-13T00:00", ["2026-04-30 00:00", "2026-05-01 00:00"]),
        # 15 August 2026 is a Saturday, 15 November a Sunday.
        ("0 0 15W 8 *", "2026-01-01T00:00", ["2026-08-14 00:00"]),
        ("0 0 15W 11 *", "2026-01-01T00:00", ["2026-11-16 00:00"]),
        # 1 August 2026 is a Saturday, 31 May a Sunday: within the month.
        ("0 0 1W 8 *", "2026-01-01T00:00", ["2026-08-03 00:00"]),
        ("0 0 31W 5 *", "2026-01-01T00:00", ["2026-05-29 00:00"]),
        ("0 0 30W 2,3 *", "2026-01-01T00:00", ["2026-03-30 00:00"]),
        ("0 0 ? * 1#3", "2026-04-13T00:00", ["2026-04-20 00:00", "2026-05-18 00:00"]),
        ("0 0 * * MON#5", "2026-04-13T00:00", ["2026-06-29 00:00", "2026-08-31 00:00"]),
        ("0 0 * * 5L", "2026-04-13T00:00", ["2026-04-24 00:00", "2026-05-29 00:00"]),
        ("0 0 * * FRIL", "2026-04-13T00:00", ["2026-04-24 00:00"]),
        # Either one of two restricted day fields.
        ("0 0 15 * MON", "2026-04-13T00:00", ["2026-04-15 00:00", "2026-04-20 00:00"]),
        (
            "0 0 */10 * MON",
            "2026-04-11T00:00",
            ["2026-04-13 00:00", "2026-04-20 00:00", "2026-04-21 00:00"],
        ),
        ("@yearly", "2026-04-13T00:00", ["2027-01-01 00:00"]),
        ("@ANNUALLY", "2026-04-13T00:00", ["2027-01-01 00:00"]),
        ("@monthly", "2026-04-13T00:00", ["2026-05-01 00:00"]),
        ("@weekly", "2026-04-13T00:00", ["2026-04-19 00:00"]),
        ("@daily", "2026-04-13T00:00", ["2026-04-14 00:00"]),
        ("@midnight", "2026-04-13T00:00", ["2026-04-14 00:00"]),
        (" @hourly ", "2026-04-13T00:00", ["2026-04-13 01:00"]),
        ("  0\t0  * * * ", "2026-04-13T00:00", ["2026-04-14 00:00"]),
    ],
)
def test_next(expression: str, after: str, expected: list[str]) -> None:
    assert fires(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "not a cron",
        "* * * *",
        "0 0 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "* * * * 1#6",
        "* * * * 1#0",
        "* * * * L",
        "* * W * *",
        "* * 32W * *",
        "L * * * *",
        "? * * * *",
        "*/0 * * * *",
        "*/ * * * *",
        "*/-1 * * * *",
        "5-1 * * * *",
        "1- * * * *",
        ",1 * * * *",
        "1,,2 * * * *",
        "-1 * * * *",
        "1.5 * * * *",
        "٣ * * * *",
        "* * * FEBR *",
        "* * * * MO",
        "@reboot",
        "@every 5m",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(CronError):
        parse_cron(expression)


def test_the_end_of_the_calendar_is_no_error() -> None:
    cron, zone = parse_cron("0 0 1 1 *"), zone_of("UTC")
    assert next_cron(cron, zone, at("9997-06-01T00:00")) == at("9998-01-01T00:00")
    assert next_cron(cron, zone, at("9998-06-01T00:00")) is None
