"""What the services of a process share, and they, built once (style §1, rule 9)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dwserver.config.settings import Settings
from dwserver.coordination.query_tasks import QueryExchange
from dwserver.coordination.wake_signals import Topic
from dwserver.loops.leases import ExpiredLeases
from dwserver.loops.timers import DueTimers
from dwserver.matching.matcher import Matcher
from dwserver.roles.coordination import Coordination, build_coordination
from dwserver.roles.identity import node_identity
from dwserver.roles.limits import engine_policy
from dwserver.roles.membership import build_membership
from dwserver.roles.observers import CommitMetrics, MatchingMetrics
from dwserver.roles.services import Shared, build_services
from dwserver.roles.waiters import Waiters, build_waiters, hear_of_others
from dwserver.runtime.clock import Clock
from dwserver.runtime.ids import IdSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.services.catalog import Services
from dwserver.services.close_policies import ClosePolicies
from dwserver.services.commits import CommitObserver
from dwserver.services.deadlines import Deadlines
from dwserver.services.hot_runs import HotRuns
from dwserver.services.membership import Membership
from dwserver.services.queue_admission import FreedRoom
from dwserver.services.runs import Runs
from dwserver.store.api import Store
from dwserver.topology.shapes import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    store: Store
    matcher: Matcher
    runs: Runs
    services: Services
    waiters: Waiters
    timers: DueTimers
    leases: ExpiredLeases
    deadlines: Deadlines
    close_policies: ClosePolicies
    query_exchange: QueryExchange
    coordination: Coordination
    membership: Membership

    def release_waits(self) -> None:
        """Answer every long poll, every wait for history and every query now; take no
        more of them (shutdown)."""
        self.matcher.drain()
        self.waiters.release_all()
        self.query_exchange.drain()


def build_core(
    settings: Settings,
    *,
    store: Store,
    clock: Clock,
    ids: IdSource,
    metrics: Metrics,
    supervisor: Supervisor,
) -> Core:
    """Everything between the store and the edges of the process."""
    hot = _hot_runs(settings)
    coordination = build_coordination(
        settings, store, clock=clock, metrics=metrics, supervisor=supervisor
    )
    matcher = _matcher(
        settings,
        store,
        coordination,
        clock=clock,
        metrics=metrics,
        supervisor=supervisor,
    )
    signals = coordination.signals
    waiters = build_waiters(settings, store, hot, signals=signals, clock=clock)
    hear_of_others(signals, matcher, waiters)
    observers: list[CommitObserver] = [*waiters.observers, CommitMetrics(metrics)]
    runs = Runs(
        store,
        hot=hot,
        hand_off=matcher,
        now=clock.now,
        next_id=ids.next,
        policy=engine_policy(settings),
        spawn=supervisor.spawn,
        observers=observers,
    )
    timers = DueTimers(
        store,
        runs,
        now=clock.now,
        observe_lag=lambda seconds: metrics.timer_lag_seconds.observe(value=seconds),
    )
    close_policies = ClosePolicies(store, runs, now=clock.now, spawn=supervisor.spawn)
    freed_room = FreedRoom(coordination.admission, heard_of=matcher.heard_of)
    observers += (timers, close_policies, freed_room)
    leases = ExpiredLeases(
        store, runs, now=clock.now, observe=metrics.leases_expired.inc
    )
    deadlines = Deadlines(store, runs, now=clock.now, observe=metrics.timeouts.inc)
    parts = Shared(
        store=store,
        runs=runs,
        matcher=matcher,
        waiters=waiters,
        deadlines=deadlines,
        close_policies=close_policies,
        coordination=coordination,
        membership=build_membership(settings, store, clock=clock),
        clock=clock,
        ids=ids,
        metrics=metrics,
        supervisor=supervisor,
    )
    return Core(
        store=store,
        matcher=matcher,
        runs=runs,
        services=build_services(settings, parts),
        waiters=waiters,
        timers=timers,
        leases=leases,
        deadlines=deadlines,
        close_policies=close_policies,
        query_exchange=coordination.query_exchange,
        coordination=coordination,
        membership=parts.membership,
    )


def _hot_runs(settings: Settings) -> HotRuns:
    return HotRuns(
        max_runs=settings.engine.run_cache_size,
        max_bytes=settings.engine.history_cache_bytes,
        keeps_ready=Role.MATCHING in node_identity(settings).roles,
    )


def _matcher(
    settings: Settings,
    store: Store,
    coordination: Coordination,
    *,
    clock: Clock,
    metrics: Metrics,
    supervisor: Supervisor,
) -> Matcher:
    signals = coordination.signals
    is_alone_on_database = settings.database.sqlite_path is not None
    sweep_seconds = settings.worker_plane.poll_interval_ms / 1000
    if not settings.topology.matching_queue_wake:
        # No sweep of this process ever comes to the help of a poll.
        sweep_seconds = math.inf
    elif is_alone_on_database:
        sweep_seconds = 0.0
    return Matcher(
        store,
        now=clock.now,
        spawn=supervisor.spawn,
        observer=MatchingMetrics(metrics),
        announce=lambda key: signals.publish(Topic.READY_TASK, tuple(key)),
        sweep_seconds=sweep_seconds,
        is_capped=coordination.admission.is_capped,
    )
