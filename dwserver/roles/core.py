"""The services of a process and what they share, built once (style §1, rule 9)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dwserver.config.settings import Settings
from dwserver.coordination.query_tasks import QueryExchange
from dwserver.coordination.wake_signals import Topic
from dwserver.loops.leases import ExpiredLeases
from dwserver.loops.timers import DueTimers
from dwserver.matching.matcher import Matcher
from dwserver.protocol.payloads.framing import framing_for
from dwserver.roles.coordination import Coordination, build_coordination
from dwserver.roles.history_exports import build_history_exports
from dwserver.roles.identity import advertised_version, node_identity
from dwserver.roles.limits import (
    DEFAULT_TASK_QUEUE,
    engine_policy,
    request_limits,
)
from dwserver.roles.membership import build_membership
from dwserver.roles.observers import CommitMetrics, MatchingMetrics
from dwserver.roles.operator_metrics import build_operator_metrics
from dwserver.roles.queries import build_queries, build_query_tasks
from dwserver.roles.storage import build_external_payloads
from dwserver.roles.waiters import Waiters, build_waiters, hear_of_others
from dwserver.runtime.clock import Clock
from dwserver.runtime.ids import IdSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.services.activity_tasks import ActivityTasks
from dwserver.services.activity_timeouts import ActivityTimeouts
from dwserver.services.catalog import Services
from dwserver.services.close_policies import ClosePolicies
from dwserver.services.command_contracts import CommandContracts
from dwserver.services.commits import CommitObserver
from dwserver.services.deadlines import Deadlines
from dwserver.services.deliveries import Deliveries
from dwserver.services.external_payloads import ExternalPayloads
from dwserver.services.history_exports.exporting import HistoryExports
from dwserver.services.hot_runs import HotRuns
from dwserver.services.membership import Membership
from dwserver.services.namespaces import Namespaces
from dwserver.services.operator_commands import OperatorCommands
from dwserver.services.operator_metrics import OperatorMetrics
from dwserver.services.poll_news import PollNews
from dwserver.services.polls import Polls
from dwserver.services.queries import Queries
from dwserver.services.queue_admission import FreedRoom
from dwserver.services.renewals import Renewals
from dwserver.services.retention import Retention
from dwserver.services.run_diagnosis import Diagnosis
from dwserver.services.runs import Runs
from dwserver.services.schedule_fires import ScheduleFires
from dwserver.services.schedule_retention import ScheduleRetention
from dwserver.services.schedules import Schedules
from dwserver.services.search_attributes import SearchAttributes
from dwserver.services.signal_with_start import SignalWithStart
from dwserver.services.standalone_activities import StandaloneActivities
from dwserver.services.start_gate import StartGate
from dwserver.services.task_repair import RepairPolicy, TaskRepair
from dwserver.services.tasks import Tasks
from dwserver.services.workers import Workers
from dwserver.services.workflow_tasks import WorkflowTasks
from dwserver.services.workflows import Workflows
from dwserver.store.api import Store
from dwserver.topology.shapes import Role

MICROS = 1_000_000
# How long another process's change of a namespace may go unnoticed.
NAMESPACE_TTL_SECONDS = 30
# Longer than a poll is held: the polls themselves refresh a registration.
REGISTRATION_TTL_SECONDS = 120
# How long the declarations of a worker that registered elsewhere may go unnoticed.
CONTRACT_TTL_SECONDS = 2


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the services of a process share."""

    store: Store
    runs: Runs
    matcher: Matcher
    waiters: Waiters
    deadlines: Deadlines
    close_policies: ClosePolicies
    coordination: Coordination
    membership: Membership
    clock: Clock
    ids: IdSource
    metrics: Metrics
    supervisor: Supervisor


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
    parts = _Parts(
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
        services=_services(settings, parts),
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


def _services(settings: Settings, parts: _Parts) -> Services:
    store, runs, clock = parts.store, parts.runs, parts.clock
    plane = settings.worker_plane
    tasks = Tasks(store, runs.hot)
    deliveries = Deliveries(store, runs.hot)
    namespaces = _namespaces(parts)
    external_payloads, storage_diagnosis = build_external_payloads(
        settings, namespaces, parts.metrics
    )
    renewals = Renewals(store, spawn=parts.supervisor.spawn)
    workers = _workers(settings, parts)
    contracts = _contracts(parts, workers)
    timeouts = ActivityTimeouts(store, parts.deadlines, now=clock.now)
    repair = _task_repair(settings, parts, timeouts)
    poll_news = PollNews(parts.coordination.signals, now=clock.now)
    gate = StartGate(
        workers,
        now=clock.now,
        is_closing=settings.compatibility.fleet_validation_mode == "fail",
    )
    workflows = _workflows(settings, parts, gate)
    commands = _commands(parts, contracts)
    return Services(
        namespaces=namespaces,
        search_attributes=_search_attributes(settings, parts),
        external_payloads=external_payloads,
        storage_diagnosis=storage_diagnosis,
        workers=workers,
        retention=_retention(settings, parts, namespaces),
        schedule_retention=ScheduleRetention(
            store,
            namespaces,
            now=clock.now,
            default_days=settings.history.retention_days,
        ),
        polls=_polls(parts, workers, poll_news),
        deliveries=deliveries,
        workflow_tasks=WorkflowTasks(
            store,
            runs=runs,
            tasks=tasks,
            deliveries=deliveries,
            workers=workers,
            renewals=renewals,
            now=clock.now,
            lease_duration=plane.workflow_task_lease_seconds * MICROS,
        ),
        activity_tasks=ActivityTasks(store, runs=runs, tasks=tasks, renewals=renewals),
        activity_timeouts=timeouts,
        task_repair=repair,
        operator_metrics=_operator_metrics(settings, parts, workers, repair),
        workflows=workflows,
        diagnosis=_diagnosis(settings, parts, workflows=workflows, workers=workers),
        standalone_activities=StandaloneActivities(
            store, runs=runs, workflows=workflows
        ),
        commands=commands,
        schedules=_schedules(
            settings, parts, gate, commands=commands, payloads=external_payloads
        ),
        history_exports=_history_exports(settings, parts, workflows),
        signal_with_start=SignalWithStart(
            store, runs=runs, gate=gate, contracts=contracts
        ),
        queries=_queries(settings, parts, workers),
        query_tasks=build_query_tasks(
            parts.coordination.query_exchange,
            workers=workers,
            matcher=parts.matcher,
            news=poll_news,
            clock=clock,
        ),
        membership=parts.membership,
        limits=request_limits(settings),
        now=clock.now,
        next_id=parts.ids.next,
    )


def _workers(settings: Settings, parts: _Parts) -> Workers:
    return Workers(
        parts.store,
        now=parts.clock.now,
        cache_ttl=REGISTRATION_TTL_SECONDS * MICROS,
        stale_after=settings.worker_plane.stale_after_seconds * MICROS,
    )


def _operator_metrics(
    settings: Settings, parts: _Parts, workers: Workers, repair: TaskRepair
) -> OperatorMetrics:
    return build_operator_metrics(
        settings,
        parts.store,
        workers=workers,
        repair=repair,
        coordination=parts.coordination,
        now=parts.clock.now,
    )


def _polls(parts: _Parts, workers: Workers, news: PollNews) -> Polls:
    return Polls(
        parts.store,
        runs=parts.runs,
        matcher=parts.matcher,
        workers=workers,
        admission=parts.coordination.admission,
        news=news,
        now=parts.clock.now,
        spawn=parts.supervisor.spawn,
    )


def _workflows(settings: Settings, parts: _Parts, gate: StartGate) -> Workflows:
    return Workflows(
        parts.store,
        runs=parts.runs,
        gate=gate,
        waiters=parts.waiters.history,
        recheck_seconds=settings.worker_plane.poll_interval_ms / 1000,
    )


def _history_exports(
    settings: Settings, parts: _Parts, workflows: Workflows
) -> HistoryExports:
    return build_history_exports(
        settings,
        parts.store,
        workflows=workflows,
        framing=framing_for(advertised_version(settings)),
        now=parts.clock.now,
    )


def _diagnosis(
    settings: Settings, parts: _Parts, *, workflows: Workflows, workers: Workers
) -> Diagnosis:
    return Diagnosis(
        parts.store,
        workflows=workflows,
        workers=workers,
        now=parts.clock.now,
        overdue_after=settings.repair.redispatch_after_seconds * MICROS,
    )


def _commands(parts: _Parts, contracts: CommandContracts) -> OperatorCommands:
    return OperatorCommands(
        parts.store,
        runs=parts.runs,
        contracts=contracts,
        waiters=parts.waiters.updates,
        close_policies=parts.close_policies,
    )


def _queries(settings: Settings, parts: _Parts, workers: Workers) -> Queries:
    return build_queries(
        settings,
        parts.store,
        parts.coordination.query_exchange,
        workers=workers,
        clock=parts.clock,
        ids=parts.ids,
        metrics=parts.metrics,
    )


def _schedules(
    settings: Settings,
    parts: _Parts,
    gate: StartGate,
    *,
    commands: OperatorCommands,
    payloads: ExternalPayloads,
) -> Schedules:
    fires = ScheduleFires(
        parts.store,
        runs=parts.runs,
        gate=gate,
        commands=commands,
        external_payloads=payloads,
        default_task_queue=DEFAULT_TASK_QUEUE,
        compatibility=settings.compatibility.current,
    )
    return Schedules(parts.store, runs=parts.runs, fires=fires)


def _contracts(parts: _Parts, workers: Workers) -> CommandContracts:
    return CommandContracts(
        parts.store,
        workers=workers,
        hot=parts.runs.hot,
        now=parts.clock.now,
        cache_ttl=CONTRACT_TTL_SECONDS * MICROS,
    )


def _task_repair(
    settings: Settings, parts: _Parts, timeouts: ActivityTimeouts
) -> TaskRepair:
    repair = settings.repair
    return TaskRepair(
        parts.store,
        parts.runs,
        deadlines=parts.deadlines,
        timeouts=timeouts,
        now=parts.clock.now,
        holder=settings.server.server_id,
        policy=RepairPolicy(
            redispatch_after_seconds=repair.redispatch_after_seconds,
            loop_throttle_seconds=repair.loop_throttle_seconds,
            scan_limit=repair.scan_limit,
            failure_backoff_max_seconds=repair.failure_backoff_max_seconds,
        ),
    )


def _retention(settings: Settings, parts: _Parts, namespaces: Namespaces) -> Retention:
    return Retention(
        parts.store,
        namespaces,
        parts.runs.hot,
        now=parts.clock.now,
        default_days=settings.history.retention_days,
        observe=lambda count: parts.metrics.runs_pruned.inc(amount=count),
    )


def _namespaces(parts: _Parts) -> Namespaces:
    ttl = NAMESPACE_TTL_SECONDS * MICROS
    return Namespaces(parts.store, now=parts.clock.now, cache_ttl=ttl)


def _search_attributes(settings: Settings, parts: _Parts) -> SearchAttributes:
    return SearchAttributes(
        parts.store,
        now=parts.clock.now,
        max_defined=settings.published_limits.max_search_attributes,
        cache_ttl=NAMESPACE_TTL_SECONDS * MICROS,
    )
