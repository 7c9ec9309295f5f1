"""Rows: polls, leases, query tasks and admission caps."""

from __future__ import annotations

from types import MappingProxyType

from dwserver.config.variable import Derived, OnInvalid, Origin, Variable
from dwserver.config.variable import ValueType as T

WORKER_PLANE_VARIABLES = (
    Variable(
        "DW_WORKER_PROTOCOL_VERSION",
        T.STRING,
        "worker_plane.protocol_version",
        default=Derived("newest that this build speaks", lambda _: None),
        pattern=r"1\.(0|[1-9][0-9]?)",
        expected="a worker protocol version such as 1.0 or 1.20",
        description="Worker protocol version to advertise; the oldest SDKs "
        "insist on 1.0 or 1.1.",
    ),
    Variable(
        "DW_WORKER_POLL_TIMEOUT",
        T.INTEGER,
        "worker_plane.poll_timeout_seconds",
        default=30,
        unit="seconds",
        minimum=0,
        maximum=60,
        on_invalid=OnInvalid.CLAMP,
        description="How long an idle poll is held open; 0 answers at once.",
    ),
    Variable(
        "DW_WORKER_POLL_INTERVAL_MS",
        T.INTEGER,
        "worker_plane.poll_interval_ms",
        default=1000,
        unit="milliseconds",
        minimum=10,
        description="Interval of the safety sweep for ready tasks whose wake was lost.",
    ),
    Variable(
        "DW_WORKER_POLL_SIGNAL_CHECK_INTERVAL_MS",
        T.INTEGER,
        None,
        has_effect=False,
        default=100,
        unit="milliseconds",
        minimum=1,
        description="Wakes are pushed to waiting polls, so nothing is checked "
        "at an interval.",
    ),
    Variable(
        "DW_POLLING_CACHE_PATH",
        T.STRING,
        None,
        has_effect=False,
        description="Polls are coordinated in memory or Redis, never in files.",
    ),
    Variable(
        "DW_WAKE_SIGNAL_TTL_SECONDS",
        T.INTEGER,
        "worker_plane.wake_signal_ttl_seconds",
        default=Derived(
            "max(DW_WORKER_POLL_TIMEOUT + 5, 60)",
            lambda lookup: max(lookup("DW_WORKER_POLL_TIMEOUT") + 5, 60),
        ),
        unit="seconds",
        minimum=1,
        description="How long other processes tell of a run after they heard that "
        "somebody waits for it.",
    ),
    Variable(
        "DW_MAX_TASKS_PER_POLL",
        T.INTEGER,
        None,
        has_effect=False,
        default=1,
        unit="tasks",
        minimum=1,
        maximum=100,
        description="A poll is answered with one task.",
    ),
    Variable(
        "DW_WORKER_LONG_POLL_MAX_CONCURRENT",
        T.INTEGER,
        None,
        has_effect=False,
        unit="polls",
        minimum=0,
        zero_unsets=True,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.LATER,
        description="Waiting polls take no thread and are not capped.",
    ),
    Variable(
        "DW_WORKER_LONG_POLL_MAX_CONCURRENT_PER_NAMESPACE",
        T.INTEGER,
        None,
        has_effect=False,
        unit="polls",
        minimum=0,
        zero_unsets=True,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.LATER,
        description="Waiting polls take no thread and are not capped.",
    ),
    Variable(
        "DW_WORKFLOW_TASK_TIMEOUT",
        T.INTEGER,
        "worker_plane.workflow_task_lease_seconds",
        default=60,
        unit="seconds",
        minimum=1,
        alias="WORKFLOW_TASK_TIMEOUT",
        description="Lease of a workflow task.",
    ),
    Variable(
        "DW_ACTIVITY_TASK_TIMEOUT",
        T.INTEGER,
        "worker_plane.activity_task_lease_seconds",
        default=300,
        unit="seconds",
        minimum=1,
        alias="ACTIVITY_TASK_TIMEOUT",
        description="Lease of an activity task.",
    ),
    Variable(
        "DW_WORKER_STALE_AFTER_SECONDS",
        T.INTEGER,
        "worker_plane.stale_after_seconds",
        default=Derived(
            "max(2 * DW_WORKER_POLL_TIMEOUT, 60)",
            lambda lookup: max(2 * lookup("DW_WORKER_POLL_TIMEOUT"), 60),
        ),
        unit="seconds",
        minimum=1,
        on_invalid=OnInvalid.CLAMP,
        description="Silence after which a worker no longer counts as alive.",
    ),
    Variable(
        "DW_QUERY_TASK_TIMEOUT",
        T.INTEGER,
        "query_tasks.timeout_seconds",
        default=Derived(
            "DW_WORKER_POLL_TIMEOUT", lambda lookup: lookup("DW_WORKER_POLL_TIMEOUT")
        ),
        unit="seconds",
        minimum=0,
        description="How long a query waits for a worker's answer.",
    ),
    Variable(
        "DW_QUERY_TASK_LEASE_TIMEOUT",
        T.INTEGER,
        "query_tasks.lease_seconds",
        default=Derived(
            "DW_WORKFLOW_TASK_TIMEOUT",
            lambda lookup: lookup("DW_WORKFLOW_TASK_TIMEOUT"),
        ),
        unit="seconds",
        minimum=1,
        description="Lease of a query task.",
    ),
    Variable(
        "DW_QUERY_TASK_TTL_SECONDS",
        T.INTEGER,
        "query_tasks.ttl_seconds",
        default=180,
        unit="seconds",
        minimum=60,
        on_invalid=OnInvalid.CLAMP,
        description="How long an answered or abandoned query task is remembered.",
    ),
    Variable(
        "DW_QUERY_TASK_MAX_PENDING_PER_QUEUE",
        T.INTEGER,
        "query_tasks.max_pending_per_queue",
        default=1024,
        unit="queries",
        minimum=1,
        maximum=10_000,
        on_invalid=OnInvalid.CLAMP,
        description="Queries that may wait on one task queue; more are refused.",
    ),
    Variable(
        "DW_QUERY_TASK_POLL_TIMEOUT",
        T.INTEGER,
        "query_tasks.poll_timeout_seconds",
        default=5,
        unit="seconds",
        minimum=0,
        maximum=60,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.LATER,
        description="Longest time that an idle query-task poll is held open, whatever "
        "it asks for; some SDKs stop only when it ends.",
    ),
)


def _cap(kind: str, suffix: str, description: str) -> Variable:
    """An admission cap; zero and below mean none (§5.6)."""
    return Variable(
        f"DW_{kind.upper()}_TASK_{suffix}",
        T.INTEGER,
        f"admission.{kind}_{suffix.lower()}",
        minimum=0,
        zero_unsets=True,
        on_invalid=OnInvalid.CLAMP,
        description=description,
    )


def _caps(kind: str) -> tuple[Variable, ...]:
    return (
        _cap(
            kind,
            "MAX_ACTIVE_LEASES_PER_QUEUE",
            f"Most {kind} tasks leased at once per task queue.",
        ),
        _cap(
            kind,
            "MAX_ACTIVE_LEASES_PER_NAMESPACE",
            f"Most {kind} tasks leased at once per namespace.",
        ),
        _cap(
            kind,
            "MAX_DISPATCHES_PER_MINUTE",
            f"Most {kind} tasks handed out per minute and task queue.",
        ),
        _cap(
            kind,
            "MAX_DISPATCHES_PER_MINUTE_PER_NAMESPACE",
            f"Most {kind} tasks handed out per minute and namespace.",
        ),
    )


ADMISSION_VARIABLES = (
    *_caps("workflow"),
    *_caps("activity"),
    Variable(
        "DW_TASK_QUEUE_ADMISSION_OVERRIDES",
        T.JSON,
        "admission.overrides",
        default=MappingProxyType({}),
        on_invalid=OnInvalid.DEFAULT,
        description="Caps per `namespace:queue`, `namespace:*`, `queue` or `*` "
        "that replace the ones above.",
    ),
)
