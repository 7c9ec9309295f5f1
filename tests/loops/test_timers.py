"""Timers fire at their instant, in order, once (decision 25)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.words import TimerStatus
from dwserver.loops import timers as timer_module
from dwserver.loops.timers import timer_loop
from dwserver.store.api import StoreUnavailable
from tests.support.builders import NOON, SECOND
from tests.support.small_server import CHARGE, SmallServer, small_server
from tests.support.waiting import eventually


def after(*seconds: int) -> list[StartTimer]:
    return [StartTimer(delay_seconds=each) for each in seconds]


async def with_timers(
    server: SmallServer, *seconds: int, workflow_id: str = "order-1"
) -> str:
    """The id of a run that waits for timers only."""
    run_id = (await server.start(workflow_id)).run.id
    await server.complete(await server.leased(), after(*seconds))
    return run_id


async def fired(server: SmallServer, run_id: str) -> int:
    """How many timers of the run have fired, its newest batch."""
    timers = (await server.state(run_id)).timers.values()
    return sum(timer.status is TimerStatus.FIRED for timer in timers)


@pytest.fixture
async def other(server: SmallServer) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    store, clock = server.faults.real, server.clock
    async with small_server(store, clock=clock, first_id=10**9) as other:
        yield other


async def test_a_timer_fires_at_its_instant_and_not_before(server: SmallServer) -> None:
    run_id = await with_timers(server, 10)
    fire = server.core.timers.fire_due
    server.clock.advance(seconds=10, microseconds=-1)
    await fire()
    assert await fired(server, run_id) == 0
    server.clock.advance(microseconds=1)
    await fire()
    assert await fired(server, run_id) == 1
    task = await server.poll()
    assert task is not None
    assert task.leased.task.resume["workflow_wait_kind"] == "timer"


async def test_the_next_pass_is_due_at_the_next_instant(server: SmallServer) -> None:
    await with_timers(server, 1)
    server.clock.advance(microseconds=400_000)
    assert await server.core.timers.fire_due() == pytest.approx(0.6)
    server.clock.advance(microseconds=600_000)
    await server.core.timers.fire_due()
    assert await server.core.timers.fire_due() <= timer_module.LOOK_EVERY_SECONDS


async def test_timers_of_many_runs_in_order(server: SmallServer) -> None:
    delays = [3, 1, 2]
    runs = [
        await with_timers(server, delay, workflow_id=f"order-{delay}")
        for delay in delays
    ]
    by_delay = dict(zip(delays, runs, strict=True))
    await server.core.timers.fire_due()
    for delay in sorted(delays):
        server.clock.advance(seconds=1)
        await server.core.timers.fire_due()
        found = [await fired(server, by_delay[each]) for each in (1, 2, 3)]
        assert found == [int(each <= delay) for each in (1, 2, 3)]


async def test_a_late_pass_fires_all_that_are_due_once(
    server: SmallServer, other: SmallServer
) -> None:
    run_id = await with_timers(server, 1, 2, 3)
    server.clock.advance(seconds=60)
    await asyncio.gather(server.core.timers.fire_due(), other.core.timers.fire_due())
    assert await fired(server, run_id) == 3
    events = await server.event_types(run_id)
    assert events.count("TimerFired") == 3


async def test_one_look_plans_the_timers_of_the_next_moments(
    server: SmallServer,
) -> None:
    run_id = await with_timers(server, 1)
    server.clock.advance(microseconds=100_000)
    await server.core.timers.fire_due()
    looks = server.faults.calls["due_timers"]
    server.clock.advance(microseconds=899_999)
    await server.core.timers.fire_due()
    server.clock.advance(microseconds=1)
    await server.core.timers.fire_due()
    assert await fired(server, run_id) == 1
    assert server.faults.calls["due_timers"] == looks


async def test_a_new_timer_for_the_same_moments_joins_and_wakes(
    server: SmallServer,
) -> None:
    timers = server.core.timers
    await timers.fire_due()
    assert not timers.wake.is_set()
    run_id = await with_timers(server, 1)
    assert timers.wake.is_set()
    timers.wake.clear()
    # A later one does not change when the next pass is due.
    await with_timers(server, 1, workflow_id="order-2")
    assert not timers.wake.is_set()
    looks = server.faults.calls["due_timers"]
    assert await timers.fire_due() == pytest.approx(1.0)
    assert server.faults.calls["due_timers"] == looks
    server.clock.advance(seconds=1)
    await timers.fire_due()
    assert await fired(server, run_id) == 1


async def test_a_timer_for_later_is_left_to_a_later_look(server: SmallServer) -> None:
    timers = server.core.timers
    await timers.fire_due()
    run_id = await with_timers(server, 3600)
    assert not timers.wake.is_set()
    server.clock.advance(seconds=3600)
    await timers.fire_due()
    assert await fired(server, run_id) == 1


async def test_timers_of_another_process_are_fired_in_time(
    server: SmallServer, other: SmallServer
) -> None:
    await server.core.timers.fire_due()
    await other.register("worker-2")
    seconds = round(timer_module.LOOK_EVERY_SECONDS)
    run_id = await with_timers(other, seconds)
    server.clock.advance(seconds=seconds)
    await server.core.timers.fire_due()
    assert await fired(server, run_id) == 1


async def test_more_timers_than_a_plan_holds(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer_module, "PLAN_LIMIT", 2)
    run_id = await with_timers(server, 1, 1, 1, 1, 1, 1, 1)
    server.clock.advance(seconds=1)
    passes = 0
    while await server.core.timers.fire_due() == 0.0 and passes < 20:
        passes += 1
    assert await fired(server, run_id) == 7


async def test_more_due_timers_than_a_pass_fires(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer_module, "FIRE_LIMIT", 2)
    run_id = await with_timers(server, 1, 1, 1)
    server.clock.advance(seconds=1)
    assert await server.core.timers.fire_due() == 0.0
    assert await fired(server, run_id) == 2
    await server.core.timers.fire_due()
    assert await fired(server, run_id) == 3


async def test_a_timer_that_could_not_be_fired_is_fired_later(
    server: SmallServer,
) -> None:
    run_id = await with_timers(server, 1)
    server.clock.advance(seconds=1)
    server.faults.fail_next("commit", StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        await server.core.timers.fire_due()
    server.clock.advance(seconds=timer_module.LOOK_EVERY_SECONDS)
    await server.core.timers.fire_due()
    assert await fired(server, run_id) == 1


async def test_a_failing_timer_does_not_hold_up_the_others(
    server: SmallServer,
) -> None:
    runs = [
        await with_timers(server, 1, workflow_id=f"order-{number}")
        for number in range(2)
    ]
    server.clock.advance(seconds=1)
    server.faults.fail_next("commit", StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        await server.core.timers.fire_due()

    async def one_has_fired() -> bool:
        return sum([await fired(server, run_id) for run_id in runs]) == 1

    await eventually(one_has_fired)


async def test_how_late_each_timer_was_is_measured(server: SmallServer) -> None:
    await with_timers(server, 1)
    server.clock.advance(seconds=1, microseconds=250_000)
    await server.core.timers.fire_due()
    text = server.metrics.exposition().decode()
    [line] = [
        line
        for line in text.splitlines()
        if "timer_lag_seconds_sum" in line and not line.startswith("#")
    ]
    assert float(line.split()[-1]) == pytest.approx(0.25)


async def test_the_loop_fires_what_is_due(server: SmallServer) -> None:
    loop = timer_loop(server.core.timers, server.supervisor)
    await loop.start()
    await eventually(lambda: server.faults.calls["due_timers"])
    run_id = await with_timers(server, 1)
    server.clock.advance(seconds=1)
    # The clock of the test jumps; the loop looks again when a timer is committed.
    await with_timers(server, 1, workflow_id="order-2")
    server.clock.advance(seconds=1)

    async def has_fired() -> bool:
        return await fired(server, run_id) == 1

    await eventually(has_fired)
    await loop.drain()


async def test_a_timer_behind_an_open_activity_is_held(server: SmallServer) -> None:
    run_id = (await server.start()).run.id
    await server.complete(await server.leased(), [CHARGE, *after(1)])
    before = await server.event_types(run_id)
    server.clock.advance(seconds=1)
    await server.core.timers.fire_due()
    # Its event waits for the activity before it.
    assert await server.event_types(run_id) == before
    [timer] = (await server.state(run_id)).timers.values()
    assert timer.is_held
    assert timer.fire_at == NOON + SECOND
