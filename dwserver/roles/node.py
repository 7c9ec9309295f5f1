"""One node: a process from its settings to its orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from dwserver.config.groups import DatabaseSettings
from dwserver.config.settings import Settings
from dwserver.loops.deadlines import deadline_loop
from dwserver.loops.leases import lease_loop
from dwserver.loops.matching import sweep_loop, upkeep_loop
from dwserver.loops.outbox import outbox_loop
from dwserver.loops.timers import timer_loop
from dwserver.loops.worker_liveness import liveness_loop
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.core import Core, build_core
from dwserver.roles.database import DatabaseService
from dwserver.roles.errors import BootError
from dwserver.roles.execution import CHECK, build_execution_plane, execution_check
from dwserver.roles.http import build_http_server
from dwserver.roles.identity import node_facts
from dwserver.roles.loops import LoopsWhenPrepared
from dwserver.roles.scheduler import hosts_scheduler, scheduler_services
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.ids import UlidSource
from dwserver.runtime.memory import tune_garbage_collection
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.metrics_server import MetricsServer
from dwserver.runtime.service import Service
from dwserver.runtime.signals import ShutdownSignals
from dwserver.runtime.supervisor import Supervisor
from dwserver.store.api import Store
from dwserver.store.opening import open_store

_log = structlog.stdlib.get_logger(__name__)


async def serve_node(settings: Settings, *, on_ready: Callable[[], None]) -> None:
    """Run until a signal or a fatal failure; raises BootError for the latter."""
    metrics = Metrics()
    supervisor = Supervisor(on_loop_failure=metrics.loop_failures.inc)
    _compose(settings, supervisor, metrics)
    with ShutdownSignals() as signals:
        await supervisor.start()
        tune_garbage_collection()
        _log.info("node_started", server_id=settings.server.server_id)
        on_ready()
        failed = asyncio.create_task(supervisor.wait_for_failure())
        asked = asyncio.create_task(signals.requested.wait())
        await asyncio.wait((failed, asked), return_when=asyncio.FIRST_COMPLETED)
        _log.info("node_stopping")
        for task in (failed, asked):
            task.cancel()
        drain = settings.shutdown.drain_seconds + settings.shutdown.timeout_seconds
        await supervisor.stop(timeout_seconds=drain)
    _log.info("node_stopped")
    failure = supervisor.failure
    if failure is not None:
        raise BootError(f"{failure.name} failed: {failure.error}") from failure.error


def _compose(settings: Settings, supervisor: Supervisor, metrics: Metrics) -> None:
    """Database, loops, HTTP, and the workers, which are clients of the rest: started in
    this order, stopped in reverse."""
    clock, ids = SystemClock(), UlidSource()
    store = _store(settings.database, metrics)
    core = build_core(
        settings,
        store=store,
        clock=clock,
        ids=ids,
        metrics=metrics,
        supervisor=supervisor,
    )
    database = DatabaseService(store)
    supervisor.add(database)
    if settings.metrics.port:
        supervisor.add(
            MetricsServer(metrics, settings.metrics.host, settings.metrics.port)
        )
    loops = _loops(settings, supervisor, core, metrics)
    supervisor.add(
        LoopsWhenPrepared(loops, supervisor, is_prepared=database.is_prepared)
    )
    checks: dict[str, Callable[[], JsonObject]] = {}
    http = build_http_server(
        settings,
        core,
        clock=clock,
        ids=ids,
        metrics=metrics,
        role_checks=checks,
    )
    supervisor.add(http)
    execution = build_execution_plane(settings, port=lambda: http.port)
    if execution is not None:
        checks[CHECK] = lambda: execution_check(execution.state())
        supervisor.add(execution)
    if hosts_scheduler(settings, node_facts(settings).identity.roles):
        # Last, hence drained first: the next leader need not wait for our clients.
        scheduler = scheduler_services(
            settings, core, host=supervisor, ids=ids, metrics=metrics
        )
        supervisor.add(
            LoopsWhenPrepared(
                scheduler,
                supervisor,
                is_prepared=database.is_prepared,
                name="scheduler",
            )
        )


def _loops(
    settings: Settings, supervisor: Supervisor, core: Core, metrics: Metrics
) -> list[Service]:
    interval = settings.worker_plane.poll_interval_ms / 1000
    return [
        timer_loop(core.timers, supervisor),
        lease_loop(core.leases, supervisor),
        deadline_loop(core.deadlines, supervisor),
        outbox_loop(core.close_policies, supervisor),
        sweep_loop(
            core.matcher,
            supervisor,
            interval_seconds=interval,
            observe_waiting=lambda kind, count: metrics.polls_waiting.set(
                kind, to=count
            ),
        ),
        upkeep_loop(core.matcher, supervisor),
        liveness_loop(core.services.workers, supervisor),
    ]


def _store(database: DatabaseSettings, metrics: Metrics) -> Store:
    def observe(transitions: int, seconds: float) -> None:
        metrics.commit_batch_size.observe(value=transitions)
        metrics.commit_seconds.observe(value=seconds)

    if database.sqlite_path is not None:
        return open_store(database.url, observe=observe)
    return open_store(
        database.url,
        pool_size=database.pool_size,
        writers=database.writers,
        statement_cache_size=database.statement_cache,
        command_timeout_seconds=database.command_timeout_seconds,
        observe=observe,
    )
