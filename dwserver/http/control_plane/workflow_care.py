"""Repair and archive (``spec/control-plane-api.md`` §5.10, §5.11)."""

from __future__ import annotations

from dwserver.engine.lifecycle.archive import ArchiveRequest
from dwserver.engine.lifecycle.operator import OperatorRequest
from dwserver.engine.words import CommandType
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.command_fields import REPAIR_FIELDS, checked_reason
from dwserver.http.control_plane.command_shapes import REASONED_SHAPE, REPAIR_SHAPE
from dwserver.http.control_plane.command_targets import find_target, recorded
from dwserver.http.control_plane.command_views import command_body, command_status
from dwserver.http.request_fields import checked
from dwserver.http.route import command_routes
from dwserver.protocol.control_plane import Operation
from dwserver.services.catalog import Services


async def repair(services: Services, call: Call) -> Reply:
    """Make what the open run lacks, and announce its tasks that nobody takes."""
    target = await find_target(services, call)
    values = checked(call.body, REPAIR_FIELDS)
    request = OperatorRequest(
        namespace=call.namespace,
        request_id=values["request_id"],
        context=call.context(
            CommandType.REPAIR, values, workflow_id=call.params["workflow_id"]
        ),
    )
    done = recorded(call, await services.commands.repair(target, request))
    return Reply(command_status(done.command), command_body(done))


async def archive(services: Services, call: Call) -> Reply:
    """Keep the closed run from retention."""
    target = await find_target(services, call)
    values = checked_reason(call.body)
    request = ArchiveRequest(
        namespace=call.namespace,
        reason=values["reason"],
        request_id=values["request_id"],
        context=call.context(
            CommandType.ARCHIVE, values, workflow_id=call.params["workflow_id"]
        ),
    )
    done = recorded(call, await services.commands.archive(target, request))
    return Reply(command_status(done.command), command_body(done))


ROUTES = (
    *command_routes("/repair", Operation.REPAIR, handler=repair, shape=REPAIR_SHAPE),
    *command_routes(
        "/archive", Operation.ARCHIVE, handler=archive, shape=REASONED_SHAPE
    ),
)
