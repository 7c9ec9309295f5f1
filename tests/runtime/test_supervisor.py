"""The supervisor: order, roll-back, owned tasks, fatal failures."""

from __future__ import annotations

import asyncio
import gc

import pytest

from dwserver.runtime.supervisor import ServiceStartError, Supervisor


class Recorder:
    """A service that writes down what happens to it and fails where it is told to."""

    def __init__(self, name: str, journal: list[str], fails_in: str = "") -> None:
        self.name = name
        self._journal = journal
        self._fails_in = fails_in

    async def start(self) -> None:
        self._note("start")

    async def drain(self) -> None:
        self._note("drain")

    async def stop(self) -> None:
        self._note("stop")

    def _note(self, verb: str) -> None:
        self._journal.append(f"{verb} {self.name}")
        if self._fails_in == verb:
            raise OSError(f"{verb} of {self.name}")


async def test_services_start_in_order_drain_and_stop_in_reverse() -> None:
    journal: list[str] = []
    supervisor = Supervisor()
    for name in ("database", "loops", "http"):
        supervisor.add(Recorder(name, journal))
    await supervisor.start()
    await supervisor.stop()
    assert journal == [
        "start database",
        "start loops",
        "start http",
        "drain http",
        "drain loops",
        "drain database",
        "stop http",
        "stop loops",
        "stop database",
    ]


async def test_failed_start_stops_what_had_started_and_names_the_service() -> None:
    journal: list[str] = []
    supervisor = Supervisor()
    supervisor.add(Recorder("database", journal))
    supervisor.add(Recorder("http", journal, "start"))
    supervisor.add(Recorder("never", journal))
    with pytest.raises(ServiceStartError, match="http did not start") as caught:
        await supervisor.start()
    assert isinstance(caught.value.error, OSError)
    assert journal == ["start database", "start http", "stop http", "stop database"]


@pytest.mark.parametrize("verb", ["drain", "stop"])
async def test_a_service_that_fails_to_end_does_not_keep_the_others(verb: str) -> None:
    journal: list[str] = []
    supervisor = Supervisor()
    supervisor.add(Recorder("database", journal))
    supervisor.add(Recorder("http", journal, verb))
    await supervisor.start()
    await supervisor.stop()
    assert journal[-1] == "stop database"
    assert "stop http" in journal


async def test_second_stop_does_nothing() -> None:
    journal: list[str] = []
    supervisor = Supervisor()
    supervisor.add(Recorder("database", journal))
    await supervisor.start()
    await supervisor.stop()
    await supervisor.stop()
    assert journal.count("stop database") == 1


async def test_stop_goes_on_when_draining_takes_too_long() -> None:
    class Endless(Recorder):
        async def drain(self) -> None:
            await asyncio.Event().wait()

    journal: list[str] = []
    supervisor = Supervisor()
    supervisor.add(Endless("stuck", journal))
    await supervisor.start()
    await supervisor.stop(timeout_seconds=0)
    assert journal == ["start stuck", "stop stuck"]


async def test_spawned_task_survives_garbage_collection_until_it_is_done() -> None:
    supervisor, release, done = Supervisor(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await release.wait()
        done.set()

    supervisor.spawn("work", work())
    gc.collect()
    release.set()
    await done.wait()


async def test_stop_cancels_spawned_tasks_and_waits_for_them() -> None:
    supervisor, ended = Supervisor(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = supervisor.spawn("work", work())
    await asyncio.sleep(0)
    await supervisor.stop()
    assert ended == [True]
    assert task.cancelled()


async def broken(message: str) -> None:
    raise RuntimeError(message)


async def test_fatal_task_is_reported_with_its_name() -> None:
    supervisor = Supervisor()
    supervisor.spawn("combiner", broken("lost"), is_fatal=True)
    failure = await supervisor.wait_for_failure()
    assert (failure.name, str(failure.error)) == ("combiner", "lost")


async def test_failed_task_that_is_not_fatal_leaves_the_process_running() -> None:
    supervisor = Supervisor()
    await asyncio.wait({supervisor.spawn("effect", broken("lost"))})
    assert supervisor.failure is None


async def test_the_first_fatal_failure_is_the_one_that_counts() -> None:
    supervisor = Supervisor()
    supervisor.report_fatal("first", OSError("1"))
    supervisor.report_fatal("second", OSError("2"))
    assert (await supervisor.wait_for_failure()).name == "first"
