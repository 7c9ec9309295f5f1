"""Records that services take and hand out, for the layers that may see neither the
store nor coordination."""

from __future__ import annotations

from dwserver.blobs.api import Driver, StoragePolicy
from dwserver.coordination.query_tasks import (
    Answer,
    Answered,
    Failed,
    QueryLease,
    QueryTaskRef,
)
from dwserver.store.api import (
    LiveNode,
    Namespace,
    RunCursor,
    RunFilter,
    RunView,
    StoredEvent,
    WorkerRegistration,
)
from dwserver.store.figures import FailingType, RecentTasks
from dwserver.store.queues import (
    QueueBacklog,
    QueuedTask,
    QueueLease,
    QueueLoad,
    QueueWorkers,
)
from dwserver.store.retention import RunPart
from dwserver.store.rollouts import CohortKey, QueueName, Rollout
from dwserver.store.schedules import ScheduleCursor, ScheduleFilter

__all__ = [
    "Answer",
    "Answered",
    "CohortKey",
    "Driver",
    "Failed",
    "FailingType",
    "LiveNode",
    "Namespace",
    "QueryLease",
    "QueryTaskRef",
    "QueueBacklog",
    "QueueLease",
    "QueueLoad",
    "QueueName",
    "QueueWorkers",
    "QueuedTask",
    "RecentTasks",
    "Rollout",
    "RunCursor",
    "RunFilter",
    "RunPart",
    "RunView",
    "ScheduleCursor",
    "ScheduleFilter",
    "StoragePolicy",
    "StoredEvent",
    "WorkerRegistration",
]
