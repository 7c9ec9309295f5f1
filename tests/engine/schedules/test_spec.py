"""Specs: what is wrong with them, when they fire; intervals, jitter."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dwserver.engine.schedules.cron import parse_cron
from dwserver.engine.schedules.intervals import parse_duration
from dwserver.engine.schedules.spec import (
    END_OF_TIME,
    MAX_ENTRIES,
    jitter_of,
    spec_problems,
    timetable_of,
)
from dwserver.engine.schedules.wall_clock import next_cron, zone_of
from dwserver.engine.wire_time import MICROS, iso


def at(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp()) * MICROS


def fires(spec: dict[str, Any], after: str, count: int) -> list[str]:
    timetable, instant, found = timetable_of(spec), at(after), []
    for _ in range(count):
        occurrence = timetable.next_after(instant)
        assert occurrence is not None
        instant = occurrence
        found.append(iso(instant).removesuffix(":00+00:00"))
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30M", 1800),
        ("PT1H", 3600),
        ("P1D", 86_400),
        ("P1W", 604_800),
        ("P1M", 2_592_000),
        ("P1Y", 31_536_000),
        ("P1Y2M3W4DT5H6M7S", 31_536_000 + 5_184_000 + 1_814_400 + 345_600 + 18_367),
        ("PT0S", 0),
        ("PT90M", 5400),
        *(
            (text, None)
            for text in ("", "P", "PT", "P1DT", "5m", "5 minutes", "PT1.5S")
        ),
        *((text, None) for text in ("P-1D", "pt1h", "1H", "PT1H ", "P1H", "PT1D")),
        ("PT٣S", None),
        ("PT1234567890S", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("spec", "after", "expected"),
    [
        (
            {"intervals": [{"every": "PT30M"}]},
            "2026-04-13T10:00",
            ["2026-04-13T10:30", "2026-04-13T11:00"],
        ),
        (
            {"intervals": [{"every": "PT1H", "offset": "PT5M"}]},
            "2026-04-13T10:05",
            ["2026-04-13T11:05", "2026-04-13T12:05"],
        ),
        # Aligned to the epoch, a Thursday; the zone does not matter.
        (
            {"intervals": [{"every": "P1W"}], "timezone": "Europe/Berlin"},
            "2026-04-13T10:00",
            ["2026-04-16T00:00", "2026-04-23T00:00"],
        ),
        (
            {"intervals": [{"every": "PT1H", "offset": "P1D"}]},
            "2026-04-13T10:00",
            ["2026-04-13T11:00"],
        ),
        # The earliest of several; what coincides is one.
        (
            {
                "cron_expressions": ["0 12 * * *", "15 10 * * *"],
                "intervals": [{"every": "PT1H"}, {"every": "PT2H"}],
            },
            "2026-04-13T10:00",
            ["2026-04-13T10:15", "2026-04-13T11:00", "2026-04-13T12:00"],
        ),
        (
            {"cron_expressions": ["0 9 * * *"], "timezone": "Europe/Berlin"},
            "2026-04-13T10:00",
            ["2026-04-14T07:00"],
        ),
    ],
)
def test_next(spec: dict[str, Any], after: str, expected: list[str]) -> None:
    assert fires(spec, after, len(expected)) == expected


def test_an_occurrence_within_the_second_asked_from_is_over() -> None:
    timetable = timetable_of({"intervals": [{"every": "PT1S"}]})
    noon = at("2026-04-13T12:00")
    assert timetable.next_after(noon) == noon + MICROS
    assert timetable.next_after(noon + 1) == noon + MICROS
    assert timetable.next_after(noon - 1) == noon


@pytest.mark.parametrize("fraction", [0, 1, MICROS // 2, MICROS - 1])
def test_the_rest_of_a_second_has_the_same_next_occurrence(fraction: int) -> None:
    expression, zone = "*/7 * * * *", "Europe/Berlin"
    timetable = timetable_of({"cron_expressions": [expression], "timezone": zone})
    cron, berlin = parse_cron(expression), zone_of(zone)
    # Around an occurrence, and while the clocks are set back.
    for when in ("2026-04-13T11:55", "2026-04-13T11:56", "2026-10-25T00:59"):
        for second in (-1, 0, 1):
            instant = at(when) + second * MICROS + fraction
            assert timetable.next_after(instant) == next_cron(cron, berlin, instant)


def test_a_window_has_its_start_and_not_its_end() -> None:
    timetable = timetable_of({"cron_expressions": ["0 * * * *"]})
    start, end = at("2026-04-13T10:00"), at("2026-04-13T12:00")
    hours = [start, start + 3600 * MICROS]
    assert list(timetable.between(start, end)) == hours
    assert list(timetable.between(start + 1, end + 1)) == [*hours[1:], end]
    assert list(timetable.between(end, start)) == []


def test_nothing_fires_at_the_end_of_time() -> None:
    timetable = timetable_of({"intervals": [{"every": "P1Y"}]})
    assert timetable.next_after(END_OF_TIME - MICROS) is None


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, {"spec"}),
        ({"cron_expressions": [], "intervals": []}, {"spec"}),
        ({"timezone": "UTC"}, {"spec"}),
        (
            {"cron_expressions": ["* * * * *", "nope", "0 0 * * * *"]},
            {"spec.cron_expressions.1", "spec.cron_expressions.2"},
        ),
        (
            {"intervals": [{"every": "5m"}, {"every": "PT0S"}, {"every": "P101Y"}]},
            {f"spec.intervals.{n}.every" for n in range(3)},
        ),
        (
            {"intervals": [{"every": "PT1S", "offset": "soon"}]},
            {"spec.intervals.0.offset"},
        ),
        (
            {"cron_expressions": ["* * * * *"], "timezone": "Mars/Base"},
            {"spec.timezone"},
        ),
        (
            {"cron_expressions": ["x"], "timezone": ""},
            {"spec.timezone", "spec.cron_expressions.0"},
        ),
        (
            {"cron_expressions": ["* * * * *"] * (MAX_ENTRIES + 1)},
            {"spec.cron_expressions"},
        ),
        ({"intervals": [{"every": "PT1S"}] * (MAX_ENTRIES + 1)}, {"spec.intervals"}),
        ({"cron_expressions": ["@daily"], "timezone": "Asia/Tokyo"}, set()),
        (
            {"intervals": [{"every": "PT1M", "offset": "PT10S"}], "timezone": None},
            set(),
        ),
    ],
)
def test_problems(spec: dict[str, Any], fields: set[str]) -> None:
    problems = spec_problems(spec)
    assert set(problems) == fields
    assert all(texts and all(texts) for texts in problems.values())


def test_jitter_is_bounded_and_always_the_same() -> None:
    seen = {jitter_of("schedule-1", n * MICROS, 10) for n in range(500)}
    assert seen == {n * MICROS for n in range(11)}
    assert jitter_of("schedule-1", 5, 10) == jitter_of("schedule-1", 5, 10)
    others = [jitter_of(f"schedule-{n}", 5, 3600) for n in range(50)]
    assert len(set(others)) > 40
    assert jitter_of("schedule-1", 5, 0) == 0
