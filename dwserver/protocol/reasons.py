"""Every ``reason`` word of the wire, its HTTP statuses and its meaning.

Source: ``spec/control-plane-api.md`` §15, ``spec/worker-protocol.md`` §13,
``spec/client-compatibility.md`` §11 and ``decisions.md`` 7, 12, 20c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Plane(StrEnum):
    """The two halves of the HTTP surface; each has its own error envelope."""

    CONTROL = "control"
    WORKER = "worker"


class Reason(StrEnum):
    """Machine-readable cause of a refusal or of a stop."""

    # Transport, identity and gates
    MALFORMED_REQUEST = "malformed_request"
    MALFORMED_JSON = "malformed_json"
    MISSING_CONTROL_PLANE_VERSION = "missing_control_plane_version"
    UNSUPPORTED_CONTROL_PLANE_VERSION = "unsupported_control_plane_version"
    MISSING_PROTOCOL_VERSION = "missing_protocol_version"
    UNSUPPORTED_PROTOCOL_VERSION = "unsupported_protocol_version"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NAMESPACE_NOT_FOUND = "namespace_not_found"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    VALIDATION_FAILED = "validation_failed"
    SERVER_ERROR = "server_error"
    CONTROL_PLANE_INTERNAL_ERROR = "control_plane_internal_error"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    BACKEND_LOCK_PRESSURE = "backend_lock_pressure"
    TOPOLOGY_ROLE_UNAVAILABLE = "topology_role_unavailable"
    WORKFLOW_V2_BLOCKED = "workflow_v2_blocked"
    LONG_POLL_CAPACITY_EXHAUSTED = "long_poll_capacity_exhausted"
    # Workflows, starts and commands
    INSTANCE_NOT_FOUND = "instance_not_found"
    INSTANCE_NOT_STARTED = "instance_not_started"
    INSTANCE_ALREADY_STARTED = "instance_already_started"
    DUPLICATE_NOT_ALLOWED = "duplicate_not_allowed"
    COMPATIBILITY_BLOCKED = "compatibility_blocked"
    TASK_QUEUE_DRAINING = "task_queue_draining"
    RUN_NOT_FOUND = "run_not_found"
    RUN_NOT_ACTIVE = "run_not_active"
    RUN_NOT_CLOSED = "run_not_closed"
    HISTORICAL_RUN_COMMAND_REJECTED = "historical_run_command_rejected"
    SELECTED_RUN_NOT_CURRENT = "selected_run_not_current"
    HISTORY_PRUNED = "history_pruned"
    UNKNOWN_SIGNAL = "unknown_signal"
    INVALID_SIGNAL_ARGUMENTS = "invalid_signal_arguments"
    UNKNOWN_UPDATE = "unknown_update"
    INVALID_UPDATE_ARGUMENTS = "invalid_update_arguments"
    UPDATE_REJECTED = "update_rejected"
    REQUEST_ID_CONFLICT = "request_id_conflict"
    STRUCTURAL_LIMIT_EXCEEDED = "structural_limit_exceeded"
    WORKFLOW_DEFINITION_UNAVAILABLE = "workflow_definition_unavailable"
    WORKFLOW_OUTPUT_CODEC_UNAVAILABLE = "workflow_output_codec_unavailable"
    INVALID_IMPORT_BUNDLE = "invalid_import_bundle"
    EMBEDDED_V2_IMPORT_UNAVAILABLE = "embedded_v2_import_unavailable"
    # Queries, both ends
    QUERY_NOT_FOUND = "query_not_found"
    REJECTED_UNKNOWN_QUERY = "rejected_unknown_query"
    INVALID_QUERY_ARGUMENTS = "invalid_query_arguments"
    QUERY_REJECTED = "query_rejected"
    QUERY_WORKER_UNAVAILABLE = "query_worker_unavailable"
    QUERY_WORKER_INCOMPATIBLE = "query_worker_incompatible"
    QUERY_WORKER_TIMEOUT = "query_worker_timeout"
    QUERY_WORKER_EXECUTION_TIMEOUT = "query_worker_execution_timeout"
    QUERY_TASK_NOT_CLAIMED = "query_task_not_claimed"
    QUERY_TASK_QUEUE_FULL = "query_task_queue_full"
    QUERY_TASK_QUEUE_UNAVAILABLE = "query_task_queue_unavailable"
    QUERY_TASK_NOT_FOUND = "query_task_not_found"
    QUERY_TASK_NOT_LEASED = "query_task_not_leased"
    QUERY_TASK_ATTEMPT_MISMATCH = "query_task_attempt_mismatch"
    QUERY_TASK_TIMED_OUT = "query_task_timed_out"
    # Administration
    NAMESPACE_ALREADY_EXISTS = "namespace_already_exists"
    WORKER_NOT_FOUND = "worker_not_found"
    ATTRIBUTE_NOT_FOUND = "attribute_not_found"
    ATTRIBUTE_ALREADY_EXISTS = "attribute_already_exists"
    NAME_RESERVED = "name_reserved"
    SYSTEM_ATTRIBUTE = "system_attribute"
    SEARCH_ATTRIBUTE_LIMIT_REACHED = "search_attribute_limit_reached"
    ACTIVITY_NOT_FOUND = "activity_not_found"
    ACTIVITY_ID_RESERVED_IN_NAMESPACE = "activity_id_reserved_in_namespace"
    SCHEDULE_NOT_FOUND = "schedule_not_found"
    SCHEDULE_ALREADY_EXISTS = "schedule_already_exists"
    MEMO_TOO_LARGE = "memo_too_large"
    INVALID_TIME_RANGE = "invalid_time_range"
    INVALID_AFTER_SEQUENCE = "invalid_after_sequence"
    EXTERNAL_STORAGE_NOT_CONFIGURED = "external_storage_not_configured"
    EXTERNAL_STORAGE_DISABLED = "external_storage_disabled"
    STORAGE_DRIVER_UNAVAILABLE = "storage_driver_unavailable"
    EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE = "external_payload_storage_unavailable"
    # Bridge adapters
    UNKNOWN_TARGET = "unknown_target"
    AUTH_FAILED = "auth_failed"
    MALFORMED_PAYLOAD = "malformed_payload"
    DUPLICATE_START = "duplicate_start"
    UNSUPPORTED_ACTION = "unsupported_action"
    UNSUPPORTED_ROUTING = "unsupported_routing"
    ADAPTER_UNAVAILABLE = "adapter_unavailable"
    # Worker registration and polls
    WORKER_NOT_REGISTERED = "worker_not_registered"
    WORKFLOW_DEFINITION_CHANGED = "workflow_definition_changed"
    TASK_QUEUE_MISMATCH = "task_queue_mismatch"
    BUILD_ID_MISMATCH = "build_id_mismatch"
    # Task and attempt ownership
    INVALID_PAGE_TOKEN = "invalid_page_token"
    HISTORY_NOT_AVAILABLE = "history_not_available"
    TASK_NOT_FOUND = "task_not_found"
    TASK_NOT_WORKFLOW = "task_not_workflow"
    TASK_NOT_ACTIVE = "task_not_active"
    TASK_NOT_LEASED = "task_not_leased"
    TASK_MISMATCH = "task_mismatch"
    LEASE_EXPIRED = "lease_expired"
    LEASE_OWNER_MISMATCH = "lease_owner_mismatch"
    WORKFLOW_TASK_ATTEMPT_MISMATCH = "workflow_task_attempt_mismatch"
    INVALID_COMMANDS = "invalid_commands"
    ATTEMPT_NOT_FOUND = "attempt_not_found"
    STALE_ATTEMPT = "stale_attempt"
    ACTIVITY_EXECUTION_MISSING = "activity_execution_missing"
    RUN_CLOSED = "run_closed"
    RUN_ALREADY_CLOSED = "run_already_closed"
    RUN_TIMED_OUT = "run_timed_out"
    RUN_CANCELLED = "run_cancelled"
    RUN_TERMINATED = "run_terminated"
    # Told to a heartbeating activity only
    ACTIVITY_CANCELLED = "activity_cancelled"
    TASK_CANCELLED = "task_cancelled"
    ATTEMPT_CLOSED = "attempt_closed"
    ACTIVITY_NOT_RUNNING = "activity_not_running"
    STALE_TASK = "stale_task"
    WORKFLOW_RUN_MISSING = "workflow_run_missing"


@dataclass(frozen=True, slots=True)
class ReasonFacts:
    """Where a reason appears.

    ``control`` and ``worker`` hold the HTTP statuses it is sent with on each
    plane, the usual one first; an empty tuple means it never appears there.
    """

    meaning: str
    control: tuple[int, ...] = ()
    worker: tuple[int, ...] = ()

    def statuses(self, plane: Plane) -> tuple[int, ...]:
        return self.control if plane is Plane.CONTROL else self.worker


def _both(status: int, meaning: str) -> ReasonFacts:
    return ReasonFacts(meaning, control=(status,), worker=(status,))


def _control(status: int, meaning: str) -> ReasonFacts:
    return ReasonFacts(meaning, control=(status,))


def _worker(meaning: str, *statuses: int) -> ReasonFacts:
    return ReasonFacts(meaning, worker=statuses)


_R = Reason

REASONS: Final[Mapping[Reason, ReasonFacts]] = MappingProxyType(
    {
        _R.MALFORMED_REQUEST: _control(400, "no HTTP request"),
        _R.MALFORMED_JSON: _both(400, "the body is not JSON"),
        _R.MISSING_CONTROL_PLANE_VERSION: _control(400, "version header absent"),
        _R.UNSUPPORTED_CONTROL_PLANE_VERSION: _control(400, "version not spoken"),
        _R.MISSING_PROTOCOL_VERSION: _worker("version header absent", 400),
        _R.UNSUPPORTED_PROTOCOL_VERSION: _worker("version not spoken", 400),
        _R.UNAUTHORIZED: _both(401, "no valid credential"),
        _R.FORBIDDEN: _both(403, "the principal's roles do not allow this"),
        _R.NOT_FOUND: _both(404, "no such route"),
        _R.METHOD_NOT_ALLOWED: _both(405, "the route has no such method"),
        _R.NAMESPACE_NOT_FOUND: _both(404, "no such namespace"),
        _R.PAYLOAD_TOO_LARGE: ReasonFacts(
            "the body is over the size limit", control=(413, 422), worker=(413,)
        ),
        _R.UNSUPPORTED_MEDIA_TYPE: _both(415, "the body is not declared as JSON"),
        _R.VALIDATION_FAILED: _both(422, "fields break their rules"),
        _R.SERVER_ERROR: _both(500, "the server is misconfigured"),
        _R.CONTROL_PLANE_INTERNAL_ERROR: _control(500, "unexpected failure"),
        _R.BACKEND_UNAVAILABLE: _both(503, "the database does not answer"),
        _R.BACKEND_LOCK_PRESSURE: _both(503, "rows stay locked; retry later"),
        _R.TOPOLOGY_ROLE_UNAVAILABLE: _both(503, "no node here hosts the role"),
        _R.WORKFLOW_V2_BLOCKED: _both(503, "database or migrations not usable"),
        _R.LONG_POLL_CAPACITY_EXHAUSTED: _worker("too many waiting polls", 429),
        _R.INSTANCE_NOT_FOUND: _control(404, "no such workflow id"),
        _R.INSTANCE_NOT_STARTED: _control(409, "the workflow id has no run"),
        _R.INSTANCE_ALREADY_STARTED: _control(409, "the workflow id is used"),
        _R.DUPLICATE_NOT_ALLOWED: _control(409, "the workflow id is used"),
        _R.COMPATIBILITY_BLOCKED: _control(409, "no live worker fits the marker"),
        _R.TASK_QUEUE_DRAINING: _control(409, "the queue takes no new runs"),
        _R.RUN_NOT_FOUND: ReasonFacts("no such run", control=(404,), worker=(409, 404)),
        _R.RUN_NOT_ACTIVE: _control(409, "the run is closed"),
        _R.RUN_NOT_CLOSED: _control(409, "the run is still open"),
        _R.HISTORICAL_RUN_COMMAND_REJECTED: _control(409, "a newer run took over"),
        _R.SELECTED_RUN_NOT_CURRENT: _control(409, "the run is not the latest"),
        _R.HISTORY_PRUNED: _control(410, "retention removed the history"),
        _R.UNKNOWN_SIGNAL: _control(404, "the type declares no such signal"),
        _R.INVALID_SIGNAL_ARGUMENTS: _control(422, "arguments break the contract"),
        _R.UNKNOWN_UPDATE: _control(404, "the type declares no such update"),
        _R.INVALID_UPDATE_ARGUMENTS: _control(422, "arguments break the contract"),
        _R.UPDATE_REJECTED: _control(409, "the update was refused"),
        _R.REQUEST_ID_CONFLICT: _control(409, "request id reused differently"),
        _R.STRUCTURAL_LIMIT_EXCEEDED: ReasonFacts(
            "a size or count limit of the run", control=(409,), worker=(422,)
        ),
        _R.WORKFLOW_DEFINITION_UNAVAILABLE: _control(409, "workflow code missing"),
        _R.WORKFLOW_OUTPUT_CODEC_UNAVAILABLE: _control(500, "output unreadable"),
        _R.INVALID_IMPORT_BUNDLE: _control(422, "the bundle cannot be imported"),
        _R.EMBEDDED_V2_IMPORT_UNAVAILABLE: _control(503, "another import is under way"),
        _R.QUERY_NOT_FOUND: _control(404, "the type has no such query"),
        _R.REJECTED_UNKNOWN_QUERY: _control(404, "the worker knows no such query"),
        _R.INVALID_QUERY_ARGUMENTS: _control(422, "arguments break the contract"),
        _R.QUERY_REJECTED: _control(409, "the worker could not answer"),
        _R.QUERY_WORKER_UNAVAILABLE: _control(409, "no live worker can answer"),
        _R.QUERY_WORKER_INCOMPATIBLE: _control(409, "no worker fits the run"),
        _R.QUERY_WORKER_TIMEOUT: _control(504, "no answer in time"),
        _R.QUERY_WORKER_EXECUTION_TIMEOUT: _control(504, "worker took too long"),
        _R.QUERY_TASK_NOT_CLAIMED: _control(504, "no worker took the query"),
        _R.QUERY_TASK_QUEUE_FULL: _control(429, "query backlog is full"),
        _R.QUERY_TASK_QUEUE_UNAVAILABLE: _both(503, "query exchange unreachable"),
        _R.QUERY_TASK_NOT_FOUND: _worker("no such query task", 404),
        _R.QUERY_TASK_NOT_LEASED: _worker("the query task is not leased", 409),
        _R.QUERY_TASK_ATTEMPT_MISMATCH: _worker("another attempt is current", 409),
        _R.QUERY_TASK_TIMED_OUT: _worker("the caller stopped waiting", 409),
        _R.NAMESPACE_ALREADY_EXISTS: _control(409, "the namespace exists"),
        _R.WORKER_NOT_FOUND: _both(404, "no such worker"),
        _R.ATTRIBUTE_NOT_FOUND: _control(404, "no such search attribute"),
        _R.ATTRIBUTE_ALREADY_EXISTS: _control(409, "the attribute exists"),
        _R.NAME_RESERVED: _control(409, "the name belongs to the system"),
        _R.SYSTEM_ATTRIBUTE: _control(409, "system attributes stay"),
        _R.SEARCH_ATTRIBUTE_LIMIT_REACHED: _control(422, "too many attributes"),
        _R.ACTIVITY_NOT_FOUND: _control(404, "no such standalone activity"),
        _R.ACTIVITY_ID_RESERVED_IN_NAMESPACE: _control(409, "activity id is used"),
        _R.SCHEDULE_NOT_FOUND: _control(404, "no such schedule"),
        _R.SCHEDULE_ALREADY_EXISTS: _control(409, "the schedule id is used"),
        _R.MEMO_TOO_LARGE: _control(422, "the memo is over its limit"),
        _R.INVALID_TIME_RANGE: _control(422, "the end is not after the start"),
        _R.INVALID_AFTER_SEQUENCE: _control(422, "not a sequence number"),
        _R.EXTERNAL_STORAGE_NOT_CONFIGURED: _control(422, "no storage policy"),
        _R.EXTERNAL_STORAGE_DISABLED: _control(422, "storage policy disabled"),
        _R.STORAGE_DRIVER_UNAVAILABLE: _control(422, "storage driver missing"),
        _R.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE: _both(503, "storage is down"),
        _R.UNKNOWN_TARGET: _control(422, "bridge target does not exist"),
        _R.AUTH_FAILED: _control(401, "bridge event not authenticated"),
        _R.MALFORMED_PAYLOAD: _control(422, "bridge event breaks its rules"),
        _R.DUPLICATE_START: _control(200, "bridge start was done before"),
        _R.UNSUPPORTED_ACTION: _control(422, "bridge action not offered"),
        _R.UNSUPPORTED_ROUTING: _control(422, "bridge adapter cannot route"),
        _R.ADAPTER_UNAVAILABLE: _control(422, "bridge adapter is off"),
        _R.WORKER_NOT_REGISTERED: _worker("poll or beat before register", 412, 404),
        _R.WORKFLOW_DEFINITION_CHANGED: _worker("fingerprint changed", 409),
        _R.TASK_QUEUE_MISMATCH: _worker("registered on another queue", 409),
        _R.BUILD_ID_MISMATCH: _worker("registered with another build", 409),
        _R.INVALID_PAGE_TOKEN: _worker("unreadable history page token", 400),
        _R.HISTORY_NOT_AVAILABLE: _worker("the task has no history", 404),
        _R.TASK_NOT_FOUND: _worker("no such task", 404, 200),
        _R.TASK_NOT_WORKFLOW: _worker("not a workflow task", 409),
        _R.TASK_NOT_ACTIVE: _worker("the task is finished", 409),
        _R.TASK_NOT_LEASED: _worker("nobody holds the task", 409, 200),
        _R.TASK_MISMATCH: _worker("the attempt is of another task", 409),
        _R.LEASE_EXPIRED: _worker("the lease ran out", 409),
        _R.LEASE_OWNER_MISMATCH: _worker("another worker holds it", 409),
        _R.WORKFLOW_TASK_ATTEMPT_MISMATCH: _worker("another attempt is current", 409),
        _R.INVALID_COMMANDS: _worker("the commands contradict the run", 409),
        _R.ATTEMPT_NOT_FOUND: _worker("no such attempt", 404),
        _R.STALE_ATTEMPT: _worker("a newer attempt is current", 409, 200),
        _R.ACTIVITY_EXECUTION_MISSING: _worker("the activity is gone", 409, 200),
        _R.RUN_CLOSED: _worker("the run is closed", 409, 200),
        _R.RUN_ALREADY_CLOSED: _worker("the run closed meanwhile", 409),
        _R.RUN_TIMED_OUT: _worker("a deadline of the run passed", 409),
        _R.RUN_CANCELLED: _worker("the run was cancelled", 409, 200),
        _R.RUN_TERMINATED: _worker("the run was terminated", 409, 200),
        _R.ACTIVITY_CANCELLED: _worker("the activity was cancelled", 200),
        _R.TASK_CANCELLED: _worker("the task was cancelled", 200),
        _R.ATTEMPT_CLOSED: _worker("the attempt is finished", 200),
        _R.ACTIVITY_NOT_RUNNING: _worker("the activity is finished", 200),
        _R.STALE_TASK: _worker("the task was replaced", 200),
        _R.WORKFLOW_RUN_MISSING: _worker("the run is gone", 200),
    }
)


def status_of(reason: Reason, plane: Plane) -> int:
    """Usual HTTP status of ``reason`` on ``plane``.

    Raises ``LookupError`` for a reason that the plane never sends: that is a
    defect of the caller.
    """
    statuses = REASONS[reason].statuses(plane)
    if not statuses:
        raise LookupError(f"{reason} is not sent on the {plane} plane")
    return statuses[0]
