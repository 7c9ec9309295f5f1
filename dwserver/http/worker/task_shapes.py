"""The tasks that polls hand out, as declared for the description of the API
(``spec/worker-protocol.md`` §6.1, §6.2, §9.1, §10)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from dwserver.engine.words import RunStatus
from dwserver.http.route_shape import (
    Count,
    IsoTime,
    JsonMap,
    MicroTime,
    PayloadEnvelope,
)

PollStatus = Literal["empty", "leased", "throttled", "unavailable"]


class WorkerHistoryEvent(TypedDict):
    id: str
    sequence: int
    event_type: str
    payload: JsonMap
    workflow_task_id: str | None
    workflow_command_id: str | None
    recorded_at: MicroTime


class HistoryMembers(TypedDict):
    """A page of events, plain or compressed."""

    history_events: list[WorkerHistoryEvent]
    history_events_compressed: NotRequired[str]
    history_events_encoding: NotRequired[Literal["gzip", "deflate"]]
    total_history_events: Count
    next_history_page_token: str | None


class WorkflowTask(HistoryMembers):
    """Members from ``workflow_wait_kind`` on say what the task resumes."""

    task_id: str
    workflow_id: str
    run_id: str
    namespace: str
    workflow_task_attempt: int
    workflow_type: str
    payload_codec: str
    arguments: PayloadEnvelope | None
    run_status: RunStatus
    last_history_sequence: Count
    task_queue: str
    connection: None
    compatibility: str | None
    lease_owner: str
    lease_expires_at: MicroTime | None
    workflow_wait_kind: str | None
    open_wait_id: str | None
    resume_source_kind: str | None
    resume_source_id: str | None
    workflow_update_id: str | None
    workflow_signal_id: str | None
    workflow_command_id: str | None
    signal_name: str | None
    signal_wait_id: str | None
    activity_execution_id: str | None
    activity_attempt_id: str | None
    activity_type: str | None
    child_call_id: str | None
    child_workflow_run_id: str | None
    workflow_sequence: int | None
    workflow_event_type: str | None
    timer_id: str | None
    condition_wait_id: str | None
    condition_key: str | None
    condition_definition_fingerprint: str | None


class RetryPolicyView(TypedDict):
    snapshot_version: int
    max_attempts: int | None
    backoff_seconds: list[int]
    start_to_close_timeout: int | None
    schedule_to_start_timeout: int | None
    schedule_to_close_timeout: int | None
    heartbeat_timeout: int | None
    non_retryable_error_types: list[str]


class ActivityTask(TypedDict):
    """Members without a value are left out."""

    task_id: str
    workflow_id: str
    run_id: str
    activity_execution_id: str
    activity_attempt_id: str
    idempotency_key: str
    attempt_number: int
    activity_type: str
    payload_codec: str
    arguments: NotRequired[PayloadEnvelope]
    retry_policy: NotRequired[RetryPolicyView]
    task_queue: str
    lease_owner: str
    lease_expires_at: NotRequired[MicroTime]
    deadlines: NotRequired[dict[str, IsoTime]]


class QueryTask(TypedDict):
    query_task_id: str
    query_task_attempt: int
    namespace: str
    workflow_id: str
    run_id: str
    workflow_type: str
    query_name: str
    payload_codec: str
    workflow_arguments: PayloadEnvelope | None
    query_arguments: PayloadEnvelope
    run_status: RunStatus
    last_history_sequence: Count
    task_queue: str
    lease_owner: str
    lease_expires_at: MicroTime
    history_events: list[WorkerHistoryEvent]


class WorkflowPollAnswer(TypedDict):
    task: WorkflowTask | None
    poll_status: PollStatus


class ActivityPollAnswer(TypedDict):
    task: ActivityTask | None
    poll_status: PollStatus


class QueryPollAnswer(TypedDict):
    task: QueryTask | None
    poll_status: PollStatus
