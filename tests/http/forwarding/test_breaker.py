"""When a peer that failed is asked again."""

from __future__ import annotations

from dwserver.http.forwarding.breaker import (
    FAILURES_TO_OPEN,
    MAX_OPEN_SECONDS,
    OPEN_SECONDS,
    Breaker,
    BreakerState,
)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    verdicts = [breaker.failed(at) for _ in range(FAILURES_TO_OPEN)]
    assert verdicts == [False] * (FAILURES_TO_OPEN - 1) + [True]
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = opened()
    assert breaker.state(0.0) is BreakerState.OPEN
    assert not breaker.admits(0.0)
    assert not breaker.admits(OPEN_SECONDS - 0.001)


def test_successes_between_failures_keep_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(FAILURES_TO_OPEN - 1):
            assert not breaker.failed(0.0)
        assert breaker.is_troubled
        breaker.succeeded()
        assert not breaker.is_troubled
    assert breaker.state(0.0) is BreakerState.CLOSED
    assert breaker.admits(0.0)


def test_one_request_tries_after_a_while() -> None:
    breaker = opened()
    assert breaker.state(OPEN_SECONDS) is BreakerState.HALF_OPEN
    assert breaker.admits(OPEN_SECONDS)
    assert not breaker.admits(OPEN_SECONDS)
    assert breaker.state(OPEN_SECONDS) is BreakerState.HALF_OPEN


def test_a_try_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.admits(OPEN_SECONDS)
    breaker.connected()
    assert breaker.state(OPEN_SECONDS) is BreakerState.CLOSED
    assert [breaker.failed(2.0) for _ in range(FAILURES_TO_OPEN)][-1]


def test_a_try_that_fails_doubles_the_time_up_to_a_bound() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(8):
        start = now
        while not breaker.admits(now):
            now += 0.25
        waits.append(now - start)
        assert not breaker.failed(now)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == MAX_OPEN_SECONDS


def test_requests_that_began_before_it_opened_count_once() -> None:
    breaker = opened()
    for _ in range(100):
        assert not breaker.failed(0.5)
    assert breaker.admits(OPEN_SECONDS)


def test_a_try_without_a_verdict_leaves_room_for_another() -> None:
    breaker = opened()
    assert breaker.admits(OPEN_SECONDS)
    breaker.gave_up()
    assert breaker.admits(OPEN_SECONDS)


def test_a_peer_that_fell_silent_is_asked_by_no_request_until_it_answers() -> None:
    breaker = Breaker()
    assert breaker.fell_silent(0.0)
    assert not breaker.fell_silent(1.0)
    later = 10 * MAX_OPEN_SECONDS
    assert breaker.state(later) is BreakerState.OPEN
    assert not breaker.admits(later)
    breaker.connected()
    assert not breaker.failed(later)
    assert not breaker.admits(later)
    assert breaker.is_troubled
    breaker.succeeded()
    assert breaker.admits(later)
    assert breaker.state(later) is BreakerState.CLOSED
