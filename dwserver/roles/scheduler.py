"""The role ``scheduler``: who leads, and what the leader does.

========= ======================================================================
mounts    nothing
runs      the lease of the leadership, and what its holder does
requires  the shared database
readiness check ``scheduler``: whether it leads, and in which term
========= ======================================================================

Any number of processes may host it; one holds the lease and fires (decision 24).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from dwserver.config.settings import Settings
from dwserver.engine.wire_time import iso, iso_or_none
from dwserver.loops.leadership import LeadershipLoop
from dwserver.loops.schedules import ScheduleTick, schedule_loop
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.observers import FireMetrics, LeadershipMetrics
from dwserver.roles.plug import Need, Parts, RolePlug, Stage
from dwserver.roles.reading import reading
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.metrics import Metrics
from dwserver.services.leadership import Leadership
from dwserver.store.api import Store
from dwserver.store.leadership import LeaderLease
from dwserver.topology.shapes import Bundle, Role

LEADERSHIP = "scheduler"


def hosts_scheduler(settings: Settings, roles: Bundle) -> bool:
    """Whether this process stands for the leadership: its class hosts the scheduler, or
    it is told to, or no other process can share its database."""
    return (
        Role.SCHEDULER in roles
        or settings.scheduler.in_process
        or settings.database.sqlite_path is not None
    )


async def read_scheduler_status(settings: Settings) -> JsonObject:
    """What the database says: ``leader``, null before the first one, and the figures of
    all schedules. Opens a store of its own; may raise StoreError, BootError."""
    async with reading(settings) as store:
        lease = await store.find_leader(LEADERSHIP)
        now = lease.read_at if lease else SystemClock().now()
        summary = await store.summarise_schedules(None, now=now)
    return {
        "leader": leader_view(lease) if lease else None,
        "schedules": {
            "active": summary.active,
            "paused": summary.paused,
            "missed": summary.missed,
            "oldest_overdue_at": iso_or_none(summary.oldest_overdue_at),
            "fires_total": summary.fires_total,
            "failures_total": summary.failures_total,
        },
    }


def leader_view(lease: LeaderLease) -> JsonObject:
    """Who leads, or led last, as operators are shown it."""
    return {
        "leadership": lease.name,
        "holder": lease.holder,
        "term": lease.term,
        "is_held": lease.is_held,
        # A released lease has no end of its own.
        "expires_at": iso(lease.expires_at) if lease.expires_at else None,
    }


def build_leadership(
    settings: Settings,
    store: Store,
    *,
    incarnation: str,
    metrics: Metrics,
    on_change: Callable[[], None] = lambda: None,
) -> Leadership:
    """This process as a candidate. ``incarnation`` is unique for each start: a term is
    then of one of them."""
    return Leadership(
        store,
        name=LEADERSHIP,
        holder=f"{settings.server.server_id}/{incarnation}",
        lease_seconds=settings.scheduler.lease_seconds,
        monotonic=time.monotonic,
        observer=LeadershipMetrics(metrics),
        on_change=on_change,
    )


def _build(stage: Stage) -> Parts:
    settings, host = stage.settings.scheduler, stage.host
    wake = asyncio.Event()
    leadership = build_leadership(
        stage.settings,
        stage.core.store,
        incarnation=stage.ids.next(),
        metrics=stage.metrics,
        on_change=wake.set,
    )
    tick = ScheduleTick(
        stage.core.services.schedules,
        leadership,
        observer=FireMetrics(stage.metrics),
        batch_size=settings.batch_size,
    )

    def check() -> JsonObject:
        term = leadership.term()
        return {
            "status": "ok",
            "is_leading": term is not None,
            "term": term.term if term else None,
        }

    # Drained in reverse, so that the lease goes last.
    return Parts(
        leaders=(
            LeadershipLoop(leadership, host),
            schedule_loop(
                tick, host, interval_seconds=settings.tick_ms / 1000, wake=wake
            ),
        ),
        checks={LEADERSHIP: check},
    )


SCHEDULER: Final = RolePlug(
    role=Role.SCHEDULER,
    requires=frozenset({Need.SHARED_DATABASE}),
    build=_build,
)
