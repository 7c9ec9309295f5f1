"""Fires that operators ask for: trigger and backfill (§2.8)."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.model.schedules import OverlapPolicy, SkipReason
from dwserver.engine.wire_time import iso
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.lookups import no_schedule
from dwserver.http.control_plane.schedule_fields import (
    BACKFILL_FIELDS,
    TRIGGER_FIELDS,
    checked_window,
)
from dwserver.http.control_plane.schedules import command_context, found
from dwserver.http.errors import invalid_fields
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import Count, IsoTime, RouteShape
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason
from dwserver.services.catalog import Services
from dwserver.services.schedules import (
    MAX_BACKFILL,
    Backfilled,
    Fired,
    FireOutcome,
    TooManyOccurrences,
)

_BUFFER_FULL: Final = "The workflow before it runs and the buffer is full."
_RESULTS: Final = {
    FireOutcome.TRIGGERED: "started",
    FireOutcome.FAILED: "failed",
}


async def trigger(services: Services, call: Call) -> Reply:
    """Fire now, as the overlap policy allows."""
    schedule = await found(services, call)
    values = checked(call.body, TRIGGER_FIELDS)
    fired = await services.schedules.trigger(
        schedule,
        policy=_policy(values),
        command=command_context(call, "trigger", schedule.schedule_id),
    )
    if fired is None:
        raise no_schedule(call.namespace, schedule.schedule_id)
    body: JsonObject = {"schedule_id": schedule.schedule_id, **_told(fired)}
    return Reply(500 if fired.outcome is FireOutcome.FAILED else 200, body)


def _told(fired: Fired) -> JsonObject:
    match fired.outcome:
        case FireOutcome.BUFFERED:
            return {"outcome": "buffered", "buffer_depth": fired.buffer_depth}
        case FireOutcome.BUFFER_FULL:
            return {"outcome": "buffer_full", "reason": _BUFFER_FULL}
        case FireOutcome.SKIPPED:
            return {"outcome": "skipped", "reason": fired.reason}
        case FireOutcome.FAILED:
            return {"outcome": "trigger_failed", "reason": fired.reason}
        case _:
            return {
                "outcome": "triggered",
                "workflow_id": fired.workflow_id,
                "run_id": fired.run_id,
            }


async def backfill(services: Services, call: Call) -> Reply:
    """Fire the occurrences of a window in the past, one after the other."""
    schedule = await found(services, call)
    values = checked(call.body, BACKFILL_FIELDS)
    window = checked_window(values)
    try:
        done = await services.schedules.backfill(
            schedule,
            window,
            policy=_policy(values),
            command=command_context(call, "backfill", schedule.schedule_id),
        )
    except TooManyOccurrences:
        text = f"The window has more than {MAX_BACKFILL} occurrences."
        raise invalid_fields({"end_time": [text]}) from None
    return Reply(
        200,
        {
            "schedule_id": schedule.schedule_id,
            "outcome": "backfill_started",
            "fires_attempted": len(done),
            "results": list(map(_result, done)),
        },
    )


def _result(done: Backfilled) -> JsonObject:
    fired = done.fired
    result: JsonObject = {"fire_time": iso(done.at)}
    if fired.workflow_id is not None:
        result["workflow_id"] = fired.workflow_id
    result["outcome"] = _RESULTS.get(fired.outcome, "skipped")
    if fired.outcome is FireOutcome.ALREADY_FIRED:
        result["reason"] = FireOutcome.ALREADY_FIRED.value
    if fired.outcome is FireOutcome.FAILED:
        result["reason"] = fired.reason
    return result


def _policy(values: JsonObject) -> OverlapPolicy | None:
    policy = values["overlap_policy"]
    return None if policy is None else OverlapPolicy(policy)


class Triggered(TypedDict):
    schedule_id: str
    outcome: Literal["triggered"]
    workflow_id: str
    run_id: str


class HeldBack(TypedDict):
    schedule_id: str
    outcome: Literal["buffered"]
    buffer_depth: Count


class NotTriggered(TypedDict):
    schedule_id: str
    outcome: Literal["buffer_full"]
    reason: str


class SkippedTrigger(TypedDict):
    schedule_id: str
    outcome: Literal["skipped"]
    reason: SkipReason


class FailedTrigger(TypedDict):
    schedule_id: str
    outcome: Literal["trigger_failed"]
    reason: str


class BackfillResult(TypedDict):
    fire_time: IsoTime
    workflow_id: NotRequired[str]
    outcome: Literal["started", "skipped", "failed"]
    reason: NotRequired[str]


class BackfillAnswer(TypedDict):
    schedule_id: str
    outcome: Literal["backfill_started"]
    fires_attempted: Count
    results: list[BackfillResult]


ROUTES = (
    management_route(
        Method.POST,
        "/schedules/{schedule_id}/trigger",
        operation="trigger",
        handler=trigger,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=TRIGGER_FIELDS,
            answers={
                200: Triggered | HeldBack | NotTriggered | SkippedTrigger,
                500: FailedTrigger,
            },
            reasons=(Reason.SCHEDULE_NOT_FOUND,),
        ),
    ),
    management_route(
        Method.POST,
        "/schedules/{schedule_id}/backfill",
        operation="backfill",
        handler=backfill,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=BACKFILL_FIELDS,
            answers={200: BackfillAnswer},
            reasons=(Reason.SCHEDULE_NOT_FOUND, Reason.INVALID_TIME_RANGE),
        ),
    ),
)
