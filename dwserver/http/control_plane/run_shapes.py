"""The bodies of answers about runs, as declared for the description of the API
(``spec/control-plane-api.md`` §5.1–5.4, §5.14)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from dwserver.engine.words import ClosedReason, RunStatus, StatusBucket
from dwserver.http.route_shape import (
    Count,
    IsoTime,
    Json,
    JsonMap,
    MicroTime,
    PayloadEnvelope,
)


class _FleetMembers(TypedDict):
    compatibility: str | None
    compatibility_status: Literal["compatible", "no_compatible_worker"]
    compatibility_supported_in_fleet: bool
    compatibility_fleet_reason: str | None


class _RunMembers(_FleetMembers):
    run_id: str
    workflow_type: str
    business_key: str | None
    status: RunStatus
    task_queue: str
    started_at: MicroTime
    closed_at: MicroTime | None


EngineSource: TypeAlias = Literal["v2", "embedded_v2_import"]


class WorkflowListRow(_RunMembers):
    workflow_id: str
    engine_source: EngineSource
    status_bucket: StatusBucket
    is_terminal: bool
    search_attributes: JsonMap


class WorkflowList(TypedDict):
    """A page of runs, the newest first."""

    workflows: list[WorkflowListRow]
    workflow_count: Count
    next_page_token: str | None


class RunRow(_RunMembers):
    run_number: Count
    is_current_run: bool


class RunList(TypedDict):
    """All runs of a workflow id, the oldest first."""

    workflow_id: str
    run_count: Count
    runs: list[RunRow]


# A key is a keyword of the language.
ExceptionView = TypedDict(
    "ExceptionView", {"type": str, "class": str, "message": str}, total=False
)


class FailureView(TypedDict):
    """Keys without a value are left out."""

    id: NotRequired[str]
    message: NotRequired[str]
    source_kind: NotRequired[str]
    source_id: NotRequired[str]
    propagation_kind: NotRequired[str]
    failure_category: NotRequired[str]
    non_retryable: NotRequired[bool]
    exception_type: NotRequired[str]
    exception_class: NotRequired[str]
    exception_payload: NotRequired[ExceptionView]
    event_sequence: NotRequired[int]
    exception: NotRequired[ExceptionView]
    activity_failures: NotRequired[list[JsonMap]]
    failures: NotRequired[list[FailureView]]


class RunActions(TypedDict):
    can_signal: bool
    can_query: bool
    can_update: bool
    can_cancel: bool
    can_terminate: bool
    can_repair: bool
    can_archive: bool


class RunDetailView(_RunMembers):
    """``error`` and what follows are there when the run has failed, ``import_source``
    and what follows when it was imported."""

    workflow_id: str
    namespace: str
    status_bucket: StatusBucket
    is_terminal: bool
    closed_reason: ClosedReason | None
    run_number: Count
    run_count: Count
    is_current_run: bool
    engine_source: EngineSource
    import_source: NotRequired[str]
    import_id: NotRequired[str]
    import_dedupe_key: NotRequired[str]
    import_contract_version: NotRequired[int]
    imported_at: NotRequired[MicroTime]
    payload_codec: str
    execution_timeout_seconds: int | None
    run_timeout_seconds: int | None
    execution_deadline_at: IsoTime | None
    run_deadline_at: IsoTime | None
    input: Json
    output: Json
    input_envelope: PayloadEnvelope | None
    output_envelope: PayloadEnvelope | None
    last_progress_at: IsoTime
    pruned_at: NotRequired[MicroTime]
    wait_kind: str | None
    wait_reason: str | None
    memo: JsonMap
    search_attributes: JsonMap
    actions: RunActions
    error: NotRequired[str]
    failure: NotRequired[FailureView]
    exception: NotRequired[ExceptionView]
    failures: NotRequired[list[FailureView]]


class HistoryEventView(TypedDict):
    sequence: int
    event_type: str
    timestamp: MicroTime
    payload: JsonMap


class HistoryPage(TypedDict):
    workflow_id: str
    run_id: str
    next_page_token: str | None
    events: list[HistoryEventView]
