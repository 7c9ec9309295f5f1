"""``POST /api/workflows`` (``spec/control-plane-api.md`` §5.2, decisions 7, 20c)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypedDict

from dwserver.engine.lifecycle.start import DuplicatePolicy, Start, Started
from dwserver.engine.model import Payload, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandStatus, RunStatus
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.annotations import (
    checked_memo,
    checked_search_attributes,
    defined_attributes,
)
from dwserver.http.control_plane.start_fields import START_FIELDS, checked_start
from dwserver.http.errors import invalid_fields, refuse
from dwserver.http.external_payloads import fetched, kept
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import parse_input
from dwserver.protocol.payloads.records import AVRO_CODEC, EMPTY_ARGUMENTS
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import collect
from dwserver.services.catalog import Services

STATUS_OF_OUTCOME: Final[Mapping[str, int]] = MappingProxyType(
    {"started_new": 201, "returned_existing_active": 200, "rejected_duplicate": 409}
)


async def start_workflow(services: Services, call: Call) -> Reply:
    """Start a run, return the active one, or refuse a used workflow id."""
    start = await requested_start(services, call, checked_start(call.body))
    started = await services.workflows.start(start)
    if isinstance(started, Rejection):
        raise refuse(
            Reason(started.reason), Plane.CONTROL, started.message, **started.fields
        )
    body = await started_body(services, start, started)
    return Reply(STATUS_OF_OUTCOME[started.outcome], body)


async def requested_start(
    services: Services, call: Call, values: JsonObject, *, command: str = "start"
) -> Start:
    """The start that checked ``values`` ask for; raises the refusal for what only
    limits, definitions and storage tell. ``command``: what its attribution is to
    say."""
    limits = services.limits
    workflow_id = values["workflow_id"]
    named = ("workflow_type", "task_queue", "duplicate_policy")
    return Start(
        namespace=call.namespace,
        workflow_id=workflow_id or services.next_id(),
        workflow_type=values["workflow_type"],
        task_queue=values["task_queue"] or limits.default_task_queue,
        input=await _run_input(services, call, values),
        payload_codec=AVRO_CODEC,
        duplicate_policy=DuplicatePolicy(values["duplicate_policy"]),
        execution_timeout_seconds=values["execution_timeout_seconds"],
        run_timeout_seconds=values["run_timeout_seconds"],
        compatibility=limits.compatibility,
        priority=values["priority"],
        context=call.context(
            command, {name: values[name] for name in named}, workflow_id=workflow_id
        ),
    )


async def _run_input(services: Services, call: Call, values: JsonObject) -> RunInput:
    """What the run is given; raises the refusal of the first part that is wrong."""
    limits = services.limits
    memo = checked_memo(values["memo"], limits)
    search_attributes = checked_search_attributes(
        values["search_attributes"],
        limits,
        await defined_attributes(services, call, values),
    )
    return RunInput(
        memo=memo,
        search_attributes=search_attributes,
        arguments=await start_arguments(services, call, values["input"]),
        business_key=values["business_key"],
    )


async def start_arguments(services: Services, call: Call, raw: JsonValue) -> Payload:
    """Arguments as they are to be recorded; raises the refusals 422 and 503."""
    value = await fetched(services, call, raw, field="input", plane=Plane.CONTROL)
    parsed = parse_input(value)
    if isinstance(parsed, list):
        raise invalid_fields(collect(parsed))
    recorded = await kept(
        services,
        call,
        parsed,
        plane=Plane.CONTROL,
        outcome="rejected_external_payload_storage_unavailable",
    )
    return recorded or EMPTY_ARGUMENTS


async def _business_key(
    services: Services, start: Start, started: Started
) -> str | None:
    """The key of the run that the answer is about."""
    if started.outcome == "started_new":
        return start.input.business_key
    detail = await services.workflows.describe(
        start.namespace, start.workflow_id, started.run.id
    )
    return detail.view.input.business_key if detail else None


async def started_body(
    services: Services, start: Start, started: Started
) -> JsonObject:
    """Members of the answer to a start, a refused one too."""
    reason = started.rejection_reason
    business_key = await _business_key(services, start, started)
    return {
        "workflow_id": start.workflow_id,
        "run_id": started.run.id,
        "workflow_type": start.workflow_type,
        "namespace": start.namespace,
        "status": started.run.status,
        "business_key": business_key,
        "payload_codec": started.run.payload_codec,
        "outcome": started.outcome,
        "command_status": "rejected" if reason else "accepted",
        "command_source": "control_plane",
        # Older SDKs know a used id by the one word, the contract calls it by the
        # other.
        "reason": Reason.DUPLICATE_NOT_ALLOWED if reason else None,
        "rejection_reason": reason,
        "message": _message(start) if reason else None,
    }


def _message(start: Start) -> str:
    return f"The workflow id [{start.workflow_id}] has been used in this namespace."


class StartAnswer(TypedDict):
    workflow_id: str
    run_id: str
    workflow_type: str
    namespace: str
    status: RunStatus
    business_key: str | None
    payload_codec: str
    outcome: Literal["started_new", "returned_existing_active", "rejected_duplicate"]
    command_status: CommandStatus
    command_source: Literal["control_plane"]
    reason: str | None
    rejection_reason: str | None
    message: str | None


ROUTES = (
    workflow_route(
        Method.POST,
        "",
        Operation.START,
        handler=start_workflow,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=START_FIELDS,
            answers=dict.fromkeys(STATUS_OF_OUTCOME.values(), StartAnswer),
            reasons=(
                Reason.TASK_QUEUE_DRAINING,
                Reason.COMPATIBILITY_BLOCKED,
                Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
            ),
        ),
    ),
)
