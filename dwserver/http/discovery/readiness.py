"""Whether this node may get traffic, check by check.

Source: ``spec/topology-and-operations.md`` §3.2-3.5, ``decisions.md`` 15 and 18.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dwserver.http.auth.authenticator import AuthState, AuthStatus
from dwserver.http.discovery.probing import Cached, Outcome, probe
from dwserver.http.discovery.workflow_health import (
    HealthCheck,
    HealthStatus,
    WorkflowHealth,
    rolled_up,
)
from dwserver.protocol.json_types import JsonObject

CACHE_SECONDS: Final = 1.0
PROBE_TIMEOUT_SECONDS: Final = 2.0

_READY_STATUSES: Final = frozenset({"ok", "warning"})
_BOOTSTRAP_REMEDY: Final = "Run dwserver bootstrap against this database."


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """What the database says about its schema. ``blocking`` migrations must be
    applied before traffic; ``adoptable`` ones only await being recorded."""

    has_ledger: bool = True
    pending: tuple[str, ...] = ()
    adoptable: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    missing_tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What readiness asks. A probe fails by raising. ``is_cache_required``: without
    the cache this node cannot serve; otherwise its loss is a warning.
    ``role_checks``: the state of what only some nodes run, as their checks."""

    database: Callable[[], Awaitable[object]]
    schema: Callable[[], Awaitable[SchemaState]]
    namespace_exists: Callable[[str], Awaitable[bool]]
    default_namespace: str
    cache: Callable[[], Awaitable[object]]
    cache_store: str
    auth: Callable[[], AuthState]
    is_cache_required: bool = False
    health_checks: Sequence[Callable[[], Awaitable[HealthCheck]]] = ()
    role_checks: Mapping[str, Callable[[], JsonObject]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The checks in wire order, by name."""

    checks: JsonObject
    workflow: WorkflowHealth

    @property
    def is_ready(self) -> bool:
        return all(check["status"] in _READY_STATUSES for check in self.checks.values())


class Readiness:
    """Evaluates at most once per ``CACHE_SECONDS``; also the bootstrap gate."""

    def __init__(
        self,
        probes: Probes,
        *,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        timeout_seconds: float = PROBE_TIMEOUT_SECONDS,
    ) -> None:
        self._probes = probes
        self._now = now
        self._timeout_seconds = timeout_seconds
        self._is_draining = False
        self._is_open = False
        # Health asks for the database alone, so it has an answer of its own.
        self._database = Cached(
            self._probe_database, seconds=CACHE_SECONDS, monotonic=monotonic
        )
        self._evaluation = Cached(
            self._evaluate, seconds=CACHE_SECONDS, monotonic=monotonic
        )

    def begin_drain(self) -> None:
        """From now on the node is not ready; nothing else changes."""
        self._is_draining = True

    async def is_database_reachable(self) -> bool:
        return (await self._database.get()).failure is None

    def role_statuses(self) -> dict[str, str]:
        """What the parts of this node's own roles say now, by check."""
        checks = self._probes.role_checks.items()
        return {name: check()["status"] for name, check in checks}

    async def evaluate(self) -> Evaluation:
        """The state of all checks, at most ``CACHE_SECONDS`` old."""
        evaluation = await self._evaluation.get()
        if not self._is_draining:
            return evaluation
        draining = {"shutdown": {"status": "draining"}}
        return Evaluation({**evaluation.checks, **draining}, evaluation.workflow)

    @property
    def is_open(self) -> bool:
        """The bootstrap gate, as it was last seen."""
        return self._is_open

    async def blockers(self) -> tuple[str, ...]:
        """Names of the checks that keep the bootstrap gate shut."""
        return (await self._evaluation.get()).workflow.blocked_by

    # evaluation -------------------------------------------------------------------
    async def _evaluate(self) -> Evaluation:
        database = await self._database.get()
        checks: JsonObject = {"database": _database_check(database)}
        schema = await self._schema(database)
        checks["migrations"] = _migrations_check(schema)
        checks["default_namespace"] = await self._namespace_check(database)
        checks["cache"] = await self._cache_check()
        checks["auth"] = _auth_check(self._probes.auth())
        workflow = await self._workflow(checks)
        checks["workflow_v2"] = workflow.body()
        for name, check in self._probes.role_checks.items():
            checks[name] = check()
        # A database that is merely slow must not shut out all traffic at once: each
        # request then finds out for itself.
        is_slow_only = workflow.blocked_by and (
            database.is_timeout or schema.is_timeout
        )
        if not is_slow_only:
            self._is_open = not workflow.blocked_by
        return Evaluation(checks, workflow)

    async def _probe_database(self) -> Outcome[object]:
        return await self._ask("database", self._probes.database)

    async def _ask(
        self, name: str, ask: Callable[[], Awaitable[object]]
    ) -> Outcome[object]:
        return await probe(name, ask, timeout_seconds=self._timeout_seconds)

    async def _schema(self, database: Outcome[object]) -> Outcome[SchemaState]:
        if database.failure is not None:
            return Outcome(failure=database.failure, is_timeout=database.is_timeout)
        return await probe(
            "migrations", self._probes.schema, timeout_seconds=self._timeout_seconds
        )

    async def _namespace_check(self, database: Outcome[object]) -> JsonObject:
        name = self._probes.default_namespace
        if database.failure is not None:
            return _unavailable(database.failure, namespace=name)
        outcome = await self._ask(
            "default_namespace", lambda: self._probes.namespace_exists(name)
        )
        if outcome.failure is not None:
            return _unavailable(outcome.failure, namespace=name)
        if outcome.found:
            return {"status": "ok", "namespace": name}
        return {
            "status": "missing",
            "namespace": name,
            "remediation": _BOOTSTRAP_REMEDY,
        }

    async def _cache_check(self) -> JsonObject:
        store = self._probes.cache_store
        outcome = await self._ask("cache", self._probes.cache)
        if outcome.failure is None:
            return {"status": "ok", "store": store}
        if self._probes.is_cache_required:
            return _unavailable(outcome.failure, store=store)
        return {
            "status": "warning",
            "store": store,
            "message": outcome.failure,
            "correctness_substrate": "database",
            "degraded_capability": "long_poll_wake_acceleration",
        }

    async def _workflow(self, checks: JsonObject) -> WorkflowHealth:
        blocked_by = tuple(
            name
            for name in ("database", "migrations")
            if checks[name]["status"] not in _READY_STATUSES
        )
        if blocked_by:
            return WorkflowHealth(
                status=HealthStatus.BLOCKED,
                blocked_by=blocked_by,
                remediation=f"Clear the failed checks: {', '.join(blocked_by)}.",
            )
        found: list[HealthCheck] = []
        for check in self._probes.health_checks:
            outcome = await probe(
                "workflow_v2", check, timeout_seconds=self._timeout_seconds
            )
            if outcome.found is None:
                return WorkflowHealth(
                    status=HealthStatus.UNAVAILABLE, message=outcome.failure
                )
            found.append(outcome.found)
        return rolled_up(found, self._now())


def _unavailable(failure: str, **fields: str) -> JsonObject:
    return {"status": "unavailable", **fields, "message": failure}


def _database_check(outcome: Outcome[object]) -> JsonObject:
    if outcome.failure is None:
        return {"status": "ok"}
    return _unavailable(outcome.failure)


def _migrations_check(outcome: Outcome[SchemaState]) -> JsonObject:
    state = outcome.found
    if state is None:
        return _unavailable(outcome.failure or "no answer")
    status = "ok"
    if state.missing_tables:
        status = "missing"
    elif state.blocking:
        status = "pending"
    elif state.adoptable:
        status = "warning"
    check: JsonObject = {
        "status": status,
        "repository_exists": state.has_ledger,
        "pending_migrations": list(state.pending),
        "adoptable_migrations": list(state.adoptable),
        "blocking_migrations": list(state.blocking),
        "missing_tables": list(state.missing_tables),
        "readiness_contract": {"version": 1, "release_state": "v2_final_contract"},
    }
    if status != "ok":
        check["remediation"] = _BOOTSTRAP_REMEDY
    return check


def _auth_check(state: AuthState) -> JsonObject:
    check: JsonObject = {"status": state.status.value, "driver": state.driver}
    if state.provider is not None:
        check["provider"] = state.provider
    if state.status is not AuthStatus.OK:
        check["remediation"] = state.remediation
    return check
