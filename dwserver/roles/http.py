"""The HTTP edge of a node: authentication, readiness, discovery, routes, listener."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from dwserver.config.groups import AuthSettings
from dwserver.config.settings import Settings
from dwserver.engine.wire_time import MICROS
from dwserver.http.auth.access import Access, RoleAccess
from dwserver.http.auth.authenticator import Credentials
from dwserver.http.auth.drivers import build_authenticator
from dwserver.http.auth.provider import provider_access
from dwserver.http.control_plane.rollout_views import routing_drains
from dwserver.http.discovery.cluster_info import ClusterInfo, LiveBlocks
from dwserver.http.discovery.handlers import Discovery
from dwserver.http.discovery.readiness import (
    PROBE_TIMEOUT_SECONDS,
    Probes,
    Readiness,
    SchemaState,
)
from dwserver.http.forwarding.credential import forwarding_key
from dwserver.http.forwarding.forwarder import Forwarder
from dwserver.http.node import Backend, BackendFailures
from dwserver.http.observation import Observer
from dwserver.http.peers import TrustedPeers
from dwserver.http.pipeline import Pipeline
from dwserver.http.routes import route_table
from dwserver.http.server import HttpServer, ListenerSettings
from dwserver.http.system.repair_views import candidates_view, policy_view
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.core import Core
from dwserver.roles.health import engine_checks
from dwserver.roles.identity import node_facts, server_facts
from dwserver.runtime.clock import Clock
from dwserver.runtime.ids import IdSource
from dwserver.runtime.metrics import Metrics
from dwserver.services.fleet import fleet_block, worker_fleet
from dwserver.services.runs import RunContended
from dwserver.store.api import Store, StoreError

Found = TypeVar("Found")

RoleChecks = Mapping[str, Callable[[], JsonObject]]
"""State of what only some nodes run, by the name of the check."""


def build_readiness(
    settings: Settings,
    core: Core,
    access: Access,
    *,
    clock: Clock,
    role_checks: RoleChecks,
) -> Readiness:
    store, coordination = core.store, core.coordination
    return Readiness(
        Probes(
            database=store.ping,
            schema=lambda: _schema_state(store),
            namespace_exists=core.services.namespaces.exists,
            default_namespace=settings.server.default_namespace.lower(),
            cache=coordination.probe,
            cache_store=coordination.store_name,
            auth=access.state,
            role_checks=role_checks,
            health_checks=(
                coordination.backend_check,
                *engine_checks(
                    store,
                    settings.compatibility,
                    now=clock.now,
                    stale_after=core.services.workers.stale_after,
                ),
                coordination.wake_check,
            ),
        ),
        now=clock.now,
    )


async def _schema_state(store: Store) -> SchemaState:
    report = await store.migration_report()
    return SchemaState(
        has_ledger=report.has_ledger,
        pending=report.pending,
        adoptable=report.adoptable,
        blocking=report.blocking,
        missing_tables=report.missing_tables,
    )


def build_http_server(
    settings: Settings,
    core: Core,
    *,
    clock: Clock,
    ids: IdSource,
    metrics: Metrics,
    role_checks: RoleChecks,
    forwarder: Forwarder | None = None,
) -> HttpServer:
    node = node_facts(settings)
    access = build_access(settings.auth)
    readiness = build_readiness(
        settings, core, access, clock=clock, role_checks=role_checks
    )
    cluster_info = ClusterInfo(
        server_facts(settings),
        node,
        live=_live_blocks(settings, core),
        readiness=readiness,
    )
    discovery = Discovery(readiness, cluster_info, node.identity, now=clock.now)
    pipeline = Pipeline(
        route_table(discovery),
        core.services,
        node,
        access=access,
        backend=Backend(
            bootstrap=readiness,
            namespace_exists=core.services.namespaces.exists,
            failures=BackendFailures(
                unavailable=(StoreError,), contended=(RunContended,)
            ),
        ),
        observer=Observer(metrics, ids.next),
        trusted=TrustedPeers(_peer_key(settings), now=clock.now),
        forwarder=forwarder,
    )

    def release_polls() -> None:
        core.release_waits()
        if forwarder is not None:
            forwarder.release_polls()

    return HttpServer(
        pipeline,
        ListenerSettings(
            host=settings.http.host,
            port=settings.http.port,
            reuse_port=settings.http.reuse_port,
            internal_port=settings.http.internal_port,
            drain_delay_seconds=settings.shutdown.drain_seconds,
            shutdown_timeout_seconds=settings.shutdown.timeout_seconds,
        ),
        begin_drain=readiness.begin_drain,
        release_polls=release_polls,
        departures=None if forwarder is None else forwarder.departures,
    )


def _peer_key(settings: Settings) -> bytes | None:
    key = settings.server.server_key
    return forwarding_key(key) if key else None


def build_access(auth: AuthSettings) -> Access:
    """A configured provider decides alone; otherwise the driver and its secrets."""
    if auth.provider is not None:
        return provider_access(auth.provider)
    authenticator = build_authenticator(
        auth.driver,
        tokens=Credentials(
            worker=auth.worker_token,
            operator=auth.operator_token,
            admin=auth.admin_token,
            shared=auth.shared_token,
            accepts_shared=auth.accepts_shared_credential,
        ),
        signature_keys=Credentials(
            worker=auth.worker_signature_key,
            operator=auth.operator_signature_key,
            admin=auth.admin_signature_key,
            shared=auth.shared_signature_key,
            accepts_shared=auth.accepts_shared_credential,
        ),
    )
    return RoleAccess(authenticator)


def _live_blocks(settings: Settings, core: Core) -> LiveBlocks:
    workers, repair = core.services.workers, core.services.task_repair
    expires_after = settings.compatibility.heartbeat_ttl_seconds * MICROS

    async def task_repair() -> JsonObject:
        policy = policy_view(repair.policy)
        selection = await _soon(repair.candidates())
        if selection is None:
            return {"policy": policy}
        return {
            "policy": policy,
            "candidates": candidates_view(selection, now=core.services.now()),
        }

    async def fleet(namespace: str) -> JsonObject:
        found = await _soon(
            worker_fleet(workers, namespace, expires_after=expires_after)
        )
        return found or fleet_block(namespace, (), expires_after=expires_after)

    async def drains() -> JsonObject:
        found = await _soon(core.services.rollouts.drained_queues())
        return routing_drains(found or {})

    return LiveBlocks(
        worker_fleet=fleet, task_repair=task_repair, routing_drains=drains
    )


async def _soon(asked: Awaitable[Found]) -> Found | None:
    """None when the database does not answer (yet), or not in time: discovery answers
    without it."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            return await asked
    except (StoreError, TimeoutError):
        return None
