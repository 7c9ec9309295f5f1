"""The workflow that an operator command names, and commands that found no run."""

from __future__ import annotations

from typing import TypeVar

from dwserver.engine.outcome import Rejection
from dwserver.http.call import Call
from dwserver.http.errors import refuse
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane, Reason
from dwserver.services.catalog import Services
from dwserver.services.command_targets import Target

Answer = TypeVar("Answer")


async def find_target(services: Services, call: Call) -> Target:
    """The workflow id of the path, and the run if the route names one; raises the
    refusal 404 or 409."""
    run_id = call.params.get("run_id")
    found = await services.commands.find_target(
        call.namespace, call.params["workflow_id"], run_id
    )
    return recorded(call, found)


def recorded(call: Call, answer: Answer | Rejection) -> Answer:
    """What a command answers; raises the refusal for one that left no record."""
    if not isinstance(answer, Rejection):
        return answer
    reason = Reason(answer.reason)
    fields: JsonObject = {"workflow_id": call.params["workflow_id"], **answer.fields}
    if reason is Reason.HISTORICAL_RUN_COMMAND_REJECTED:
        fields["target_scope"] = "run"
    raise refuse(reason, Plane.CONTROL, answer.message, **fields)
