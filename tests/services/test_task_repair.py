"""A pass gets moving what does not move, once, and says what it found."""

from __future__ import annotations

from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.services.task_repair import RepairReport, RepairScopeFilter
from dwserver.store.api import StoreUnavailable
from tests.support.small_server import SmallServer

EVERYTHING = RepairScopeFilter("default")
OVERDUE_SECONDS = 3
THROTTLE_SECONDS = 5


async def run_pass(
    server: SmallServer, about: RepairScopeFilter = EVERYTHING
) -> RepairReport:
    return await server.services.task_repair.run_pass(about, respects_throttle=False)


async def test_a_task_that_nobody_takes_is_announced_again(server: SmallServer) -> None:
    run_id = (await server.start()).run.id
    server.clock.advance(seconds=OVERDUE_SECONDS, microseconds=-1)
    assert (await server.services.task_repair.candidates()).candidates == 0
    server.clock.advance(microseconds=1)
    assert (await server.services.task_repair.candidates()).candidates == 1
    events = await server.event_types(run_id)
    report = await run_pass(server)
    assert (report.repaired, report.task_failures) == (1, ())
    (task,) = (await server.state(run_id)).tasks.values()
    assert (task.status, task.repair_count) == (TaskStatus.READY, 1)
    # No trace in history (decision 14).
    assert await server.event_types(run_id) == events
    assert (await server.leased()).leased.task.id == task.id


async def test_a_lease_that_is_over_is_taken_away(server: SmallServer) -> None:
    delivery = await server.with_activity()
    server.clock.advance(seconds=301)
    report = await run_pass(server)
    assert report.repaired == 1
    again = await server.leased(TaskKind.ACTIVITY)
    assert again.leased.task.id == delivery.leased.task.id
    assert again.leased.task.attempt == delivery.leased.task.attempt + 1


async def test_what_moves_is_left_alone(server: SmallServer) -> None:
    await server.start()
    await server.leased()
    server.clock.advance(seconds=OVERDUE_SECONDS)
    report = await run_pass(server)
    assert (report.selection.candidates, report.repaired) == (0, 0)


async def test_a_pass_about_some_runs(server: SmallServer) -> None:
    named = (await server.start("named")).run.id
    await server.start("by-id")
    await server.start("other")
    server.clock.advance(seconds=OVERDUE_SECONDS)
    about = RepairScopeFilter("default", (named, "nope"), "by-id")
    assert (await run_pass(server, about)).repaired == 2
    unknown = RepairScopeFilter("default", (), "nope")
    assert (await run_pass(server, unknown)).selection.candidates == 0
    elsewhere = RepairScopeFilter("elsewhere", (), "by-id")
    assert (await run_pass(server, elsewhere)).selection.candidates == 0


async def test_deadlines_are_enforced_on_the_way(server: SmallServer) -> None:
    run_id = (await server.start(run_timeout_seconds=60)).run.id
    server.clock.advance(seconds=60)
    report = await run_pass(server)
    assert (report.overdue_runs, report.run_failures) == (1, ())
    assert (await server.event_types(run_id))[-1] == "WorkflowTimedOut"


async def test_passes_that_respect_the_throttle_wait_for_their_turn(
    server: SmallServer,
) -> None:
    repair = server.services.task_repair
    first = await repair.run_pass(EVERYTHING, respects_throttle=True)
    assert not first.is_throttled
    assert (await repair.run_pass(EVERYTHING, respects_throttle=True)).is_throttled
    assert not (await run_pass(server)).is_throttled


async def test_a_candidate_that_fails_leaves_the_others(server: SmallServer) -> None:
    for number in range(3):
        await server.start(f"order-{number}")
    server.clock.advance(seconds=OVERDUE_SECONDS)
    server.faults.fail_next("commit", StoreUnavailable("gone"))
    report = await run_pass(server)
    assert report.repaired == 2
    ((task_id, error),) = report.task_failures
    assert isinstance(error, StoreUnavailable)
    assert task_id in {each.task_id for each in report.selection.selected}
    assert (await run_pass(server)).selection.candidates == 3
