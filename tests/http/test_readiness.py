"""Readiness, check by check (``spec/topology-and-operations.md`` §3.2-3.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dwserver.http.auth.authenticator import AuthState, AuthStatus
from dwserver.http.discovery.readiness import Probes, Readiness, SchemaState
from dwserver.http.discovery.workflow_health import (
    HealthCategory,
    HealthCheck,
    HealthStatus,
)
from dwserver.protocol.json_types import JsonObject
from dwserver.runtime.clock import ManualClock

NOW = 1_776_081_600_000_000


@dataclass
class World:
    """What the probes find, and how often they were asked."""

    database: Exception | None = None
    schema: SchemaState | Exception = field(default_factory=SchemaState)
    cache: Exception | None = None
    namespaces: frozenset[str] = frozenset({"default"})
    auth: AuthState = field(default_factory=lambda: AuthState(AuthStatus.OK, "token"))
    findings: tuple[HealthCheck | Exception, ...] = ()
    role_checks: Mapping[str, Callable[[], JsonObject]] = field(default_factory=dict)
    monotonic: float = 0.0
    asked: list[str] = field(default_factory=list)

    async def ask_database(self) -> None:
        self.asked.append("database")
        if self.database is not None:
            raise self.database

    async def ask_schema(self) -> SchemaState:
        self.asked.append("migrations")
        if isinstance(self.schema, Exception):
            raise self.schema
        return self.schema

    async def ask_namespace(self, name: str) -> bool:
        self.asked.append("default_namespace")
        return name in self.namespaces

    async def ask_cache(self) -> None:
        self.asked.append("cache")
        if self.cache is not None:
            raise self.cache

    def health_checks(self) -> tuple[Callable[[], Awaitable[HealthCheck]], ...]:
        def check(finding: HealthCheck | Exception) -> Callable[..., Any]:
            async def look() -> HealthCheck:
                if isinstance(finding, Exception):
                    raise finding
                return finding

            return look

        return tuple(check(finding) for finding in self.findings)

    def readiness(self, **changes: Any) -> Readiness:
        probes = Probes(
            database=self.ask_database,
            schema=self.ask_schema,
            namespace_exists=self.ask_namespace,
            default_namespace="default",
            cache=self.ask_cache,
            cache_store="redis",
            auth=lambda: self.auth,
            health_checks=self.health_checks(),
            role_checks=self.role_checks,
        )
        return Readiness(
            replace(probes, **changes),
            now=ManualClock(NOW).now,
            monotonic=lambda: self.monotonic,
            timeout_seconds=5,
        )


async def test_sound_node_is_ready() -> None:
    evaluation = await World().readiness().evaluate()
    assert evaluation.is_ready
    statuses = {name: check["status"] for name, check in evaluation.checks.items()}
    assert statuses == dict.fromkeys(
        (
            "database",
            "migrations",
            "default_namespace",
            "cache",
            "auth",
            "workflow_v2",
        ),
        "ok",
    )
    assert next(iter(statuses)) == "database"
    assert evaluation.checks["migrations"]["readiness_contract"]["version"] == 1
    assert "remediation" not in evaluation.checks["migrations"]
    assert evaluation.checks["workflow_v2"] == {
        "status": "ok",
        "generated_at": "2026-04-13T12:00:00.000000Z",
        "http_status": 200,
        "categories": {
            "correctness": {"status": "ok", "check_count": 0},
            "acceleration": {"status": "ok", "check_count": 0},
        },
        "warning_checks": [],
        "error_checks": [],
        "checks": [],
    }


@pytest.mark.parametrize(
    ("world", "check", "status", "is_ready", "blocked_by"),
    [
        (
            World(database=OSError("no route")),
            "database",
            "unavailable",
            False,
            ("database", "migrations"),
        ),
        (
            World(schema=SchemaState(missing_tables=("workflow_runs",))),
            "migrations",
            "missing",
            False,
            ("migrations",),
        ),
        (
            World(schema=SchemaState(pending=("0002",), blocking=("0002",))),
            "migrations",
            "pending",
            False,
            ("migrations",),
        ),
        (
            World(schema=SchemaState(pending=("0003",), adoptable=("0003",))),
            "migrations",
            "warning",
            True,
            (),
        ),
        (World(schema=SchemaState(pending=("0004",))), "migrations", "ok", True, ()),
        (
            World(schema=RuntimeError("broken")),
            "migrations",
            "unavailable",
            False,
            ("migrations",),
        ),
        (
            World(namespaces=frozenset()),
            "default_namespace",
            "missing",
            False,
            (),
        ),
        (World(cache=OSError("refused")), "cache", "warning", True, ()),
        (
            World(auth=AuthState(AuthStatus.MISSING, "token", "Set one.")),
            "auth",
            "missing",
            False,
            (),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_fault_shows_in_its_check(
    world: World,
    check: str,
    status: str,
    is_ready: bool,
    blocked_by: tuple[str, ...],
) -> None:
    readiness = world.readiness()
    evaluation = await readiness.evaluate()
    assert evaluation.checks[check]["status"] == status
    assert evaluation.is_ready is is_ready
    workflow = evaluation.checks["workflow_v2"]
    assert tuple(workflow.get("blocked_by", ())) == blocked_by
    assert (workflow["status"] == "blocked") is bool(blocked_by)
    assert await readiness.blockers() == blocked_by
    assert readiness.is_open is not bool(blocked_by)


async def test_lost_cache_names_what_is_degraded() -> None:
    world = World(cache=OSError("redis://:secret@host"))
    evaluation = await world.readiness().evaluate()
    assert evaluation.checks["cache"] == {
        "status": "warning",
        "store": "redis",
        "message": "OSError",
        "correctness_substrate": "database",
        "degraded_capability": "long_poll_wake_acceleration",
    }


async def test_lost_cache_that_is_required_is_a_fault() -> None:
    readiness = World(cache=OSError()).readiness(is_cache_required=True)
    evaluation = await readiness.evaluate()
    assert evaluation.checks["cache"]["status"] == "unavailable"
    assert not evaluation.is_ready


async def test_unreachable_database_is_asked_once_and_for_nothing_more() -> None:
    world = World(database=OSError())
    evaluation = await world.readiness().evaluate()
    assert world.asked == ["database", "cache"]
    assert evaluation.checks["default_namespace"] == {
        "status": "unavailable",
        "namespace": "default",
        "message": "OSError",
    }


WARNING = HealthCheck("task_transport", HealthStatus.WARNING, message="Two are late.")
ERROR = HealthCheck("worker_compatibility", HealthStatus.ERROR)
SLOW = HealthCheck(
    "long_poll_wake_acceleration",
    HealthStatus.WARNING,
    HealthCategory.ACCELERATION,
)


@pytest.mark.parametrize(
    ("findings", "status", "is_ready"),
    [((WARNING,), "warning", True), ((WARNING, ERROR, SLOW), "error", False)],
)
async def test_worst_finding_decides(
    findings: tuple[HealthCheck, ...], status: str, is_ready: bool
) -> None:
    evaluation = await World(findings=findings).readiness().evaluate()
    workflow = evaluation.checks["workflow_v2"]
    assert (workflow["status"], evaluation.is_ready) == (status, is_ready)
    assert workflow["http_status"] == (200 if is_ready else 503)


async def test_findings_are_listed_by_status_and_category() -> None:
    world = World(findings=(WARNING, ERROR, SLOW))
    workflow = (await world.readiness().evaluate()).checks["workflow_v2"]
    assert workflow["warning_checks"] == [
        "task_transport",
        "long_poll_wake_acceleration",
    ]
    assert workflow["error_checks"] == ["worker_compatibility"]
    assert workflow["categories"] == {
        "correctness": {"status": "error", "check_count": 2},
        "acceleration": {"status": "warning", "check_count": 1},
    }
    assert workflow["checks"][0] == {
        "name": "task_transport",
        "status": "warning",
        "category": "correctness",
        "message": "Two are late.",
    }


async def test_failed_finding_makes_health_unavailable() -> None:
    world = World(findings=(WARNING, ValueError("x")))
    evaluation = await world.readiness().evaluate()
    assert evaluation.checks["workflow_v2"]["status"] == "unavailable"
    assert not evaluation.is_ready


async def test_answer_is_kept_for_a_second() -> None:
    world = World()
    readiness = world.readiness()
    await readiness.evaluate()
    asked_once = list(world.asked)
    world.monotonic = 0.9
    world.database = OSError()
    assert (await readiness.evaluate()).is_ready
    assert world.asked == asked_once
    world.monotonic = 1.1
    assert not (await readiness.evaluate()).is_ready


async def test_simultaneous_probes_share_one_evaluation() -> None:
    world = World()
    readiness = world.readiness()
    await asyncio.gather(*(readiness.evaluate() for _ in range(10)))
    assert world.asked.count("migrations") == 1


async def test_draining_node_is_not_ready() -> None:
    readiness = World().readiness()
    assert (await readiness.evaluate()).is_ready
    readiness.begin_drain()
    evaluation = await readiness.evaluate()
    assert not evaluation.is_ready
    assert evaluation.checks["shutdown"] == {"status": "draining"}
    assert readiness.is_open


async def test_gate_is_shut_before_the_first_look() -> None:
    readiness = World().readiness()
    assert not readiness.is_open
    assert await readiness.blockers() == ()
    assert readiness.is_open


async def test_gate_follows_the_database() -> None:
    world = World()
    readiness = world.readiness()
    await readiness.blockers()
    world.database, world.monotonic = OSError(), 2.0
    await readiness.evaluate()
    assert not readiness.is_open
    world.database, world.monotonic = None, 4.0
    assert await readiness.blockers() == ()
    assert readiness.is_open


async def test_slow_database_does_not_shut_an_open_gate() -> None:
    world = World()
    readiness = world.readiness()
    await readiness.blockers()
    world.database, world.monotonic = TimeoutError(), 2.0
    evaluation = await readiness.evaluate()
    assert not evaluation.is_ready
    assert evaluation.checks["database"]["message"] == "no answer within 5 s"
    assert readiness.is_open


async def test_probe_that_hangs_is_given_up() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    probes = World().readiness(database=hang)
    readiness = Readiness(
        probes._probes, now=ManualClock(NOW).now, timeout_seconds=0.01
    )
    assert not await readiness.is_database_reachable()
