"""The workflow and the name that an operator command is for, and commands that found
no run."""

from __future__ import annotations

from typing import TypeVar

from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandRejection
from dwserver.http.call import Call
from dwserver.http.control_plane.command_fields import check_name
from dwserver.http.control_plane.command_views import REJECTED_BECAUSE
from dwserver.http.errors import refuse
from dwserver.protocol.command_contracts import MessageKind
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
    services: Services, call: Call, kind: MessageKind
) -> tuple[Target, str]:
    """The workflow and the name of a signal or update; raises the refusal 404, 409 or
    422. Where a run is named, the run is looked at first (§5.12)."""
    name, longest = call.params[f"{kind}_name"], services.limits.operation_name_bytes
    if "run_id" in call.params:
        target = await find_target(services, call)
        check_name(kind, name, longest=longest)
    else:
        check_name(kind, name, longest=longest)
        target = await find_target(services, call)
    return target, name


def recorded(call: Call, answer: Answer | Rejection) -> Answer:
    """What a command answers; raises the refusal for one that left no record."""
    if not isinstance(answer, Rejection):
        return answer
    reason = Reason(answer.reason)
    fields: JsonObject = {"workflow_id": call.params["workflow_id"], **answer.fields}
    if reason is Reason.HISTORICAL_RUN_COMMAND_REJECTED:
        fields["target_scope"] = "run"
    message = answer.message or REJECTED_BECAUSE[CommandRejection(reason)]
    raise refuse(reason, Plane.CONTROL, message, **fields)
