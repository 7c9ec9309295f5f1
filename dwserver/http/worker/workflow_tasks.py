"""A leased workflow task: history, heartbeat, complete, fail
(``spec/worker-protocol.md`` §6.4–6.8)."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

import orjson

from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.wire_time import micro
from dwserver.engine.words import RunStatus, TaskStatus
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.errors import invalid_fields, refuse
from dwserver.http.external_payloads import fetched_commands, kept_in
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, worker_route
from dwserver.http.route_shape import MicroTime, RouteShape
from dwserver.http.worker.polls import HISTORY_FIELDS, framing_of, history_request
from dwserver.http.worker.rejections import or_run_gone, refusal, status
from dwserver.http.worker.task_shapes import HistoryMembers
from dwserver.protocol.commands import WORKING_COMMANDS, parse_commands
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.page_tokens import read_page_token
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import (
    ANY,
    INTEGER,
    OBJECT,
    TEXT,
    Field,
    check,
    required,
)
from dwserver.protocol.versions import OLDEST_WORKER_VERSION
from dwserver.services.catalog import Services
from dwserver.services.workflow_tasks import TaskRef

LEASE_FIELDS: Final = (
    Field("lease_owner", required=True),
    Field("workflow_task_attempt", INTEGER, required=True, minimum=1),
)
PAGE_FIELDS: Final = (
    *LEASE_FIELDS,
    Field("next_history_page_token"),
    Field("page_token"),
    *HISTORY_FIELDS,
)
FAIL_FIELDS: Final = (
    *LEASE_FIELDS,
    Field("failure", OBJECT, required=True),
    Field("failure.message", TEXT, required=True),
    Field("failure.type", TEXT),
    Field("failure.stack_trace", TEXT),
)
COMPLETE_FIELDS: Final = (*LEASE_FIELDS, Field("commands", ANY))
# A list, by types; each has a parser of its own.
COMMANDS_SCHEMA: Final[JsonObject] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"type": {"enum": sorted(WORKING_COMMANDS)}},
        "required": ["type"],
    },
}

# How a worker says that it has nothing to say (spec/client-compatibility.md §15.4).
WAITING_TYPE: Final = "workflowtaskwaitingforhistory"
WAITING_MESSAGE: Final = "workflow task waiting for scheduled history:"

# Refusals of the engine itself: the completion was looked at and not recorded.
NOT_RECORDED: Final = frozenset(
    {
        Reason.INVALID_COMMANDS,
        Reason.RUN_NOT_FOUND,
        Reason.RUN_ALREADY_CLOSED,
        Reason.TASK_NOT_WORKFLOW,
    }
)


async def workflow_task_history(services: Services, call: Call) -> Reply:
    """A further page of the history that the poll began."""
    values, errors = check(call.body, PAGE_FIELDS)
    # Workers up to 0.3 use the short name.
    token = values["next_history_page_token"] or values["page_token"]
    if token is None and "page_token" not in errors:
        name = "next_history_page_token"
        errors.setdefault(name, [required(name)])
    if errors:
        raise invalid_fields(errors)
    ref = _task_ref(call, values)
    after = read_page_token(token)
    if after is None:
        raise refuse(
            Reason.INVALID_PAGE_TOKEN,
            Plane.WORKER,
            "The history page token cannot be read.",
            **_identity(ref),
        )
    members = await or_run_gone(
        services.workflow_tasks.history(
            ref,
            after=after,
            framing=framing_of(call),
            wanted=history_request(values, services.limits),
        )
    )
    if isinstance(members, Rejection):
        raise _refusal(members, ref)
    head = orjson.dumps(_identity(ref))
    return Reply(200, b"%b,%b}" % (head[:-1], members))


async def heartbeat_workflow_task(services: Services, call: Call) -> Reply:
    """Renew the lease."""
    ref = _task_ref(call, checked(call.body, LEASE_FIELDS))
    renewed = await or_run_gone(services.workflow_tasks.heartbeat(ref))
    if isinstance(renewed, Rejection):
        raise _refusal(renewed, ref)
    body = {
        **_identity(ref),
        "lease_owner": ref.owner,
        "renewed": True,
        "lease_expires_at": micro(renewed.lease_expires_at),
        "run_status": renewed.run.status,
        "task_status": TaskStatus.LEASED,
        "reason": None,
    }
    return Reply(200, body)


async def complete_workflow_task(services: Services, call: Call) -> Reply:
    """Apply the commands, all or none."""
    values, errors = check(call.body, COMPLETE_FIELDS)
    raw = values["commands"]
    if not errors:
        raw = await fetched_commands(services, call, raw)
    commands, wrong = parse_commands(
        raw,
        run_codec=AVRO_CODEC,
        version=call.worker_version or OLDEST_WORKER_VERSION,
    )
    errors.update(wrong)
    if errors:
        raise invalid_fields(errors)
    recorded = await kept_in(services, call, commands, plane=Plane.WORKER)
    ref = _task_ref(call, values)
    done = await or_run_gone(services.workflow_tasks.complete(ref, recorded))
    if isinstance(done, RunTimedOut):
        late = Rejection(
            Reason.RUN_TIMED_OUT,
            "A deadline of the run has passed.",
            {"run_id": done.run.id, "run_status": done.run.status},
        )
        return _not_recorded(late, ref)
    if isinstance(done, Rejection):
        if done.reason in NOT_RECORDED:
            return _not_recorded(done, ref)
        raise _refusal(done, ref)
    body = {
        **_identity(ref),
        "outcome": "completed",
        "recorded": True,
        "run_id": done.run_id,
        "run_status": done.run_status,
        "created_task_ids": done.created_task_ids,
        "reason": None,
    }
    return Reply(200, body)


async def fail_workflow_task(services: Services, call: Call) -> Reply:
    """The worker could not process the task; the workflow has not failed."""
    values = checked(call.body, FAIL_FIELDS)
    ref = _task_ref(call, values)
    message = values["failure.message"]
    failed = await or_run_gone(
        services.workflow_tasks.fail(
            ref,
            message=message,
            is_waiting=_is_waiting(message, values["failure.type"]),
        )
    )
    if isinstance(failed, Rejection):
        raise _refusal(failed, ref)
    body = {
        **_identity(ref),
        "outcome": failed.outcome,
        "recorded": True,
        "reason": None,
        "next_task_id": None,
    }
    return Reply(200, body)


def _is_waiting(message: str, failure_type: str | None) -> bool:
    if failure_type is not None and failure_type.strip().lower() == WAITING_TYPE:
        return True
    return message.lower().startswith(WAITING_MESSAGE)


def _task_ref(call: Call, values: JsonObject) -> TaskRef:
    return TaskRef(
        namespace=call.namespace,
        task_id=call.params["task_id"],
        owner=values["lease_owner"],
        attempt=values["workflow_task_attempt"],
    )


def _identity(ref: TaskRef) -> JsonObject:
    """How every answer names the task: as the worker did."""
    return {"task_id": ref.task_id, "workflow_task_attempt": ref.attempt}


def _refusal(rejection: Rejection, ref: TaskRef) -> Refusal:
    identity = _identity(ref)
    if rejection.reason == Reason.STRUCTURAL_LIMIT_EXCEEDED:
        identity["outcome"] = "rejected"
    return refusal(rejection, **identity)


def _not_recorded(rejection: Rejection, ref: TaskRef) -> Reply:
    # The outcome word says what was asked for, not what happened (§6.8).
    body = {
        **_identity(ref),
        "outcome": "completed",
        "recorded": False,
        "run_id": rejection.fields.get("run_id"),
        "run_status": rejection.fields.get("run_status"),
        "created_task_ids": [],
        "reason": rejection.reason,
        "message": rejection.message,
        "error": rejection.message,
    }
    return Reply(status(rejection), body)


class _TaskMembers(TypedDict):
    task_id: str
    workflow_task_attempt: int


class TaskHistoryPage(HistoryMembers, _TaskMembers):
    pass


class RenewedTask(_TaskMembers):
    lease_owner: str
    renewed: bool
    lease_expires_at: MicroTime
    run_status: RunStatus
    task_status: TaskStatus
    reason: None


class CompletedTask(_TaskMembers):
    """``message`` and ``error`` say why nothing was recorded."""

    outcome: Literal["completed"]
    recorded: bool
    run_id: str | None
    run_status: RunStatus | None
    created_task_ids: list[str]
    reason: str | None
    message: NotRequired[str]
    error: NotRequired[str]


class FailedTask(_TaskMembers):
    outcome: str
    recorded: bool
    reason: None
    next_task_id: None


_LEASE_REASONS: Final = (
    Reason.TASK_NOT_FOUND,
    Reason.TASK_NOT_LEASED,
    Reason.LEASE_EXPIRED,
    Reason.LEASE_OWNER_MISMATCH,
    Reason.WORKFLOW_TASK_ATTEMPT_MISMATCH,
    Reason.RUN_CLOSED,
    Reason.RUN_NOT_FOUND,
)


ROUTES = (
    worker_route(
        Method.POST,
        "/workflow-tasks/{task_id}/history",
        operation="workflow_task_history",
        handler=workflow_task_history,
        shape=RouteShape(
            body=PAGE_FIELDS,
            answers={200: TaskHistoryPage},
            reasons=(*_LEASE_REASONS, Reason.INVALID_PAGE_TOKEN),
        ),
    ),
    worker_route(
        Method.POST,
        "/workflow-tasks/{task_id}/heartbeat",
        operation="heartbeat_workflow_task",
        handler=heartbeat_workflow_task,
        shape=RouteShape(
            body=LEASE_FIELDS, answers={200: RenewedTask}, reasons=_LEASE_REASONS
        ),
    ),
    worker_route(
        Method.POST,
        "/workflow-tasks/{task_id}/complete",
        operation="complete_workflow_task",
        handler=complete_workflow_task,
        shape=RouteShape(
            body=COMPLETE_FIELDS,
            details={"commands": COMMANDS_SCHEMA},
            answers={200: CompletedTask, 409: CompletedTask},
            reasons=(
                *_LEASE_REASONS,
                Reason.STRUCTURAL_LIMIT_EXCEEDED,
                Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
            ),
        ),
    ),
    worker_route(
        Method.POST,
        "/workflow-tasks/{task_id}/fail",
        operation="fail_workflow_task",
        handler=fail_workflow_task,
        shape=RouteShape(
            body=FAIL_FIELDS, answers={200: FailedTask}, reasons=_LEASE_REASONS
        ),
    ),
)
