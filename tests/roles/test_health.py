"""The checks of the engine, on a node whose loops do not run."""

from __future__ import annotations

import pytest

from dwserver.config.settings import load_settings
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.model import RetryPolicy
from dwserver.roles.health import GRACE, engine_checks
from tests.support.builders import NOON, SECOND, a_schedule, a_schedule_creation
from tests.support.small_server import ONE_MINUTE, SmallServer

STALE_AFTER = 60 * SECOND
MARKED = {"DW_V2_CURRENT_COMPATIBILITY": "build-1"}
NAMES = [
    "run_summary_projection",
    "selected_run_projections",
    "task_transport",
    "activity_path",
    "routing_health",
    "durable_resume_paths",
    "worker_compatibility",
    "scheduler_role",
]


async def troubles(server: SmallServer, **env: str) -> dict[str, str]:
    """Status by name, of the checks that are not ok."""
    settings = load_settings({"DW_DATABASE_URL": "sqlite:///unused.sqlite", **env})
    checks = engine_checks(
        server.faults.store,
        settings.compatibility,
        now=server.clock.now,
        stale_after=STALE_AFTER,
    )
    found = [await check() for check in checks]
    assert [check.name for check in found] == NAMES
    assert all((check.message is None) == (check.status == "ok") for check in found)
    return {c.name: c.status.value for c in found if c.status != "ok"}


async def warns_from(server: SmallServer, at: int, name: str) -> None:
    """All is well until the loops had their time, then one check warns."""
    for instant, expected in ((at + GRACE - 1, {}), (at + GRACE, {name: "warning"})):
        server.clock.advance(microseconds=instant - server.clock.now())
        found = await troubles(server)
        if name != "routing_health":
            # No worker of these tests polls for what becomes ready.
            found.pop("routing_health", None)
        assert found == expected


async def test_tasks_that_nobody_takes(server: SmallServer) -> None:
    await server.start()
    await warns_from(server, NOON + 1, "routing_health")


async def test_a_node_in_good_order(server: SmallServer) -> None:
    await server.start()
    assert await troubles(server) == {}


async def test_leases_that_nobody_takes_back(server: SmallServer) -> None:
    await server.start()
    lease = (await server.leased()).leased.task.lease_expires_at
    assert lease is not None
    await warns_from(server, lease, "task_transport")


async def test_activities_that_nobody_times_out(server: SmallServer) -> None:
    await server.start()
    limited = ScheduleActivity(
        activity_type="orders.Charge",
        retry_policy=RetryPolicy(schedule_to_start_timeout=30),
    )
    await server.complete(await server.leased(), [limited])
    await warns_from(server, NOON + 30 * SECOND, "activity_path")


async def test_timers_that_nobody_fires(server: SmallServer) -> None:
    await server.start()
    await server.complete(await server.leased(), [ONE_MINUTE])
    await warns_from(server, NOON + 60 * SECOND, "durable_resume_paths")


async def test_runs_that_nobody_ends(server: SmallServer) -> None:
    await server.start(run_timeout_seconds=60)
    await warns_from(server, NOON + 60 * SECOND, "durable_resume_paths")


async def test_schedules_that_nobody_fires(server: SmallServer) -> None:
    schedule = a_schedule(next_fire_at=NOON + 5)
    assert await server.faults.store.commit(a_schedule_creation(schedule))
    await warns_from(server, NOON + 5, "scheduler_role")


@pytest.mark.parametrize(("mode", "status"), [("warn", "warning"), ("fail", "error")])
async def test_a_required_marker_needs_a_live_supporter(
    server: SmallServer, mode: str, status: str
) -> None:
    """R7: the check turns with the fleet, in both directions."""
    marked = {**MARKED, "DW_V2_FLEET_VALIDATION_MODE": mode}
    blocked = {"worker_compatibility": status}
    await server.register("other", build_id="build-2")
    assert await troubles(server, **marked) == blocked
    await server.register("supporter", build_id="build-1")
    assert await troubles(server, **marked) == {}
    server.clock.advance(seconds=61)
    assert await troubles(server, **marked) == blocked
    assert await troubles(server) == {}


async def test_what_the_checks_ask_is_little(server: SmallServer) -> None:
    await server.with_activity()
    before = server.faults.calls.copy()
    assert await troubles(server) == {}
    asked = server.faults.calls - before
    assert asked == {
        "expired_leases": 1,
        "waiting_queue": 1,
        "expired_activities": 1,
        "due_timers": 1,
        "due_runs": 1,
        "due_schedules": 1,
    }
