"""A leased activity attempt: complete, fail, heartbeat
(``spec/worker-protocol.md`` §9.2–9.5)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.lifecycle.activity_outcome import Recorded
from dwserver.engine.lifecycle.heartbeat import HeartbeatState
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import micro_or_none
from dwserver.engine.words import ClosedReason, RunStatus, TaskStatus
from dwserver.http.call import Call, Reply
from dwserver.http.errors import invalid_fields
from dwserver.http.external_payloads import fetched, kept, kept_in
from dwserver.http.route import Method, worker_route
from dwserver.http.route_shape import MicroTime, RouteShape
from dwserver.http.worker.activity_failures import (
    DETAILS,
    FAILURE_FIELDS,
    attempt_failure,
    with_message,
)
from dwserver.http.worker.activity_progress import (
    PROGRESS_FIELDS,
    details_errors,
    reported_progress,
)
from dwserver.http.worker.rejections import or_run_gone, refusal, status
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.envelopes import parse_worker_payload
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import ANY, Field, check, collect
from dwserver.services.activity_tasks import AttemptRef
from dwserver.services.catalog import Services

ATTEMPT_FIELDS: Final = (
    Field("activity_attempt_id", required=True),
    Field("lease_owner", required=True),
)
COMPLETE_FIELDS: Final = (*ATTEMPT_FIELDS, Field("result", ANY))
FAIL_FIELDS: Final = (*ATTEMPT_FIELDS, *FAILURE_FIELDS)
HEARTBEAT_FIELDS: Final = (*ATTEMPT_FIELDS, *PROGRESS_FIELDS)

# Refusals of an outcome that name it, because the attempt was the caller's (§9.3).
NOT_RECORDED: Final = frozenset(
    {Reason.STALE_ATTEMPT, Reason.ACTIVITY_EXECUTION_MISSING}
)
IGNORED: Final = frozenset({Reason.RUN_CANCELLED, Reason.RUN_TERMINATED})
# The activity and its attempt end with the run, and are told so.
STOPPED_STATUS: Final = "cancelled"


async def complete_activity(services: Services, call: Call) -> Reply:
    """Record the result of an attempt."""
    values, errors = check(call.body, COMPLETE_FIELDS)
    if not errors:
        values["result"] = await fetched(
            services, call, values["result"], field="result", plane=Plane.WORKER
        )
    result = parse_worker_payload(values["result"], AVRO_CODEC, "result")
    if isinstance(result, list):
        errors.update(collect(result))
    if errors or isinstance(result, list):
        raise invalid_fields(errors)
    result = await kept(services, call, result, plane=Plane.WORKER)
    ref = _attempt_ref(call, values)
    return await _recorded(
        ref, services.activity_tasks.complete(ref, result), outcome="completed"
    )


async def fail_activity(services: Services, call: Call) -> Reply:
    """Record the failure of an attempt, which may be repeated."""
    values, errors = check(with_message(call.body), FAIL_FIELDS)
    if not errors:
        values[DETAILS] = await fetched(
            services, call, values[DETAILS], field=DETAILS, plane=Plane.WORKER
        )
    failure = attempt_failure(values, errors)
    if errors:
        raise invalid_fields(errors)
    (failure,) = await kept_in(services, call, (failure,), plane=Plane.WORKER)
    ref = _attempt_ref(call, values)
    return await _recorded(
        ref, services.activity_tasks.fail(ref, failure), outcome="failed"
    )


async def heartbeat_activity(services: Services, call: Call) -> Reply:
    """Renew the lease, or tell the activity to stop: both answer 200."""
    values, errors = check(call.body, HEARTBEAT_FIELDS)
    if "details" not in errors:
        errors.update(details_errors(values["details"]))
    if errors:
        raise invalid_fields(errors)
    ref = _attempt_ref(call, values)
    state = await or_run_gone(
        services.activity_tasks.heartbeat(ref, reported_progress(values))
    )
    if isinstance(state, Rejection):
        raise refusal(state, **_identity(ref))
    return Reply(200, _heartbeat_body(ref, state))


def _heartbeat_body(ref: AttemptRef, state: HeartbeatState) -> JsonObject:
    run, task = state.run, state.task
    is_leased = task.status is TaskStatus.LEASED
    return {
        **_identity(ref),
        "lease_owner": ref.owner,
        "cancel_requested": state.cancel_requested,
        "can_continue": state.can_continue,
        "reason": state.reason,
        "run_closed_reason": run.closed_reason,
        "run_closed_at": micro_or_none(run.closed_at),
        "heartbeat_recorded": state.can_continue,
        "lease_expires_at": micro_or_none(task.lease_expires_at if is_leased else None),
        "last_heartbeat_at": micro_or_none(state.heartbeat_at),
    }


async def _recorded(
    ref: AttemptRef, work: Awaitable[Recorded | Rejection], *, outcome: str
) -> Reply:
    recorded = await or_run_gone(work)
    body = {**_identity(ref), "outcome": outcome, "recorded": True, "reason": None}
    if not isinstance(recorded, Rejection):
        return Reply(200, {**body, "next_task_id": recorded.next_task_id})
    is_ignored = recorded.reason in IGNORED
    if not is_ignored and recorded.reason not in NOT_RECORDED:
        raise refusal(recorded, **_identity(ref))
    body |= {"recorded": False, "reason": recorded.reason, "next_task_id": None}
    body |= {"message": recorded.message, "error": recorded.message}
    if is_ignored:
        body |= {
            "outcome": "ignored",
            "activity_status": STOPPED_STATUS,
            "attempt_status": STOPPED_STATUS,
            **recorded.fields,
        }
    return Reply(status(recorded), body)


def _attempt_ref(call: Call, values: JsonObject) -> AttemptRef:
    return AttemptRef(
        namespace=call.namespace,
        task_id=call.params["task_id"],
        attempt_id=values["activity_attempt_id"],
        owner=values["lease_owner"],
    )


def _identity(ref: AttemptRef) -> JsonObject:
    """How every answer names the attempt: as the worker did."""
    return {"task_id": ref.task_id, "activity_attempt_id": ref.attempt_id}


class _AttemptMembers(TypedDict):
    task_id: str
    activity_attempt_id: str


class RecordedAttempt(_AttemptMembers):
    """An outcome that came too late is not recorded; ``message`` and what follows say
    why."""

    outcome: Literal["completed", "failed", "ignored"]
    recorded: bool
    reason: str | None
    next_task_id: str | None
    message: NotRequired[str]
    error: NotRequired[str]
    activity_status: NotRequired[str]
    attempt_status: NotRequired[str]
    cancel_requested: NotRequired[bool]
    can_continue: NotRequired[bool]
    run_status: NotRequired[RunStatus]
    run_closed_reason: NotRequired[ClosedReason | None]
    run_closed_at: NotRequired[MicroTime | None]
    task_status: NotRequired[TaskStatus]
    lease_owner: NotRequired[str | None]
    lease_expires_at: NotRequired[MicroTime | None]


class AttemptHeartbeat(_AttemptMembers):
    """``reason`` says why the activity must stop."""

    lease_owner: str
    cancel_requested: bool
    can_continue: bool
    reason: str | None
    run_closed_reason: ClosedReason | None
    run_closed_at: MicroTime | None
    heartbeat_recorded: bool
    lease_expires_at: MicroTime | None
    last_heartbeat_at: MicroTime | None


_ATTEMPT_REASONS: Final = (
    Reason.TASK_NOT_FOUND,
    Reason.TASK_MISMATCH,
    Reason.ATTEMPT_NOT_FOUND,
    Reason.LEASE_OWNER_MISMATCH,
    Reason.RUN_NOT_FOUND,
)
_OUTCOME_REASONS: Final = (
    *_ATTEMPT_REASONS,
    Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
)
_RECORDED: Final = {200: RecordedAttempt, 409: RecordedAttempt}


ROUTES = (
    worker_route(
        Method.POST,
        "/activity-tasks/{task_id}/complete",
        operation="complete",
        handler=complete_activity,
        shape=RouteShape(
            body=COMPLETE_FIELDS, answers=_RECORDED, reasons=_OUTCOME_REASONS
        ),
    ),
    worker_route(
        Method.POST,
        "/activity-tasks/{task_id}/fail",
        operation="fail",
        handler=fail_activity,
        shape=RouteShape(body=FAIL_FIELDS, answers=_RECORDED, reasons=_OUTCOME_REASONS),
    ),
    worker_route(
        Method.POST,
        "/activity-tasks/{task_id}/heartbeat",
        operation="heartbeat",
        handler=heartbeat_activity,
        shape=RouteShape(
            body=HEARTBEAT_FIELDS,
            answers={200: AttemptHeartbeat},
            reasons=_ATTEMPT_REASONS,
        ),
    ),
)
