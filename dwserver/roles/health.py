"""The checks of the engine that readiness and discovery sum up as ``workflow_v2``.

Source: ``spec/topology-and-operations.md`` §1.11, §3.3 and §4.4. Each asks for at most
one row by an index: what they cost does not grow with the data. Work counts as left
undone once every loop has had the time to come to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from dwserver.config.groups import CompatibilitySettings
from dwserver.engine.wire_time import MICROS
from dwserver.http.discovery.workflow_health import HealthCheck, HealthStatus
from dwserver.store.api import Store
from dwserver.topology.shapes import Role

Check = Callable[[], Awaitable[HealthCheck]]

GRACE: Final = 10 * MICROS
ANY_MARKER: Final = "*"


def engine_checks(
    store: Store,
    compatibility: CompatibilitySettings,
    *,
    now: Callable[[], int],
    stale_after: int,
) -> tuple[Check, ...]:
    """In published order. ``stale_after``: microseconds after which a silent worker
    counts no more."""

    def overdue() -> int:
        return now() - GRACE

    async def task_transport() -> HealthCheck:
        found = await store.expired_leases(now=overdue(), limit=1)
        problem = "Expired leases wait to be taken back."
        return _check("task_transport", found, problem)

    async def routing_health() -> HealthCheck:
        found = await store.waiting_queue(due_before=overdue())
        problem = "Tasks wait for a worker that may take them."
        return _check("routing_health", [found] if found else [], problem)

    async def activity_path() -> HealthCheck:
        found = await store.expired_activities(now=overdue(), limit=1)
        problem = "Activities are past a deadline and not timed out yet."
        return _check("activity_path", found, problem)

    async def durable_resume_paths() -> HealthCheck:
        timers = await store.due_timers(now=overdue(), limit=1)
        runs = [] if timers else await store.due_runs(now=overdue(), limit=1)
        problem = "Timers or deadlines of runs are due and have not fired."
        return _check("durable_resume_paths", [*timers, *runs], problem)

    async def scheduler_role() -> HealthCheck:
        found = await store.due_schedules(now=overdue(), limit=1)
        problem = f"Schedules are overdue: does a node with [{Role.SCHEDULER}] run?"
        return _check(Role.SCHEDULER.value + "_role", found, problem)

    async def worker_compatibility() -> HealthCheck:
        required = compatibility.current
        name = "worker_compatibility"
        if required is None:
            return HealthCheck(name, HealthStatus.OK)
        heard_of_since = now() - stale_after
        for namespace in await store.list_namespaces():
            for worker in await store.list_workers(namespace.name, queue=None):
                is_fit = worker.build_id in (required, ANY_MARKER)
                if is_fit and worker.last_heartbeat_at > heard_of_since:
                    return HealthCheck(name, HealthStatus.OK)
        is_fatal = compatibility.fleet_validation_mode == "fail"
        return HealthCheck(
            name,
            HealthStatus.ERROR if is_fatal else HealthStatus.WARNING,
            message=f"No live worker supports the required compatibility [{required}].",
        )

    return (
        _always_ok("run_summary_projection"),
        _always_ok("selected_run_projections"),
        task_transport,
        activity_path,
        routing_health,
        durable_resume_paths,
        worker_compatibility,
        scheduler_role,
    )


def _check(name: str, found: Sequence[object], problem: str) -> HealthCheck:
    if found:
        return HealthCheck(name, HealthStatus.WARNING, message=problem)
    return HealthCheck(name, HealthStatus.OK)


def _always_ok(name: str) -> Check:
    """Of a projection: it is written by the transition that it shows."""

    async def check() -> HealthCheck:
        return HealthCheck(name, HealthStatus.OK)

    return check
