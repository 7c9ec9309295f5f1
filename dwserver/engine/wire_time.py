"""Instants as the wire writes them (``spec/worker-protocol.md §2``)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

MICROS = 1_000_000


@lru_cache(maxsize=4096)
def _second(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def micro(at: int) -> str:
    """``2026-04-13T12:00:00.000000Z``: the form of nearly every field."""
    seconds, micros = divmod(at, MICROS)
    return f"{_second(seconds)}.{micros:06d}Z"


def micro_or_none(at: int | None) -> str | None:
    return None if at is None else micro(at)


def iso(at: int) -> str:
    """``2026-04-13T12:00:00+00:00``: deadlines and a few view fields."""
    return f"{_second(at // MICROS)}+00:00"


def iso_or_none(at: int | None) -> str | None:
    return None if at is None else iso(at)
