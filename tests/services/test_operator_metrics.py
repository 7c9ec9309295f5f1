"""Figures for operators: from the database, of one namespace, as they are now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.http.discovery.workflow_health import HealthCheck, HealthStatus
from dwserver.http.system.health_views import Finding, alerts, findings
from dwserver.http.system.operator_views import metrics_view
from dwserver.protocol.json_types import JsonObject
from dwserver.runtime.ids import UlidSource
from dwserver.services import operator_metrics
from dwserver.store.api import Store
from dwserver.store.schedules import ScheduleSummary
from tests.support.builders import NOON, SECOND, a_schedule, a_schedule_creation
from tests.support.small_server import QUEUE, SmallServer, ref_of, small_server


async def shown(server: SmallServer, namespace: str = "default") -> JsonObject:
    metrics = server.services.operator_metrics
    return metrics_view(metrics, await metrics.snapshot(namespace))


def of(block: JsonObject, *names: str) -> tuple[Any, ...]:
    return tuple(block[name] for name in names)


async def test_work_without_a_worker_of_its_build_is_blocked(node: SmallServer) -> None:
    for number in range(2):
        await node.start(f"marked-{number}", compatibility="b1")
    await node.start("unmarked")
    node.clock.advance(seconds=10)
    found = await shown(node)
    assert found["runs"]["compatibility_blocked"] == 2
    backlog = found["backlog"]
    assert of(
        backlog, "compatibility_blocked_runs", "max_compatibility_blocked_age_ms"
    ) == (2, 10_000)
    await node.register("worker-b1", build_id="b1")
    assert (await shown(node))["runs"]["compatibility_blocked"] == 0


async def test_a_worker_of_another_queue_or_a_silent_one_unblocks_nothing(
    node: SmallServer,
) -> None:
    await node.start("marked", compatibility="b1")
    await node.register("elsewhere", build_id="b1", task_queue="bills")
    await node.register("silent", build_id="b1", last_heartbeat_at=NOON - 90 * SECOND)
    assert (await shown(node))["runs"]["compatibility_blocked"] == 1
    await node.register("any", build_id="*")
    assert (await shown(node))["runs"]["compatibility_blocked"] == 0


async def test_work_on_its_way_shows_in_every_group(node: SmallServer) -> None:
    await node.with_activity("order-1")
    await node.start("order-2")
    node.clock.advance(seconds=5)
    found = await shown(node)
    assert of(found["runs"], "total", "current", "running") == (2, 2, 2)
    assert of(found["tasks"], "open", "ready_due", "leased") == (2, 1, 1)
    assert of(found["tasks"], "dispatch_overdue", "max_dispatch_overdue_age_ms") == (
        1,
        5000,
    )
    assert of(found["activities"], "open", "running") == (1, 1)
    assert of(found["starts"], "pending_runs", "ready_tasks", "max_pending_ms") == (
        1,
        1,
        5000,
    )
    assert found["repair"]["existing_task_candidates"] == 1
    assert found["backlog"]["runnable_tasks"] == 1
    assert (await shown(node, "empty"))["repair"]["existing_task_candidates"] == 0


async def test_what_was_made_and_taken_lately_is_told_by_the_ids(
    any_store: Store,
) -> None:
    # Ids that tell the time, as those of a real process.
    ids = UlidSource(time_ns=lambda: NOON * 1000)
    async with small_server(any_store, ids=ids) as server:
        await server.register()
        await server.with_activity()
        recent = (await shown(server))["backlog"]
        names = ("tasks_added_last_minute", "tasks_dispatched_last_minute")
        assert of(recent, *names) == (2, 2)
        server.clock.advance(seconds=61)
        assert of((await shown(server))["backlog"], *names) == (0, 0)


async def test_schedules_that_are_overdue_are_missed(node: SmallServer) -> None:
    due = NOON - 7 * SECOND
    await node.core.store.commit(a_schedule_creation(a_schedule(next_fire_at=due)))
    assert (await shown(node))["schedules"] == {
        "active": 1,
        "paused": 0,
        "missed": 1,
        "oldest_overdue_at": "2026-04-13T11:59:53+00:00",
        "max_overdue_ms": 7000,
        "fires_total": 0,
        "failures_total": 0,
    }


async def test_failing_types_are_listed_up_to_the_limit(any_store: Store) -> None:
    environ = {"DW_METRICS_WORKFLOW_TASK_FAILURE_TYPE_LIMIT": "1"}
    async with small_server(any_store, environ=environ) as server:
        await server.register()
        for name in ("a", "b"):
            await server.start(f"order-{name}", workflow_type=name)
        for delivery in [await server.leased(), await server.leased()]:
            await server.services.workflow_tasks.fail(
                ref_of(delivery), message="it broke", is_waiting=False
            )
        (worst,) = await server.services.operator_metrics.failing_types("default")
        assert (worst.workflow_type, worst.failures) == ("a", 1)
        assert (worst.all_types, worst.all_runs) == (2, 2)


async def test_figures_say_where_they_stop_counting(
    node: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await node.start(f"order-{number}")
    assert (await shown(node))["bounds"]["reached"] == []
    metrics = node.services.operator_metrics
    snapshot = await metrics.snapshot("default")
    monkeypatch.setattr("dwserver.http.system.operator_views.MAX_ROWS", 3)
    assert metrics_view(metrics, snapshot)["bounds"]["reached"] == [
        "open_runs",
        "ready_tasks",
    ]
    monkeypatch.setattr(operator_metrics, "MAX_ROWS", 2)
    assert (await shown(node))["runs"]["running"] == 2


async def test_the_first_thousand_workers_are_listed_all_are_counted(
    node: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.register("worker-2", task_queue="bills")
    monkeypatch.setattr("dwserver.http.system.operator_views.FLEET_LISTED", 1)
    workers = (await shown(node))["workers"]
    assert workers["active_workers"] == 2
    assert [row["queue"] for row in workers["fleet"]] == ["bills"]
    assert QUEUE != "bills"


async def test_an_empty_summary_shows_no_time(node: SmallServer) -> None:
    metrics = node.services.operator_metrics
    empty = ScheduleSummary(
        active=0,
        paused=0,
        missed=0,
        oldest_overdue_at=None,
        fires_total=0,
        failures_total=0,
    )
    snapshot = replace(await metrics.snapshot("default"), schedules=empty)
    shown_schedules = metrics_view(metrics, snapshot)["schedules"]
    assert of(shown_schedules, "oldest_overdue_at", "max_overdue_ms") == (None, 0)


# health ------------------------------------------------------------------------------
def checks(server: SmallServer, figures: JsonObject) -> dict[str, str]:
    metrics = server.services.operator_metrics
    found = findings(figures, metrics.node, metrics.acceleration())
    return {
        each.check.name: each.check.status.value
        for each in found
        if each.check.status is not HealthStatus.OK
    }


async def test_nothing_is_wrong_with_a_quiet_namespace(node: SmallServer) -> None:
    figures = await shown(node)
    assert checks(node, figures) == {}
    metrics = node.services.operator_metrics
    names = [
        each.check.name
        for each in findings(figures, metrics.node, metrics.acceleration())
    ]
    assert (len(names), len(set(names))) == (12, 12)


async def test_what_does_not_move_is_a_warning(node: SmallServer) -> None:
    await node.with_activity("order-1")
    await node.start("marked", compatibility="b1")
    due = a_schedule(next_fire_at=NOON)
    await node.core.store.commit(a_schedule_creation(due))
    node.clock.advance(seconds=400)
    assert checks(node, await shown(node)) == dict.fromkeys(
        ("task_transport", "routing_health", "durable_resume_paths", "scheduler_role"),
        "warning",
    )


@pytest.mark.parametrize(("mode", "status"), [("warn", "warning"), ("fail", "error")])
async def test_a_marker_that_nobody_supports(
    any_store: Store, mode: str, status: str
) -> None:
    environ = {
        "DW_V2_CURRENT_COMPATIBILITY": "b1",
        "DW_V2_FLEET_VALIDATION_MODE": mode,
    }
    async with small_server(any_store, environ=environ) as server:
        assert checks(server, await shown(server)) == {"worker_compatibility": status}
        await server.register(build_id="b1")
        assert checks(server, await shown(server)) == {}


async def test_several_processes_without_redis_are_slow(any_store: Store) -> None:
    environ = {"DW_V2_MULTI_NODE": "1", "DW_DATABASE_URL": "postgresql://dw@x/unused"}
    async with small_server(any_store, environ=environ) as server:
        assert checks(server, await shown(server)) == {
            "long_poll_wake_acceleration": "warning"
        }


def test_alerts_are_those_of_checks_then_those_of_queues() -> None:
    def queue(name: str, *, backlog: int, active: int, stale: int) -> JsonObject:
        return {
            "name": name,
            "stats": {
                "approximate_backlog_count": backlog,
                "pollers": {"active_count": active, "stale_count": stale},
            },
            "repair": {"candidates": 0},
        }

    check = HealthCheck("task_transport", HealthStatus.WARNING, message="Stuck.")
    routing = HealthCheck("routing_health", HealthStatus.WARNING, message="Waits.")
    found = alerts(
        [Finding(check, {"unhealthy_tasks": 1}), Finding(routing, {"claims": 2})],
        [
            queue("a", backlog=2, active=0, stale=1),
            queue("b", backlog=5, active=1, stale=0),
            queue("c", backlog=1, active=0, stale=0),
        ],
        drains={"queues_with_drains": 1, "queues": []},
        namespace="default",
    )
    assert [each["key"] for each in found] == [
        "task_transport",
        "routing_health",
        "queue_backlog_without_pollers",
        "queue_stale_pollers",
    ]
    assert found[0]["facts"] == {"unhealthy_tasks": 1}
    # Work may wait because of a drain.
    assert found[1]["facts"] == {
        "claims": 2,
        "queues_with_drains": 1,
        "routing_drains": {"queues_with_drains": 1, "queues": []},
    }
    assert (found[2]["queues"], found[2]["backlog_count"]) == (["a", "c"], 3)
    assert found[2]["status"] == "error"
