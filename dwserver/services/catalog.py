"""The services that handlers and loops are given, composed once in ``roles``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dwserver.engine.context import Limits
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.activity_tasks import ActivityTasks
from dwserver.services.activity_timeouts import ActivityTimeouts
from dwserver.services.build_rollouts import BuildRollouts
from dwserver.services.deliveries import Deliveries
from dwserver.services.external_payloads import ExternalPayloads
from dwserver.services.history_exports.exporting import HistoryExports
from dwserver.services.history_imports.importing import HistoryImports
from dwserver.services.membership import Membership
from dwserver.services.namespaces import Namespaces
from dwserver.services.operator_commands import OperatorCommands
from dwserver.services.operator_metrics import OperatorMetrics
from dwserver.services.polls import Polls
from dwserver.services.queries import Queries
from dwserver.services.query_tasks import QueryTasks
from dwserver.services.retention import Retention
from dwserver.services.run_diagnosis import Diagnosis
from dwserver.services.schedule_retention import ScheduleRetention
from dwserver.services.schedules import Schedules
from dwserver.services.search_attributes import SearchAttributes
from dwserver.services.signal_with_start import SignalWithStart
from dwserver.services.standalone_activities import StandaloneActivities
from dwserver.services.storage_diagnosis import StorageDiagnosis
from dwserver.services.task_queues import TaskQueues
from dwserver.services.task_repair import TaskRepair
from dwserver.services.workers import Workers
from dwserver.services.workflow_tasks import WorkflowTasks
from dwserver.services.workflows import Workflows


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Bounds and defaults that handlers use; sizes in bytes, times in seconds.

    ``control_plane_framing``: how values that a caller sent unencoded are shown to
    operators. ``compatibility``: the marker of new runs. ``search_attributes``: most
    that one namespace defines. ``attributes``: what those of a run are held to.
    """

    poll_timeout_seconds: int
    query_poll_timeout_seconds: int
    history_page_default: int
    history_page_max: int
    payload_bytes: int
    external_payload_bytes: int
    memo_bytes: int
    search_attributes: int
    attributes: Limits
    operation_name_bytes: int
    update_wait_seconds: int
    retention_days: int
    default_task_queue: str
    worker_heartbeat_interval_seconds: int
    control_plane_framing: Framing
    compatibility: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """``now``: epoch microseconds; ``next_id``: a fresh id for what a caller did not
    name."""

    namespaces: Namespaces
    search_attributes: SearchAttributes
    external_payloads: ExternalPayloads
    storage_diagnosis: StorageDiagnosis
    workers: Workers
    retention: Retention
    schedule_retention: ScheduleRetention
    polls: Polls
    deliveries: Deliveries
    workflow_tasks: WorkflowTasks
    activity_tasks: ActivityTasks
    activity_timeouts: ActivityTimeouts
    task_repair: TaskRepair
    operator_metrics: OperatorMetrics
    workflows: Workflows
    diagnosis: Diagnosis
    task_queues: TaskQueues
    rollouts: BuildRollouts
    standalone_activities: StandaloneActivities
    history_exports: HistoryExports
    history_imports: HistoryImports
    commands: OperatorCommands
    signal_with_start: SignalWithStart
    schedules: Schedules
    queries: Queries
    query_tasks: QueryTasks
    membership: Membership
    limits: RequestLimits
    now: Callable[[], int]
    next_id: Callable[[], str]
