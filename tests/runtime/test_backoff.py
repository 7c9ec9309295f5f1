"""Exponential backoff with jitter."""

from __future__ import annotations

from dwserver.runtime.backoff import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff(initial_seconds=1, maximum_seconds=5, jitter=0)
    assert [backoff.delay_seconds(n) for n in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]


def test_jitter_takes_away_at_most_its_share() -> None:
    longest = Backoff(initial_seconds=8, jitter=0.5, random_fraction=lambda: 0.0)
    shortest = Backoff(initial_seconds=8, jitter=0.5, random_fraction=lambda: 1.0)
    assert longest.delay_seconds(1) == 8
    assert shortest.delay_seconds(1) == 4
