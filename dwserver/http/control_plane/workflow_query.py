"""Queries of workflows (``spec/control-plane-api.md`` §5.7, §5.12, decision 17)."""

from __future__ import annotations

from typing import Final, TypedDict

import orjson

from dwserver.engine.model import Payload, Run
from dwserver.engine.outcome import Rejection
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.control_plane.lookups import no_workflow, not_current
from dwserver.http.control_plane.operation_names import check_operation_name
from dwserver.http.errors import invalid_fields
from dwserver.http.external_payloads import fetched
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import Json, PayloadEnvelope, RouteShape
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import BlobCheck, parse_input
from dwserver.protocol.reasons import Plane, Reason, status_of
from dwserver.protocol.validation import ARRAY, Field, collect
from dwserver.services.catalog import Services
from dwserver.services.queries import Question
from dwserver.services.records import Answered, Failed

QUERY_FIELDS: Final = (Field("input", ARRAY),)


async def query_workflow(services: Services, call: Call) -> Reply:
    """Ask the current run."""
    _check_name(services, call)
    run = await _current_run(services, call)
    return await _ask(services, call, run)


async def query_run(services: Services, call: Call) -> Reply:
    """Ask the named run, which must be the current one."""
    run = await _current_run(services, call)
    if run.id != call.params["run_id"]:
        raise not_current(run.workflow_id, call.params["run_id"])
    _check_name(services, call)
    return await _ask(services, call, run)


def _check_name(services: Services, call: Call) -> None:
    check_operation_name(
        Operation.QUERY,
        call.params["query_name"],
        max_bytes=services.limits.operation_name_bytes,
    )


async def _current_run(services: Services, call: Call) -> Run:
    workflow_id = call.params["workflow_id"]
    run = await services.queries.current_run(call.namespace, workflow_id)
    if run is None:
        raise no_workflow(workflow_id)
    return run


async def _ask(services: Services, call: Call, run: Run) -> Reply:
    values = checked(call.body, QUERY_FIELDS)
    question = Question(
        run=run,
        name=call.params["query_name"],
        arguments=await _arguments(services, call, values["input"]),
        is_waited_for=call.is_connected,
    )
    reply = await services.queries.ask(question)
    if isinstance(reply, Rejection):
        raise _refusal(question, status_of(Reason(reply.reason), Plane.CONTROL), reply)
    if isinstance(reply, Failed):
        raise _refusal(question, _status_of_failure(reply), reply)
    return Reply(200, _body(question, reply))


async def _arguments(services: Services, call: Call, raw: JsonValue) -> Payload | None:
    """Nothing of a query is recorded, so what lies elsewhere goes along with it."""
    value = await fetched(services, call, raw, field="input", plane=Plane.CONTROL)
    # Only the worker that answers can say whether a blob is any good.
    parsed = parse_input(value, blob_check=BlobCheck.OPAQUE)
    if isinstance(parsed, list):
        raise invalid_fields(collect(parsed))
    limit = services.limits.payload_bytes
    if value is not raw and parsed is not None and len(parsed.data) > limit:
        text = f"A query takes no external payload of more than {limit} bytes."
        raise invalid_fields({"input.external_storage": [text]})
    return parsed


def _status_of_failure(failed: Failed) -> int:
    is_unknown = failed.reason == Reason.REJECTED_UNKNOWN_QUERY
    reason = Reason.REJECTED_UNKNOWN_QUERY if is_unknown else Reason.QUERY_REJECTED
    return status_of(reason, Plane.CONTROL)


def _identity(question: Question) -> JsonObject:
    return {
        "workflow_id": question.run.workflow_id,
        "run_id": question.run.id,
        "target_scope": "instance",
        "query_name": question.name,
    }


def _refusal(question: Question, status: int, told: Rejection | Failed) -> Refusal:
    return Refusal(
        status, told.reason, told.message, **_identity(question), result=None
    )


def _body(question: Question, answered: Answered) -> JsonObject:
    envelope = answered.envelope
    return {
        **_identity(question),
        # JSON text as the worker sent it, here and in the nested object.
        "result": orjson.Fragment(answered.result),
        "result_envelope": (
            {"codec": envelope.codec, "blob": envelope.data} if envelope else None
        ),
        "reason": None,
    }


class _QueryMembers(TypedDict):
    workflow_id: str
    run_id: str
    target_scope: str
    query_name: str


class QueryAnswer(_QueryMembers):
    result: Json
    result_envelope: PayloadEnvelope | None
    reason: None


class UnansweredQuery(_QueryMembers):
    """``reason`` is the server's, or the word of the worker that could not answer."""

    result: None
    reason: str
    message: str


QUERY_SHAPE: Final = RouteShape(
    body=QUERY_FIELDS,
    answers={200: QueryAnswer, 404: UnansweredQuery, 409: UnansweredQuery},
    reasons=(
        Reason.INSTANCE_NOT_FOUND,
        Reason.HISTORICAL_RUN_COMMAND_REJECTED,
        Reason.QUERY_NOT_FOUND,
        Reason.QUERY_WORKER_UNAVAILABLE,
        Reason.QUERY_WORKER_INCOMPATIBLE,
        Reason.QUERY_WORKER_TIMEOUT,
        Reason.QUERY_TASK_QUEUE_FULL,
        Reason.QUERY_TASK_QUEUE_UNAVAILABLE,
        Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
    ),
)


ROUTES = (
    workflow_route(
        Method.POST,
        "/{workflow_id}/query/{query_name}",
        Operation.QUERY,
        handler=query_workflow,
        is_bootstrap_gated=True,
        shape=QUERY_SHAPE,
    ),
    workflow_route(
        Method.POST,
        "/{workflow_id}/runs/{run_id}/query/{query_name}",
        Operation.QUERY,
        handler=query_run,
        is_bootstrap_gated=True,
        shape=QUERY_SHAPE,
    ),
)
