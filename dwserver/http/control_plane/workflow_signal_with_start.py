"""``POST …/signal-with-start/{signal_name}``: signal a workflow, and start it first if
its id is free.

The contract has the semantics (``spec/engine.md §9.5``) and no route for them; this one
takes the fields of a start, with the arguments of the signal in ``signal_input``, and
answers like a signal, with ``start_outcome`` beside it.
"""

from __future__ import annotations

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.command_fields import message_arguments
from dwserver.http.control_plane.command_shapes import SIGNAL_WITH_START_SHAPE
from dwserver.http.control_plane.command_targets import recorded
from dwserver.http.control_plane.command_views import command_body, command_status
from dwserver.http.control_plane.operation_names import check_operation_name
from dwserver.http.control_plane.start_fields import (
    SIGNAL_WITH_START_FIELDS,
    checked_start,
)
from dwserver.http.control_plane.workflow_start import (
    STATUS_OF_OUTCOME,
    requested_start,
    started_body,
)
from dwserver.http.route import Method, workflow_route
from dwserver.protocol.control_plane import Operation
from dwserver.services.catalog import Services
from dwserver.services.messages import Message

COMMAND = "signal_with_start"


async def signal_with_start(services: Services, call: Call) -> Reply:
    """One transition: a new run with its signal, or a signal to the active run."""
    workflow_id, name = call.params["workflow_id"], call.params["signal_name"]
    longest = services.limits.operation_name_bytes
    check_operation_name(Operation.SIGNAL, name, max_bytes=longest)
    body = call.body if isinstance(call.body, dict) else {}
    values = checked_start(
        {**body, "workflow_id": workflow_id}, SIGNAL_WITH_START_FIELDS
    )
    start = await requested_start(services, call, values, command=COMMAND)
    request_id = values["request_id"]
    sent = await message_arguments(
        services, call, values["signal_input"], field="signal_input"
    )
    message = Message(
        namespace=call.namespace,
        name=name,
        arguments=sent.arguments,
        kept=sent.kept,
        request_id=request_id,
        context=call.context(
            COMMAND,
            {"request_id": request_id, "signal_name": name},
            workflow_id=workflow_id,
        ),
    )
    done = recorded(call, await services.signal_with_start.send(start, message))
    if done.signalled is None:
        answer = await started_body(services, start, done.started)
        status = STATUS_OF_OUTCOME[done.started.outcome]
        return Reply(status, {**answer, "signal_name": name})
    return Reply(
        command_status(done.signalled.command),
        {**command_body(done.signalled), "start_outcome": done.started.outcome},
    )


ROUTES = (
    workflow_route(
        Method.POST,
        "/{workflow_id}/signal-with-start/{signal_name}",
        Operation.SIGNAL,
        handler=signal_with_start,
        is_bootstrap_gated=True,
        shape=SIGNAL_WITH_START_SHAPE,
    ),
)
