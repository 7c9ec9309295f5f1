"""Signals (``spec/control-plane-api.md`` §5.7)."""

from __future__ import annotations

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.command_fields import (
    SIGNAL_FIELDS,
    message_arguments,
)
from dwserver.http.control_plane.command_shapes import SIGNAL_SHAPE
from dwserver.http.control_plane.command_targets import (
    find_message_target,
    recorded,
)
from dwserver.http.control_plane.command_views import command_body, command_status
from dwserver.http.request_fields import checked
from dwserver.http.route import command_routes
from dwserver.protocol.control_plane import Operation
from dwserver.services.catalog import Services
from dwserver.services.messages import Message


async def signal(services: Services, call: Call) -> Reply:
    """Record a signal, which the workflow sees in its next task."""
    target, name = await find_message_target(services, call, Operation.SIGNAL)
    values = checked(call.body, SIGNAL_FIELDS)
    request_id = values["request_id"]
    sent = await message_arguments(services, call, values["input"])
    message = Message(
        namespace=call.namespace,
        name=name,
        arguments=sent.arguments,
        kept=sent.kept,
        request_id=request_id,
        context=call.context(
            "signal",
            {"request_id": request_id, "signal_name": name},
            workflow_id=call.params["workflow_id"],
        ),
    )
    done = recorded(call, await services.commands.signal(target, message))
    return Reply(command_status(done.command), command_body(done))


ROUTES = command_routes(
    "/signal/{signal_name}", Operation.SIGNAL, handler=signal, shape=SIGNAL_SHAPE
)
