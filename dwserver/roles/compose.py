"""From a process class to the services of a running process."""

from __future__ import annotations

from collections.abc import Iterable

from dwserver.config.groups import DatabaseSettings
from dwserver.config.settings import Settings
from dwserver.engine.model import JsonMap
from dwserver.roles.core import build_core
from dwserver.roles.database import DatabaseService
from dwserver.roles.forwarding import build_forwarder
from dwserver.roles.http import build_http_server
from dwserver.roles.identity import node_identity
from dwserver.roles.loops import WhenPrepared
from dwserver.roles.membership import MembershipService, own_address
from dwserver.roles.plug import Check, Stage
from dwserver.roles.scheduler import hosts_scheduler
from dwserver.roles.table import PLUGS
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.ids import UlidSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.metrics_server import MetricsServer
from dwserver.runtime.service import Service
from dwserver.runtime.supervisor import Supervisor
from dwserver.store.api import Store
from dwserver.store.opening import open_store
from dwserver.topology.shapes import Role


def compose(
    settings: Settings, supervisor: Supervisor, metrics: Metrics
) -> list[Service]:
    """Database, coordination, background of the roles, listener, membership, clients of
    a listener, leaders: to be started in this order and stopped in reverse."""
    clock, ids = SystemClock(), UlidSource()
    store = open_settings_store(settings.database, metrics)
    core = build_core(
        settings,
        store=store,
        clock=clock,
        ids=ids,
        metrics=metrics,
        supervisor=supervisor,
    )
    checks: dict[str, Check] = {}
    forwarder = build_forwarder(settings, core, clock=clock, metrics=metrics)
    http = build_http_server(
        settings,
        core,
        clock=clock,
        ids=ids,
        metrics=metrics,
        role_checks=checks,
        forwarder=forwarder,
    )
    stage = Stage(
        settings=settings,
        identity=node_identity(settings),
        core=core,
        host=supervisor,
        metrics=metrics,
        ids=ids,
        forwarder=forwarder,
    )
    roles = list(stage.identity.roles)
    if Role.SCHEDULER not in roles and hosts_scheduler(settings, stage.identity.roles):
        roles.append(Role.SCHEDULER)
    parts = [PLUGS[role].build(stage) for role in roles]
    for part in parts:
        checks.update(part.checks)

    def load() -> JsonMap:
        return {
            "requests_in_flight": http.requests_in_flight,
            "polls_waiting": sum(core.matcher.pollers.counts().values()),
        }

    membership = MembershipService(
        core.membership,
        supervisor,
        address=lambda: own_address(settings, http.internal_port),
        load=load,
    )
    database = DatabaseService(store)
    services: list[Service] = [database, *core.coordination.services]
    if settings.metrics.port:
        services.append(
            MetricsServer(metrics, settings.metrics.host, settings.metrics.port)
        )
    loops = _once_each(loop for part in parts for loop in part.background)
    prepared = database.is_prepared
    services += [
        WhenPrepared("loops", loops, supervisor, is_prepared=prepared),
        http,
        WhenPrepared("membership", [membership], supervisor, is_prepared=prepared),
        *_once_each(client for part in parts for client in part.clients),
    ]
    leaders = _once_each(leader for part in parts for leader in part.leaders)
    if leaders:
        services.append(
            WhenPrepared("leaders", leaders, supervisor, is_prepared=prepared)
        )
    return services


def _once_each(services: Iterable[Service]) -> list[Service]:
    """The first of each name."""
    named: dict[str, Service] = {}
    for service in services:
        named.setdefault(service.name, service)
    return list(named.values())


def open_settings_store(database: DatabaseSettings, metrics: Metrics) -> Store:
    """The store of the settings, to be opened by its ``open()``."""

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
