"""The services of a process."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.config.settings import Settings
from dwserver.engine.wire_time import MICROS
from dwserver.matching.matcher import Matcher
from dwserver.protocol.payloads.framing import framing_for
from dwserver.roles.coordination import Coordination
from dwserver.roles.history_exports import build_history_exports
from dwserver.roles.identity import advertised_version
from dwserver.roles.limits import (
    DEFAULT_TASK_QUEUE,
    request_limits,
)
from dwserver.roles.operator_metrics import build_operator_metrics
from dwserver.roles.queries import build_queries, build_query_tasks
from dwserver.roles.storage import build_external_payloads
from dwserver.roles.waiters import Waiters
from dwserver.runtime.clock import Clock
from dwserver.runtime.ids import IdSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.services.activity_tasks import ActivityTasks
from dwserver.services.activity_timeouts import ActivityTimeouts
from dwserver.services.build_rollouts import BuildRollouts
from dwserver.services.catalog import Services
from dwserver.services.close_policies import ClosePolicies
from dwserver.services.command_contracts import CommandContracts
from dwserver.services.deadlines import Deadlines
from dwserver.services.deliveries import Deliveries
from dwserver.services.drain_gate import DrainGate
from dwserver.services.external_payloads import ExternalPayloads
from dwserver.services.history_exports.exporting import HistoryExports
from dwserver.services.history_imports.importing import HistoryImports
from dwserver.services.membership import Membership
from dwserver.services.namespaces import Namespaces
from dwserver.services.operator_commands import OperatorCommands
from dwserver.services.operator_metrics import OperatorMetrics
from dwserver.services.poll_news import PollNews
from dwserver.services.polls import Polls
from dwserver.services.queries import Queries
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
from dwserver.services.task_queues import TaskQueues
from dwserver.services.task_repair import RepairPolicy, TaskRepair
from dwserver.services.tasks import Tasks
from dwserver.services.workers import Workers
from dwserver.services.workflow_tasks import WorkflowTasks
from dwserver.services.workflows import Workflows
from dwserver.store.api import Store

# How long another process's change of a namespace may go unnoticed.
NAMESPACE_TTL_SECONDS = 30
# Longer than a poll is held: the polls themselves refresh a registration.
REGISTRATION_TTL_SECONDS = 120
# How long the declarations of a worker that registered elsewhere may go unnoticed.
CONTRACT_TTL_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
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


def build_services(settings: Settings, parts: Shared) -> Services:
    store, runs, clock = parts.store, parts.runs, parts.clock
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
    rollouts = BuildRollouts(store, workers=workers, now=clock.now)
    drains = DrainGate(rollouts, now=clock.now)
    gate = _start_gate(settings, parts, workers=workers, drains=drains)
    workflows = _workflows(settings, parts, gate)
    commands = _commands(parts, contracts)
    queues = _task_queues(settings, parts, workers)
    return Services(
        namespaces=namespaces,
        search_attributes=_search_attributes(settings, parts),
        external_payloads=external_payloads,
        storage_diagnosis=storage_diagnosis,
        workers=workers,
        retention=_retention(settings, parts, namespaces),
        schedule_retention=_schedule_retention(settings, parts, namespaces),
        polls=_polls(parts, workers, poll_news),
        deliveries=deliveries,
        workflow_tasks=_workflow_tasks(
            settings,
            parts,
            tasks=tasks,
            deliveries=deliveries,
            workers=workers,
            renewals=renewals,
        ),
        activity_tasks=ActivityTasks(store, runs=runs, tasks=tasks, renewals=renewals),
        activity_timeouts=timeouts,
        task_repair=repair,
        operator_metrics=_operator_metrics(settings, parts, workers, repair),
        workflows=workflows,
        diagnosis=_diagnosis(
            settings, parts, workflows=workflows, queues=queues, workers=workers
        ),
        task_queues=queues,
        rollouts=rollouts,
        standalone_activities=StandaloneActivities(
            store, runs=runs, workflows=workflows, drains=drains
        ),
        commands=commands,
        schedules=_schedules(
            settings, parts, gate, commands=commands, payloads=external_payloads
        ),
        history_exports=_history_exports(settings, parts, workflows),
        history_imports=HistoryImports(
            store, runs=runs, signing_key=settings.history.export_signing_key
        ),
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


def _workflow_tasks(
    settings: Settings,
    parts: Shared,
    *,
    tasks: Tasks,
    deliveries: Deliveries,
    workers: Workers,
    renewals: Renewals,
) -> WorkflowTasks:
    return WorkflowTasks(
        parts.store,
        runs=parts.runs,
        tasks=tasks,
        deliveries=deliveries,
        workers=workers,
        renewals=renewals,
        now=parts.clock.now,
        lease_duration=settings.worker_plane.workflow_task_lease_seconds * MICROS,
    )


def _start_gate(
    settings: Settings, parts: Shared, *, workers: Workers, drains: DrainGate
) -> StartGate:
    return StartGate(
        workers,
        drains=drains,
        now=parts.clock.now,
        is_closing=settings.compatibility.fleet_validation_mode == "fail",
    )


def _workers(settings: Settings, parts: Shared) -> Workers:
    return Workers(
        parts.store,
        now=parts.clock.now,
        cache_ttl=REGISTRATION_TTL_SECONDS * MICROS,
        stale_after=settings.worker_plane.stale_after_seconds * MICROS,
        signals=parts.coordination.signals,
    )


def _operator_metrics(
    settings: Settings, parts: Shared, workers: Workers, repair: TaskRepair
) -> OperatorMetrics:
    return build_operator_metrics(
        settings,
        parts.store,
        workers=workers,
        repair=repair,
        coordination=parts.coordination,
        now=parts.clock.now,
    )


def _polls(parts: Shared, workers: Workers, news: PollNews) -> Polls:
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


def _workflows(settings: Settings, parts: Shared, gate: StartGate) -> Workflows:
    return Workflows(
        parts.store,
        runs=parts.runs,
        gate=gate,
        waiters=parts.waiters.history,
        recheck_seconds=settings.worker_plane.poll_interval_ms / 1000,
    )


def _history_exports(
    settings: Settings, parts: Shared, workflows: Workflows
) -> HistoryExports:
    return build_history_exports(
        settings,
        parts.store,
        workflows=workflows,
        framing=framing_for(advertised_version(settings)),
        now=parts.clock.now,
    )


def _diagnosis(
    settings: Settings,
    parts: Shared,
    *,
    workflows: Workflows,
    queues: TaskQueues,
    workers: Workers,
) -> Diagnosis:
    return Diagnosis(
        parts.store,
        workflows=workflows,
        queues=queues,
        workers=workers,
        now=parts.clock.now,
        pins_definitions=settings.compatibility.pins_fingerprint,
    )


def _task_queues(settings: Settings, parts: Shared, workers: Workers) -> TaskQueues:
    return TaskQueues(
        parts.store,
        workers=workers,
        admission=parts.coordination.admission,
        queries=parts.coordination.query_exchange,
        now=parts.clock.now,
        overdue_after=settings.repair.redispatch_after_seconds * MICROS,
        pending_queries=settings.query_tasks.max_pending_per_queue,
    )


def _commands(parts: Shared, contracts: CommandContracts) -> OperatorCommands:
    return OperatorCommands(
        parts.store,
        runs=parts.runs,
        contracts=contracts,
        waiters=parts.waiters.updates,
        close_policies=parts.close_policies,
    )


def _queries(settings: Settings, parts: Shared, workers: Workers) -> Queries:
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
    parts: Shared,
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


def _contracts(parts: Shared, workers: Workers) -> CommandContracts:
    return CommandContracts(
        parts.store,
        workers=workers,
        hot=parts.runs.hot,
        now=parts.clock.now,
        cache_ttl=CONTRACT_TTL_SECONDS * MICROS,
    )


def _task_repair(
    settings: Settings, parts: Shared, timeouts: ActivityTimeouts
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


def _retention(settings: Settings, parts: Shared, namespaces: Namespaces) -> Retention:
    return Retention(
        parts.store,
        namespaces,
        parts.runs.hot,
        now=parts.clock.now,
        default_days=settings.history.retention_days,
        observe=lambda count: parts.metrics.runs_pruned.inc(amount=count),
    )


def _schedule_retention(
    settings: Settings, parts: Shared, namespaces: Namespaces
) -> ScheduleRetention:
    return ScheduleRetention(
        parts.store,
        namespaces,
        now=parts.clock.now,
        default_days=settings.history.retention_days,
    )


def _namespaces(parts: Shared) -> Namespaces:
    ttl = NAMESPACE_TTL_SECONDS * MICROS
    return Namespaces(parts.store, now=parts.clock.now, cache_ttl=ttl)


def _search_attributes(settings: Settings, parts: Shared) -> SearchAttributes:
    return SearchAttributes(
        parts.store,
        now=parts.clock.now,
        max_defined=settings.published_limits.max_search_attributes,
        cache_ttl=NAMESPACE_TTL_SECONDS * MICROS,
    )
