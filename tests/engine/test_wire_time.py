"""Instants on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwserver.engine.wire_time import iso, iso_or_none, micro, micro_or_none

LATEST = 253_402_300_799_999_999  # the end of the year 9999

TABLE = [
    (0, "1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00+00:00"),
    (1, "1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00+00:00"),
    (999_999, "1970-01-01T00:00:00.999999Z", "1970-01-01T00:00:00+00:00"),
    (
        1_776_081_600_000_000,
        "2026-04-13T12:00:00.000000Z",
        "2026-04-13T12:00:00+00:00",
    ),
    (
        1_709_251_199_123_456,
        "2024-02-29T23:59:59.123456Z",
        "2024-02-29T23:59:59+00:00",
    ),
    (LATEST, "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59+00:00"),
]


@pytest.mark.parametrize(("instant", "with_micros", "with_offset"), TABLE)
def test_both_forms(instant: int, with_micros: str, with_offset: str) -> None:
    assert micro(instant) == with_micros
    assert iso(instant) == with_offset
    assert micro_or_none(instant) == with_micros
    assert iso_or_none(instant) == with_offset


def test_nothing_stays_nothing() -> None:
    assert micro_or_none(None) is None
    assert iso_or_none(None) is None


@given(st.integers(0, LATEST))
def test_no_microsecond_is_lost(instant: int) -> None:
    read = datetime.fromisoformat(micro(instant)) - datetime(1970, 1, 1, tzinfo=UTC)
    assert read // timedelta(microseconds=1) == instant
