"""Query tasks: poll, complete, fail (``spec/worker-protocol.md`` §10)."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

import orjson

from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.errors import invalid_fields
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, worker_route
from dwserver.http.route_shape import RouteShape
from dwserver.http.worker.polls import (
    EMPTY,
    IDLE,
    POLL_FIELDS,
    POLL_REASONS,
    answer_poll,
    framing_of,
    wait_seconds,
)
from dwserver.http.worker.rejections import refusal, status
from dwserver.http.worker.task_shapes import QueryPollAnswer
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.envelopes import codec_error
from dwserver.protocol.payloads.framing import display
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import (
    ANY,
    INTEGER,
    OBJECT,
    TEXT,
    Errors,
    Field,
    check,
    required_with,
)
from dwserver.services.catalog import Services
from dwserver.services.query_tasks import QueryPollRequest
from dwserver.services.records import (
    Answer,
    Answered,
    Failed,
    QueryLease,
    QueryTaskRef,
)
from dwserver.services.runs import RunNotFound

LEASE_FIELDS: Final = (
    Field("lease_owner", required=True),
    Field("query_task_attempt", INTEGER, required=True, minimum=1),
)
COMPLETE_FIELDS: Final = (
    *LEASE_FIELDS,
    Field("result", ANY),
    Field("result_envelope", OBJECT),
    Field("result_envelope.codec", max_length=64),
    Field("result_envelope.blob", TEXT),
)
FAIL_FIELDS: Final = (
    *LEASE_FIELDS,
    Field("failure", OBJECT, required=True),
    Field("failure.message", TEXT, required=True),
    Field("failure.reason", max_length=255),
    Field("failure.type", TEXT),
    Field("failure.stack_trace", TEXT),
)


async def poll_query_task(services: Services, call: Call) -> Reply:
    """Wait for a query."""
    values = checked(call.body, POLL_FIELDS)
    # Workers up to 0.4 cannot stop before their query poll ends, and they ask for half
    # a minute.
    longest = services.limits.query_poll_timeout_seconds
    request = QueryPollRequest(
        namespace=call.namespace,
        worker_id=values["worker_id"],
        task_queue=values["task_queue"],
        wait_seconds=wait_seconds(values, longest, longest=longest),
        is_connected=call.is_connected,
        poll_request_id=values["poll_request_id"],
    )

    async def build(lease: QueryLease) -> bytes:
        try:
            return await services.deliveries.query_task(lease, framing=framing_of(call))
        except RunNotFound:
            await services.query_tasks.run_is_gone(lease)
            raise

    found = await services.query_tasks.poll(request)
    try:
        return await answer_poll(
            call, found, build=build, give_back=services.query_tasks.undeliverable
        )
    except RunNotFound:
        return EMPTY


async def complete_query_task(services: Services, call: Call) -> Reply:
    """Hand the result to the caller, who still waits."""
    values, errors = check(call.body, COMPLETE_FIELDS)
    envelope = _envelope(values, errors)
    if errors:
        raise invalid_fields(errors)
    result = values["result"]
    if result is None and envelope is not None:
        # The caller reads the plain value, whatever the worker sent.
        _, result = display(envelope)
    return await _settle(
        services, call, values, Answered(orjson.dumps(result), envelope)
    )


async def fail_query_task(services: Services, call: Call) -> Reply:
    """The worker could not answer; its reason goes to the caller."""
    values = checked(call.body, FAIL_FIELDS)
    reason = values["failure.reason"] or Reason.QUERY_REJECTED.value
    return await _settle(
        services, call, values, Failed(reason, values["failure.message"])
    )


def _envelope(values: JsonObject, errors: Errors) -> Payload | None:
    if values["result_envelope"] is None or "result_envelope" in errors:
        return None
    codec, blob = values["result_envelope.codec"], values["result_envelope.blob"]
    for name, value in (("codec", codec), ("blob", blob)):
        path = f"result_envelope.{name}"
        if path not in errors and not (value and value.strip()):
            errors[path] = [required_with(path, "result_envelope")]
    path = "result_envelope.codec"
    if path not in errors and (problem := codec_error(codec, path)) is not None:
        errors[path] = [problem.message]
    return None if errors else Payload(codec, blob)


async def _settle(
    services: Services, call: Call, values: JsonObject, answer: Answer
) -> Reply:
    ref = QueryTaskRef(
        namespace=call.namespace,
        task_id=call.params["query_task_id"],
        owner=values["lease_owner"],
        attempt=values["query_task_attempt"],
    )
    refused = await services.query_tasks.settle(ref, answer)
    if refused is not None:
        raise _refusal(refused, ref)
    body: JsonObject = {
        "query_task_id": ref.task_id,
        "query_task_attempt": ref.attempt,
        "outcome": "completed" if isinstance(answer, Answered) else "failed",
    }
    if isinstance(answer, Failed):
        body["reason"] = answer.reason
    # The contract repeats the HTTP status in the body.
    return Reply(200, {**body, "status": 200})


def _refusal(rejection: Rejection, ref: QueryTaskRef) -> Refusal:
    return refusal(
        rejection,
        query_task_id=ref.task_id,
        outcome="rejected",
        status=status(rejection),
    )


class SettledQuery(TypedDict):
    """``reason`` is what the worker gave for a failure."""

    query_task_id: str
    query_task_attempt: int
    outcome: Literal["completed", "failed"]
    reason: NotRequired[str]
    status: int


_SETTLE_REASONS: Final = (
    Reason.QUERY_TASK_NOT_FOUND,
    Reason.QUERY_TASK_NOT_LEASED,
    Reason.QUERY_TASK_ATTEMPT_MISMATCH,
    Reason.QUERY_TASK_TIMED_OUT,
    Reason.LEASE_OWNER_MISMATCH,
    Reason.LEASE_EXPIRED,
    Reason.QUERY_TASK_QUEUE_UNAVAILABLE,
)


ROUTES = (
    worker_route(
        Method.POST,
        "/query-tasks/poll",
        operation="poll_query_tasks",
        handler=poll_query_task,
        idle=IDLE,
        shape=RouteShape(
            body=POLL_FIELDS,
            answers={200: QueryPollAnswer},
            reasons=(*POLL_REASONS, Reason.QUERY_TASK_QUEUE_UNAVAILABLE),
        ),
    ),
    worker_route(
        Method.POST,
        "/query-tasks/{query_task_id}/complete",
        operation="complete_query_task",
        handler=complete_query_task,
        shape=RouteShape(
            body=COMPLETE_FIELDS,
            answers={200: SettledQuery},
            reasons=_SETTLE_REASONS,
        ),
    ),
    worker_route(
        Method.POST,
        "/query-tasks/{query_task_id}/fail",
        operation="fail_query_task",
        handler=fail_query_task,
        shape=RouteShape(
            body=FAIL_FIELDS,
            answers={200: SettledQuery},
            reasons=_SETTLE_REASONS,
        ),
    ),
)
