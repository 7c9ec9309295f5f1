"""Background loops: when a pass runs, and what a failed one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest

from dwserver.runtime.backoff import Backoff
from dwserver.runtime.service import FailurePolicy, Loop
from dwserver.runtime.supervisor import Supervisor

EXACT = Backoff(initial_seconds=1, maximum_seconds=100, jitter=0)


class Pauses:
    """Stands in for waiting: records the seconds, returns at once."""

    def __init__(self) -> None:
        self.seconds: list[float | None] = []

    async def __call__(self, event: asyncio.Event, seconds: float | None) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class Script:
    """A step that plays outcomes one by one and then says that it is over."""

    def __init__(self, outcomes: Iterable[float | Exception | None]) -> None:
        self._outcomes = list(outcomes)
        self.pass_count = 0
        self.over = asyncio.Event()

    async def __call__(self) -> float | None:
        self.pass_count += 1
        if not self._outcomes:
            self.over.set()
            await asyncio.Event().wait()
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def play(
    outcomes: Iterable[float | Exception | None],
    policy: FailurePolicy,
    *,
    backoff: Backoff | None = EXACT,
) -> list[float | None]:
    """Run a loop with an interval of 10 s through the outcomes; return its pauses."""
    pauses, script, supervisor = Pauses(), Script(outcomes), Supervisor()
    loop = Loop(
        "scripted",
        script,
        supervisor,
        interval_seconds=10,
        on_failure=policy,
        backoff=backoff,
        pause=pauses,
    )
    await loop.start()
    await script.over.wait()
    await loop.stop()
    return pauses.seconds


async def test_loop_rests_for_its_interval_or_less_when_the_step_says_so() -> None:
    assert await play([None, 3, 60, 0], FailurePolicy.LOG) == [10, 3, 10]


async def test_log_policy_goes_on_at_the_interval() -> None:
    pauses = await play([OSError("down"), None], FailurePolicy.LOG)
    assert pauses == [10, 10]


async def test_a_loop_goes_on_soon_after_a_long_outage() -> None:
    outage = [OSError("down")] * 100
    pauses = await play([*outage, None], FailurePolicy.RESTART, backoff=None)
    assert len(pauses) == 101
    assert all(seconds is not None and seconds <= 2 for seconds in pauses[:100])


async def test_restart_policy_backs_off_until_a_pass_succeeds() -> None:
    down = [OSError("down") for _ in range(3)]
    pauses = await play([*down, None, OSError("again")], FailurePolicy.RESTART)
    assert pauses == [1, 2, 4, 10, 1]


async def test_stop_process_policy_ends_the_loop_and_reports_the_error() -> None:
    error, counted = ValueError("broken"), []
    script = Script([None, error])
    supervisor = Supervisor(on_loop_failure=counted.append)
    loop = Loop("fatal", script, supervisor, interval_seconds=10, pause=Pauses())
    await loop.start()
    failure = await supervisor.wait_for_failure()
    assert (failure.name, failure.error) == ("fatal", error)
    await loop.drain()
    assert script.pass_count == 2
    assert counted == ["fatal"]


async def test_every_failed_pass_is_counted_under_the_name_of_the_loop() -> None:
    counted: list[str] = []
    script = Script([OSError(), None, OSError()])
    supervisor = Supervisor(on_loop_failure=counted.append)
    loop = Loop(
        "sweep",
        script,
        supervisor,
        interval_seconds=1,
        on_failure=FailurePolicy.LOG,
        pause=Pauses(),
    )
    await loop.start()
    await script.over.wait()
    await loop.stop()
    assert counted == ["sweep", "sweep"]


class Woken:
    """A step that counts passes and tells who waits for a count."""

    def __init__(self, during: Callable[[], None] | None = None) -> None:
        self.pass_count = 0
        self.changed = asyncio.Condition()
        self._during = during

    async def __call__(self) -> None:
        if self._during is not None and self.pass_count == 0:
            self._during()
        async with self.changed:
            self.pass_count += 1
            self.changed.notify_all()

    async def reach(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.pass_count >= count)


async def test_wake_starts_a_pass_of_a_loop_without_interval() -> None:
    wake, step = asyncio.Event(), Woken()
    loop = Loop("woken", step, Supervisor(), wake=wake)
    await loop.start()
    await step.reach(1)
    wake.set()
    await step.reach(2)
    await loop.drain()
    assert step.pass_count == 2


async def test_wake_during_a_pass_causes_another_one() -> None:
    wake = asyncio.Event()
    step = Woken(during=wake.set)
    loop = Loop("woken", step, Supervisor(), wake=wake)
    await loop.start()
    await step.reach(2)
    await loop.drain()


async def test_drain_lets_the_running_pass_finish_and_ends_the_loop() -> None:
    entered, release, finished = asyncio.Event(), asyncio.Event(), []

    async def step() -> None:
        entered.set()
        await release.wait()
        finished.append(True)

    loop = Loop("slow", step, Supervisor(), interval_seconds=60)
    await loop.start()
    await entered.wait()
    drain = asyncio.ensure_future(loop.drain())
    release.set()
    await drain
    assert finished == [True]


async def test_stop_cancels_the_running_pass() -> None:
    entered, cancelled = asyncio.Event(), []

    async def step() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    loop = Loop("stuck", step, Supervisor(), interval_seconds=60)
    await loop.start()
    await entered.wait()
    await loop.stop()
    await loop.stop()
    assert cancelled == [True]


async def test_drain_ends_a_loop_that_waits_out_a_backoff() -> None:
    failed = asyncio.Event()

    async def step() -> None:
        failed.set()
        raise OSError("down")

    loop = Loop(
        "failing",
        step,
        Supervisor(),
        interval_seconds=60,
        on_failure=FailurePolicy.RESTART,
        backoff=Backoff(initial_seconds=3600, maximum_seconds=3600),
    )
    await loop.start()
    await failed.wait()
    await loop.drain()


async def test_start_is_idempotent_and_a_stopped_loop_stays_stopped() -> None:
    step = Woken()
    loop = Loop("once", step, Supervisor(), interval_seconds=60)
    await loop.start()
    await loop.start()
    await step.reach(1)
    await loop.stop()
    await loop.start()
    assert step.pass_count == 1


@pytest.mark.parametrize("seconds", [None, 0, -1])
def test_a_loop_that_nothing_would_pace_is_refused(seconds: float | None) -> None:
    with pytest.raises(ValueError, match="idle"):
        Loop("idle", Woken(), Supervisor(), interval_seconds=seconds)
