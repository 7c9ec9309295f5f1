"""Coordination with other processes: on Redis when there is one, else in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from dwserver.config.settings import Settings
from dwserver.coordination.admission_ledger import MemoryLedger, MissingLedger
from dwserver.coordination.memory_query_tasks import MemoryQueryExchange
from dwserver.coordination.query_limits import QueryLimits
from dwserver.coordination.query_tasks import QueryExchange
from dwserver.coordination.redis_address import BadRedisAddress, parse_redis_url
from dwserver.coordination.redis_admission_ledger import RedisLedger
from dwserver.coordination.redis_connection import RedisConnection
from dwserver.coordination.redis_query_table import QueryTable
from dwserver.coordination.redis_query_tasks import RedisQueryExchange
from dwserver.coordination.redis_wake_signals import RedisWakeSignals
from dwserver.coordination.wake_signals import SilentSignals, Topic, WakeSignals
from dwserver.engine.wire_time import MICROS
from dwserver.http.discovery.workflow_health import (
    HealthCategory,
    HealthCheck,
    HealthStatus,
)
from dwserver.roles.admission import build_queue_admission
from dwserver.roles.errors import BootError
from dwserver.roles.identity import node_identity
from dwserver.roles.observers import CoordinationMetrics, QueryTaskMetrics
from dwserver.runtime.clock import Clock
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.service import Service
from dwserver.runtime.supervisor import Supervisor
from dwserver.services.queue_admission import QueueAdmission
from dwserver.store.api import Store
from dwserver.topology.selection import select_topology
from dwserver.topology.shapes import Role

SPLIT_SHAPE = "split_control_execution"
NOT_SHARED = (
    "several processes share the database and no Redis is set (DW_REDIS_URL): tasks of "
    "other processes are found by looking, and queries reach only the workers that "
    "poll the process they are sent to"
)


_POLLED: Final = (
    Topic.READY_TASK,
    Topic.RUN_WATCHED,
    Topic.QUERY_ASKED,
    Topic.POLL_ANSWERED,
    Topic.WORKER_CHANGED,
)
HEARD_BY: Final[Mapping[Role, Collection[Topic]]] = {
    Role.API_INGRESS: (),
    Role.CONTROL_PLANE: tuple(Topic),
    Role.MATCHING: _POLLED,
    Role.HISTORY_PROJECTION: (Topic.RUN_CHANGED,),
    # Its fires may end runs that somebody watches.
    Role.SCHEDULER: (Topic.RUN_WATCHED,),
    Role.EXECUTION_PLANE: (),
}
"""The topics that somebody can wait for where a role is hosted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """``services`` are started with the process. ``is_alone``: no other process is
    expected on the same database."""

    signals: WakeSignals
    query_exchange: QueryExchange
    admission: QueueAdmission
    redis: RedisConnection | None
    is_alone: bool
    services: tuple[Service, ...] = ()

    @property
    def store_name(self) -> str:
        """What readiness calls the backend."""
        return "memory" if self.redis is None else "redis"

    async def probe(self) -> None:
        """Raises when the backend does not answer."""
        if self.redis is not None:
            await self.redis.probe()

    async def backend_check(self) -> HealthCheck:
        """``backend_capabilities``: never an error, the database decides."""
        return _check(
            "backend_capabilities", HealthCategory.CORRECTNESS, self._why_degraded()
        )

    async def wake_check(self) -> HealthCheck:
        """``long_poll_wake_acceleration`` (topology-and-operations §4.4)."""
        why = self.why_not_accelerated()
        return _check("long_poll_wake_acceleration", HealthCategory.ACCELERATION, why)

    def why_not_accelerated(self) -> str | None:
        """What keeps news from travelling between the processes; None for nothing."""
        if self.redis is None and not self.is_alone:
            return NOT_SHARED
        return self._why_degraded()

    def _why_degraded(self) -> str | None:
        why = self.redis.state().why if self.redis else None
        return f"Redis does not answer ({why})." if why else None


def _check(name: str, category: HealthCategory, why: str | None) -> HealthCheck:
    status = HealthStatus.OK if why is None else HealthStatus.WARNING
    return HealthCheck(name, status, category, why)


def build_coordination(
    settings: Settings,
    store: Store,
    *,
    clock: Clock,
    metrics: Metrics,
    supervisor: Supervisor,
) -> Coordination:
    """Raises :class:`BootError` for a URL that names no Redis."""
    query_tasks = settings.query_tasks
    limits = QueryLimits(
        lease=query_tasks.lease_seconds * MICROS,
        keep=query_tasks.ttl_seconds * MICROS,
        pending_per_queue=query_tasks.max_pending_per_queue,
    )
    seen_queries = QueryTaskMetrics(metrics)
    is_alone = not expects_others(settings)
    if settings.redis.url is None:
        return Coordination(
            signals=SilentSignals(),
            query_exchange=MemoryQueryExchange(
                now=clock.now, limits=limits, observer=seen_queries
            ),
            admission=build_queue_admission(
                settings,
                store,
                MemoryLedger() if is_alone else MissingLedger(),
                clock=clock,
            ),
            redis=None,
            is_alone=is_alone,
        )
    try:
        address = parse_redis_url(settings.redis.url)
    except BadRedisAddress as error:
        raise BootError(f"DW_REDIS_URL: {error}") from error
    seen = CoordinationMetrics(metrics)
    redis = RedisConnection(address, observer=seen)
    signals = RedisWakeSignals(
        redis, spawn=supervisor.spawn, observer=seen, topics=_heard(settings)
    )
    return Coordination(
        signals=signals,
        query_exchange=RedisQueryExchange(
            QueryTable(redis, now=clock.now, limits=limits),
            signals=signals,
            spawn=supervisor.spawn,
            now=clock.now,
            limits=limits,
            observer=seen_queries,
        ),
        admission=build_queue_admission(
            settings, store, RedisLedger(redis), clock=clock
        ),
        redis=redis,
        is_alone=is_alone,
        services=(signals,),
    )


def _heard(settings: Settings) -> frozenset[Topic]:
    """What can wake somebody in this process."""
    roles = node_identity(settings).roles
    return frozenset(topic for role in roles for topic in HEARD_BY[role])


def expects_others(settings: Settings) -> bool:
    """Whether other processes on the same database have been announced."""
    topology = settings.topology
    selected = select_topology(topology.shape, topology.process_class)
    return topology.multi_node or selected.shape == SPLIT_SHAPE
