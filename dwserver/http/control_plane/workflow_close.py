"""Cancel and terminate (``spec/control-plane-api.md`` §5.9)."""

from __future__ import annotations

from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.words import CommandType
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.command_fields import checked_reason
from dwserver.http.control_plane.command_shapes import REASONED_SHAPE
from dwserver.http.control_plane.command_targets import find_target, recorded
from dwserver.http.control_plane.command_views import command_body, command_status
from dwserver.http.route import command_routes
from dwserver.protocol.control_plane import Operation
from dwserver.services.catalog import Services


async def cancel(services: Services, call: Call) -> Reply:
    """Close the run as cancelled."""
    return await _close(services, call, CommandType.CANCEL)


async def terminate(services: Services, call: Call) -> Reply:
    """Close the run as terminated."""
    return await _close(services, call, CommandType.TERMINATE)


async def _close(services: Services, call: Call, command_type: CommandType) -> Reply:
    """Close the run at once; a closed one leaves a rejected command."""
    target = await find_target(services, call)
    values = checked_reason(call.body)
    workflow_id = call.params["workflow_id"]
    request = CloseRequest(
        namespace=call.namespace,
        command_type=command_type,
        reason=values["reason"],
        request_id=values["request_id"],
        context=call.context(command_type, values, workflow_id=workflow_id),
    )
    done = recorded(call, await services.commands.close(target, request))
    return Reply(command_status(done.command), command_body(done))


ROUTES = (
    *command_routes("/cancel", Operation.CANCEL, handler=cancel, shape=REASONED_SHAPE),
    *command_routes(
        "/terminate", Operation.TERMINATE, handler=terminate, shape=REASONED_SHAPE
    ),
)
