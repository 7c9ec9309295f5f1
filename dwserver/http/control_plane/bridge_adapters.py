"""``POST /api/bridge-adapters/webhook/{adapter}``: an outside event becomes a command
(``spec/control-plane-api.md`` §8).

An event is known by its idempotency key: for a start in the workflow id, for a message
in the request id of its command, which no request of another route can have.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import orjson

from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandOutcome
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.control_plane.bridge_events import (
    EVENT_FIELDS,
    SIGNAL_TARGET,
    START_TARGET,
    UPDATE_TARGET,
    BridgeAnswer,
    Event,
    Rejected,
    answered,
    malformed,
    read_event,
)
from dwserver.http.control_plane.command_fields import message_arguments
from dwserver.http.control_plane.operation_names import check_operation_name
from dwserver.http.control_plane.start_fields import checked_start
from dwserver.http.control_plane.workflow_start import requested_start
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import Operation, WaitStage
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.bridge_adapter_outcome import (
    BridgeAction,
    BridgeDuplicatePolicy,
    BridgeOutcome,
)
from dwserver.protocol.reasons import Reason
from dwserver.services.catalog import Services
from dwserver.services.command_targets import Target
from dwserver.services.messages import Commanded, Message, Updated

# What a key becomes in the workflow id of a start that names none.
KEY_DIGITS: Final = 32
_DEDUPED: Final = "deduped_existing_command"
_DUPLICATE_POLICIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        BridgeDuplicatePolicy.REJECT_DUPLICATE: "fail",
        BridgeDuplicatePolicy.USE_EXISTING: "use-existing",
    }
)


async def webhook(services: Services, call: Call) -> Reply:
    """Do what the event asks for, once for each idempotency key."""
    event = Event(adapter=call.params["adapter"].strip())
    try:
        event = read_event(call)
        perform = _ACTIONS.get(event.action or "")
        if perform is None:
            text = "Bridge adapters cannot do this."
            raise Rejected(Reason.UNSUPPORTED_ACTION, text)
        return await perform(services, call, event)
    except Rejected as rejected:
        return _rejected(event, rejected)
    except Refusal as refusal:
        if refusal.reason != Reason.VALIDATION_FAILED:
            raise
        return _rejected(event, malformed(refusal.fields["errors"]))


def _rejected(event: Event, why: Rejected) -> Reply:
    return answered(
        event,
        BridgeOutcome.REJECTED,
        reason=why.reason,
        message=why.message,
        **why.fields,
    )


async def _start(services: Services, call: Call, event: Event) -> Reply:
    target = event.checked_target(START_TARGET)
    policy = _DUPLICATE_POLICIES[target["duplicate_policy"]]
    workflow_id = target["workflow_id"] or _workflow_id(event)
    fields = {
        **target,
        "workflow_id": workflow_id,
        "duplicate_policy": policy,
        "input": event.input,
    }
    start = await requested_start(services, call, checked_start(fields))
    context = call.context(
        "bridge.start_workflow", event.metadata(), workflow_id=workflow_id
    )
    started = await services.workflows.start(replace(start, context=context))
    if isinstance(started, Rejection):
        raise Rejected(Reason.UNKNOWN_TARGET, started.message)
    is_new = started.outcome == CommandOutcome.STARTED_NEW
    return answered(
        event,
        BridgeOutcome.ACCEPTED if is_new else BridgeOutcome.DUPLICATE,
        reason=None if is_new else Reason.DUPLICATE_START,
        target={"workflow_id": workflow_id},
        workflow_id=workflow_id,
        run_id=started.run.id,
        workflow_type=start.workflow_type,
        control_plane_outcome=started.outcome,
    )


def _workflow_id(event: Event) -> str:
    """The same for every delivery of the event."""
    adapter = re.sub(r"[^a-zA-Z0-9]", "-", event.adapter)
    digest = hashlib.sha256((event.idempotency_key or "").encode()).hexdigest()
    return f"bridge-{adapter}-{digest[:KEY_DIGITS]}"


async def _signal(services: Services, call: Call, event: Event) -> Reply:
    values = event.checked_target(SIGNAL_TARGET)
    target = await _target(services, call, values)
    message = await _message(services, call, event, Operation.SIGNAL, values)
    return _commanded(event, await services.commands.signal(target, message))


async def _update(services: Services, call: Call, event: Event) -> Reply:
    values = event.checked_target(UPDATE_TARGET)
    target = await _target(services, call, values)
    message = await _message(services, call, event, Operation.UPDATE, values)
    done = await services.commands.update(target, message)
    is_waited_for = values["wait_for"] == WaitStage.COMPLETED
    if isinstance(done, Updated) and is_waited_for and not done.is_repeated:
        seconds = values["wait_timeout_seconds"]
        done = await services.commands.until_closed(
            done,
            seconds=seconds or services.limits.update_wait_seconds,
            is_connected=call.is_connected,
        )
    return _commanded(event, done)


async def _target(services: Services, call: Call, values: JsonObject) -> Target:
    found = await services.commands.find_target(
        call.namespace, values["workflow_id"], None
    )
    if isinstance(found, Rejection):
        raise Rejected(Reason.UNKNOWN_TARGET)
    return found


async def _message(
    services: Services, call: Call, event: Event, kind: Operation, values: JsonObject
) -> Message:
    name_field = f"{kind}_name"
    name, key = values[name_field], event.idempotency_key
    longest = services.limits.operation_name_bytes
    check_operation_name(kind, name, max_bytes=longest)
    sent = await message_arguments(services, call, event.input)
    metadata = event.metadata(request_id=key, **{name_field: name})
    if kind is Operation.UPDATE:
        metadata["wait_for"] = values["wait_for"]
    return Message(
        namespace=call.namespace,
        name=name,
        arguments=sent.arguments,
        kept=sent.kept,
        # No request of another route has an id that begins with a blank.
        request_id=f" {orjson.dumps([event.adapter, name, key]).decode()}",
        is_event=True,
        context=call.context(
            f"bridge.{event.action}", metadata, workflow_id=values["workflow_id"]
        ),
    )


def _commanded(event: Event, done: Commanded | Rejection) -> Reply:
    if isinstance(done, Rejection):
        raise Rejected(done.reason, done.message or None)
    command = done.command
    ids: JsonObject = {"workflow_id": command.workflow_id, "run_id": command.run_id}
    if done.is_repeated:
        return answered(
            event, BridgeOutcome.DUPLICATE, control_plane_outcome=_DEDUPED, **ids
        )
    outcome = command.outcome
    failure = None
    if isinstance(done, Updated) and done.update is not None:
        failure = done.update.failure_message
    if command.rejection_reason is not None or failure is not None:
        return answered(
            event,
            BridgeOutcome.REJECTED,
            reason=command.rejection_reason or Reason.UNSUPPORTED_ROUTING,
            message=failure,
            control_plane_outcome=outcome or None,
            **ids,
        )
    return answered(
        event, BridgeOutcome.ACCEPTED, control_plane_outcome=outcome or None, **ids
    )


_ACTIONS: Final[Mapping[str, Callable[[Services, Call, Event], Awaitable[Reply]]]] = (
    MappingProxyType(
        {
            BridgeAction.START_WORKFLOW: _start,
            BridgeAction.SIGNAL_WORKFLOW: _signal,
            BridgeAction.UPDATE_WORKFLOW: _update,
        }
    )
)

ROUTES = (
    management_route(
        Method.POST,
        "/bridge-adapters/webhook/{adapter}",
        operation="webhook",
        handler=webhook,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=EVENT_FIELDS,
            answers=dict.fromkeys((200, 202, 422), BridgeAnswer),
            reasons=(Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,),
        ),
    ),
)
