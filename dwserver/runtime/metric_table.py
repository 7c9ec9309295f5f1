"""Every metric of the server: name, kind, help, labels and their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """The Prometheus type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label and the most distinct values that it may take; more become "other"."""

    name: str
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """One metric; `attribute` is its field of `Metrics`. Durations are seconds."""

    attribute: str
    name: str
    kind: MetricKind
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()


_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 60)
_COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.25, 1, 5)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 300)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 96, 128)

_OPERATION = Label("operation", 150)
_STATUS_CLASS = Label("status_class", 6)
_TASK_KIND = Label("kind", 4)
_LOOP = Label("loop", 40)

METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition(
        attribute="http_requests",
        name="dw_http_requests",
        kind=MetricKind.COUNTER,
        help="Answered HTTP requests by operation and class of status (2xx…5xx).",
        labels=(_OPERATION, _STATUS_CLASS),
    ),
    MetricDefinition(
        attribute="http_request_seconds",
        name="dw_http_request_seconds",
        kind=MetricKind.HISTOGRAM,
        help="Time from request to answer; long polls include their wait.",
        labels=(_OPERATION, _STATUS_CLASS),
        buckets=_REQUEST_SECONDS,
    ),
    MetricDefinition(
        attribute="polls_waiting",
        name="dw_polls_waiting",
        kind=MetricKind.GAUGE,
        help="Long polls waiting in this process, as of the last sweep.",
        labels=(_TASK_KIND,),
    ),
    MetricDefinition(
        attribute="commit_batch_size",
        name="dw_commit_batch_size",
        kind=MetricKind.HISTOGRAM,
        help="Transitions combined in one commit.",
        buckets=_BATCH_SIZES,
    ),
    MetricDefinition(
        attribute="commit_seconds",
        name="dw_commit_seconds",
        kind=MetricKind.HISTOGRAM,
        help="Duration of one combined commit.",
        buckets=_COMMIT_SECONDS,
    ),
    MetricDefinition(
        attribute="transition_conflicts",
        name="dw_transition_conflicts",
        kind=MetricKind.COUNTER,
        help="Transitions whose guard failed and that were decided again.",
    ),
    MetricDefinition(
        attribute="tasks_leased",
        name="dw_tasks_leased",
        kind=MetricKind.COUNTER,
        help="Tasks given to workers by way: handoff (in the creating transition) "
        "or claim.",
        labels=(_TASK_KIND, Label("way", 2)),
    ),
    MetricDefinition(
        attribute="claim_rounds",
        name="dw_claim_rounds",
        kind=MetricKind.COUNTER,
        help="Statements that looked for ready tasks: the sweep's and those between.",
    ),
    MetricDefinition(
        attribute="leases_expired",
        name="dw_leases_expired",
        kind=MetricKind.COUNTER,
        help="Leases that ran out and were taken back.",
        labels=(_TASK_KIND,),
    ),
    MetricDefinition(
        attribute="timeouts",
        name="dw_timeouts",
        kind=MetricKind.COUNTER,
        help="Activity attempts and runs ended by a sweep because a deadline passed.",
        labels=(Label("kind", 8),),
    ),
    MetricDefinition(
        attribute="runs_pruned",
        name="dw_runs_pruned",
        kind=MetricKind.COUNTER,
        help="Closed runs whose history retention deleted.",
    ),
    MetricDefinition(
        attribute="queries",
        name="dw_queries",
        kind=MetricKind.COUNTER,
        help="Queries of workflows by outcome: answered, failed (by the worker), "
        "timed_out, not_claimed, no_worker, queue_full, caller_gone or unavailable.",
        labels=(Label("outcome", 8),),
    ),
    MetricDefinition(
        attribute="query_tasks_pending",
        name="dw_query_tasks_pending",
        kind=MetricKind.GAUGE,
        help="Queries of this process's callers that no worker has taken yet.",
    ),
    MetricDefinition(
        attribute="redis_up",
        name="dw_redis_up",
        kind=MetricKind.GAUGE,
        help="Whether Redis answered this process last (1) or not (0).",
    ),
    MetricDefinition(
        attribute="redis_outages",
        name="dw_redis_outages",
        kind=MetricKind.COUNTER,
        help="Times that Redis stopped answering this process.",
    ),
    MetricDefinition(
        attribute="wake_messages",
        name="dw_wake_messages",
        kind=MetricKind.COUNTER,
        help="Messages published to other processes, each with many signals.",
    ),
    MetricDefinition(
        attribute="wake_signals",
        name="dw_wake_signals",
        kind=MetricKind.COUNTER,
        help="Signals between processes: sent, heard, or dropped in an outage.",
        labels=(Label("what", 3),),
    ),
    MetricDefinition(
        attribute="timer_lag_seconds",
        name="dw_timer_lag_seconds",
        kind=MetricKind.HISTOGRAM,
        help="Time from a timer's due time to its firing.",
        buckets=_LAG_SECONDS,
    ),
    MetricDefinition(
        attribute="leader_term",
        name="dw_leader_term",
        kind=MetricKind.GAUGE,
        help="Term in which this process leads; 0 while another one does.",
        labels=(Label("leadership", 8),),
    ),
    MetricDefinition(
        attribute="schedule_fires",
        name="dw_schedule_fires",
        kind=MetricKind.COUNTER,
        help="Due occurrences of schedules by outcome: triggered, drained, skipped, "
        "buffered, buffer_full, already_fired or failed.",
        labels=(Label("outcome", 8),),
    ),
    MetricDefinition(
        attribute="schedule_lag_seconds",
        name="dw_schedule_lag_seconds",
        kind=MetricKind.HISTOGRAM,
        help="Time from the due time of a schedule to its fire.",
        buckets=_LAG_SECONDS,
    ),
    MetricDefinition(
        attribute="external_transfers",
        name="dw_external_transfers",
        kind=MetricKind.COUNTER,
        help="Payloads put into external storage or got from it: done or failed.",
        labels=(Label("verb", 2), Label("outcome", 2)),
    ),
    MetricDefinition(
        attribute="forwarded_requests",
        name="dw_forwarded_requests",
        kind=MetricKind.COUNTER,
        help="Requests that were to be passed on, by route family and outcome: "
        "answered, unavailable (nobody to ask), busy, lost (no answer), client_gone "
        "or released (a poll that was ended without a task).",
        labels=(Label("family", 3), Label("outcome", 6)),
    ),
    MetricDefinition(
        attribute="peer_connections",
        name="dw_peer_connections",
        kind=MetricKind.GAUGE,
        help="Open connections to other nodes, as of the last look: busy or idle.",
        labels=(Label("state", 2),),
    ),
    MetricDefinition(
        attribute="peer_breakers",
        name="dw_peer_breakers",
        kind=MetricKind.GAUGE,
        help="Other nodes by the state of their breaker: closed, open or half_open.",
        labels=(Label("state", 3),),
    ),
    MetricDefinition(
        attribute="loop_failures",
        name="dw_loop_failures",
        kind=MetricKind.COUNTER,
        help="Failed passes of background loops.",
        labels=(_LOOP,),
    ),
)
