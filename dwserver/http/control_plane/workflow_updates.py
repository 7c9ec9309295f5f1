"""Updates (``spec/control-plane-api.md`` §5.8)."""

from __future__ import annotations

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.command_fields import (
    checked_update,
    message_arguments,
)
from dwserver.http.control_plane.command_shapes import UPDATE_SHAPE
from dwserver.http.control_plane.command_targets import (
    find_message_target,
    recorded,
)
from dwserver.http.control_plane.update_views import update_body, update_status
from dwserver.http.route import command_routes
from dwserver.protocol.control_plane import Operation, WaitStage
from dwserver.services.catalog import Services
from dwserver.services.messages import Message


async def update(services: Services, call: Call) -> Reply:
    """Accept an update, and wait for what it comes to if the caller wants that."""
    target, name = await find_message_target(services, call, Operation.UPDATE)
    values = checked_update(call.body)
    request_id, stage = values["request_id"], WaitStage(values["wait_for"])
    sent = await message_arguments(services, call, values["input"])
    message = Message(
        namespace=call.namespace,
        name=name,
        arguments=sent.arguments,
        kept=sent.kept,
        request_id=request_id,
        context=call.context(
            "update",
            {"request_id": request_id, "update_name": name, "wait_for": stage},
            workflow_id=call.params["workflow_id"],
        ),
    )
    done = recorded(call, await services.commands.update(target, message))
    seconds = None
    if stage is WaitStage.COMPLETED:
        seconds = values["wait_timeout_seconds"]
        if seconds is None:
            seconds = services.limits.update_wait_seconds
        done = await services.commands.until_closed(
            done, seconds=seconds, is_connected=call.is_connected
        )
    framing = services.limits.control_plane_framing
    body = update_body(done, framing) | {
        "wait_for": stage,
        "wait_timed_out": done.is_wait_over,
        "wait_timeout_seconds": seconds,
    }
    return Reply(update_status(done), body)


ROUTES = command_routes(
    "/update/{update_name}", Operation.UPDATE, handler=update, shape=UPDATE_SHAPE
)
