"""The workflow and the name that an operator command is for, and commands that found
no run."""

from __future__ import annotations

from typing import TypeVar

from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandRejection
from dwserver.http.call import Call
from dwserver.http.control_plane.command_views import REJECTED_BECAUSE
from dwserver.http.control_plane.lookups import no_workflow, not_current
from dwserver.http.control_plane.operation_names import check_operation_name
from dwserver.http.errors import refuse
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane, Reason
from dwserver.services.catalog import Services
from dwserver.services.command_targets import Target

Answer = TypeVar("Answer")


async def find_target(services: Services, call: Call) -> Target:
    """The workflow id of the path, and the run if the route names one; raises the
    refusal 404 or 409."""
    found = await services.commands.find_target(
        call.namespace, call.params["workflow_id"], call.params.get("run_id")
    )
    return recorded(call, found)


async def find_message_target(
    services: Services, call: Call, kind: Operation
) -> tuple[Target, str]:
    """The workflow and the name of a signal or update; raises the refusal 404, 409 or
    422. Where a run is named, the run is looked at first (§5.12)."""
    name, longest = call.params[f"{kind}_name"], services.limits.operation_name_bytes
    if "run_id" in call.params:
        target = await find_target(services, call)
        check_operation_name(kind, name, max_bytes=longest)
    else:
        check_operation_name(kind, name, max_bytes=longest)
        target = await find_target(services, call)
    return target, name


def recorded(call: Call, answer: Answer | Rejection) -> Answer:
    """What a command answers; raises the refusal for one that left no record."""
    if not isinstance(answer, Rejection):
        return answer
    reason, workflow_id = Reason(answer.reason), call.params["workflow_id"]
    if reason is Reason.INSTANCE_NOT_FOUND:
        raise no_workflow(workflow_id)
    if reason is Reason.HISTORICAL_RUN_COMMAND_REJECTED:
        raise not_current(workflow_id, call.params["run_id"])
    fields: JsonObject = {"workflow_id": workflow_id, **answer.fields}
    message = answer.message or REJECTED_BECAUSE[CommandRejection(reason)]
    raise refuse(reason, Plane.CONTROL, message, **fields)
