"""The process clock: microseconds, never backwards."""

from __future__ import annotations

import time

import pytest

from dwserver.runtime.clock import ManualClock, SystemClock


class MachineTime:
    """Wall and monotonic clocks of a machine, in nanoseconds, set by hand."""

    def __init__(self) -> None:
        self.wall = 1_000_000_000_000
        self.monotonic = 5_000_000_000

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.monotonic)

    def pass_seconds(self, seconds: int) -> None:
        self.wall += seconds * 1_000_000_000
        self.monotonic += seconds * 1_000_000_000


def test_system_clock_returns_epoch_microseconds() -> None:
    before = time.time_ns() // 1000
    now = SystemClock().now()
    assert before <= now <= time.time_ns() // 1000


def test_system_clock_follows_a_machine_clock_that_goes_forward() -> None:
    machine = MachineTime()
    clock = machine.clock()
    machine.pass_seconds(7)
    assert clock.now() == 1_007_000_000


def test_system_clock_goes_on_at_half_speed_after_the_machine_clock_was_set_back() -> (
    None
):
    machine = MachineTime()
    clock = machine.clock()
    first = clock.now()
    machine.wall -= 60_000_000_000
    assert clock.now() == first
    machine.pass_seconds(10)
    assert clock.now() == first + 5_000_000


def test_system_clock_meets_the_machine_clock_again() -> None:
    machine = MachineTime()
    clock = machine.clock()
    machine.wall -= 20_000_000_000
    seen = [clock.now()]
    for _ in range(60):
        machine.pass_seconds(1)
        seen.append(clock.now())
    assert seen == sorted(seen)
    assert seen[-1] == machine.wall // 1000


def test_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(100)
    assert (clock.now(), clock.now()) == (100, 100)
    assert clock.advance(seconds=1.5, microseconds=2) == 1_500_102
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(seconds=-1)
