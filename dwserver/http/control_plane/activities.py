"""``/api/activities``: activities without a workflow (``spec/control-plane-api.md``
§10). They are cancelled and terminated as workflows, by the same id."""

from __future__ import annotations

import re
from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.lifecycle.standalone import StartActivity
from dwserver.engine.model import JsonMap, RetryPolicy, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.engine.words import (
    ActivityStatus,
    ClosedReason,
    RunStatus,
    StatusBucket,
)
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.list_cursor import cursor_token, read_cursor
from dwserver.http.control_plane.lookups import no_activity
from dwserver.http.control_plane.workflow_start import start_arguments
from dwserver.http.errors import invalid_fields, refuse
from dwserver.http.request_fields import checked, words
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import (
    Count,
    MicroTime,
    PayloadEnvelope,
    RouteShape,
)
from dwserver.protocol.control_plane import LIST_STATUSES
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.framing import encode_for
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import ARRAY, INTEGER, LIST, OBJECT, Field, Item
from dwserver.services.catalog import Services
from dwserver.services.records import RunCursor, RunView
from dwserver.services.standalone_activities import StandaloneActivity

MAX_ATTEMPTS: Final = 1_000_000
# Timeouts of the request, and what they are called in a retry policy.
_TIMEOUTS: Final = {
    f"{name}_seconds": name
    for name in (
        "start_to_close_timeout",
        "schedule_to_start_timeout",
        "schedule_to_close_timeout",
        "heartbeat_timeout",
    )
}

START_FIELDS: Final = (
    Field("activity_type", required=True, max_length=255),
    Field("activity_id", max_length=128, pattern=re.compile(r"[a-zA-Z0-9._:-]+")),
    Field("activity_class", max_length=255),
    Field("task_queue", max_length=255),
    Field("input", ARRAY),
    Field("business_key", max_length=255),
    Field("retry_policy", OBJECT),
    Field(
        "retry_policy.max_attempts",
        INTEGER,
        default=1,
        minimum=1,
        maximum=MAX_ATTEMPTS,
    ),
    Field(
        "retry_policy.backoff_seconds",
        LIST,
        max_items=100,
        item=Item(kind=INTEGER, minimum=0),
    ),
    Field(
        "retry_policy.non_retryable_error_types",
        LIST,
        max_items=100,
        item=Item(max_length=255),
    ),
    *(
        Field(name, INTEGER, minimum=1, maximum=MAX_DURATION_SECONDS)
        for name in _TIMEOUTS
    ),
)
LIST_FIELDS: Final = (
    Field("status", choices=frozenset(LIST_STATUSES)),
    Field("page_size", INTEGER, default=50, minimum=1, maximum=200),
    Field("next_page_token"),
)


async def store(services: Services, call: Call) -> Reply:
    """Start an activity under an id that nothing else has."""
    values = checked(call.body, START_FIELDS)
    activity_id = values["activity_id"] or services.next_id()
    named = ("activity_type", "task_queue")
    described: JsonMap = {
        name: values[name]
        for name in ("activity_type", "activity_class")
        if values[name] is not None
    }
    start = StartActivity(
        namespace=call.namespace,
        activity_id=activity_id,
        activity_type=values["activity_type"],
        task_queue=values["task_queue"] or services.limits.default_task_queue,
        input=RunInput(
            arguments=await start_arguments(services, call, values["input"]),
            memo=described,
            business_key=values["business_key"],
        ),
        payload_codec=AVRO_CODEC,
        retry_policy=_retry_policy(values),
        compatibility=services.limits.compatibility,
        context=call.context(
            "start", {name: values[name] for name in named}, workflow_id=activity_id
        ),
    )
    started = await services.standalone_activities.start(start)
    if isinstance(started, Rejection):
        raise refuse(
            Reason(started.reason),
            Plane.CONTROL,
            started.message,
            activity_id=activity_id,
            **started.fields,
        )
    if started is None:
        text = f"The activity id [{activity_id}] has been used in this namespace."
        raise invalid_fields({"activity_id": [text]})
    body = {
        **_identity(started.view),
        **_deadlines(started),
        "status": started.view.run.status,
        "payload_codec": started.view.run.payload_codec,
        "started_at": micro(started.view.run.started_at),
        "command_status": "accepted",
        "command_source": "control_plane",
    }
    return Reply(201, body)


def _retry_policy(values: JsonObject) -> RetryPolicy | None:
    """None when the request has neither a policy nor a timeout."""
    timeouts = {ours: values[name] for name, ours in _TIMEOUTS.items()}
    if not values["retry_policy"] and not any(timeouts.values()):
        return None
    return RetryPolicy(
        max_attempts=values["retry_policy.max_attempts"],
        backoff_seconds=tuple(values["retry_policy.backoff_seconds"] or ()),
        non_retryable_error_types=tuple(
            values["retry_policy.non_retryable_error_types"] or ()
        ),
        **timeouts,
    )


async def index(services: Services, call: Call) -> Reply:
    """A page of the namespace's standalone activities, the newest first."""
    values = checked(words(call.query), LIST_FIELDS)
    bucket = values["status"]
    views, has_more = await services.standalone_activities.find_all(
        call.namespace,
        StatusBucket(bucket) if bucket else None,
        after=read_cursor(values["next_page_token"]),
        limit=values["page_size"],
    )
    last = views[-1].run if has_more else None
    body = {
        "activities": [_row(view) for view in views],
        "activity_count": len(views),
        "next_page_token": (
            cursor_token(RunCursor(last.started_at, last.id)) if last else None
        ),
    }
    return Reply(200, body)


async def show(services: Services, call: Call) -> Reply:
    """One standalone activity."""
    activity_id = call.params["activity_id"]
    found = await services.standalone_activities.find(call.namespace, activity_id)
    if found is None:
        raise no_activity(activity_id)
    run, output, activity = found.view.run, found.view.output, found.activity
    framing = services.limits.control_plane_framing
    body = {
        **_identity(found.view),
        **_deadlines(found),
        "activity_status": activity.status if activity else None,
        "attempt_count": activity.attempt_count if activity else 0,
        "business_key": found.view.input.business_key,
        "status": run.status,
        "closed_reason": run.closed_reason,
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
        "last_progress_at": micro(run.last_progress_at),
        "compatibility": run.compatibility,
        "payload_codec": run.payload_codec,
        "last_heartbeat_at": micro_or_none(
            activity.last_heartbeat_at if activity else None
        ),
        "result": encode_for(output, framing) if output is not None else None,
    }
    return Reply(200, body)


def _identity(view: RunView) -> JsonObject:
    run = view.run
    return {
        "activity_id": run.workflow_id,
        "workflow_id": run.workflow_id,
        "workflow_run_id": run.id,
        "workflow_type": run.workflow_type,
        "namespace": run.namespace,
        **_described(view),
        "task_queue": run.task_queue,
    }


def _described(view: RunView) -> JsonObject:
    memo = view.input.memo
    return {name: memo.get(name) for name in ("activity_type", "activity_class")}


def _deadlines(found: StandaloneActivity) -> JsonObject:
    activity = found.activity
    names = ("schedule_deadline_at", "schedule_to_close_deadline_at")
    start, close = (getattr(activity, name, None) for name in names)
    return {
        "activity_execution_id": activity.id if activity else None,
        "schedule_to_start_deadline_at": micro_or_none(start),
        "schedule_to_close_deadline_at": micro_or_none(close),
    }


def _row(view: RunView) -> JsonObject:
    run = view.run
    return {
        "activity_id": run.workflow_id,
        "workflow_run_id": run.id,
        **_described(view),
        "task_queue": run.task_queue,
        "status": run.status,
        "status_bucket": run.status.bucket,
        "business_key": view.input.business_key,
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
    }


class _ActivityMembers(TypedDict):
    activity_id: str
    workflow_run_id: str
    activity_type: str | None
    activity_class: str | None
    task_queue: str
    status: RunStatus
    started_at: MicroTime


class _ActivityIdentity(_ActivityMembers):
    workflow_id: str
    workflow_type: str
    namespace: str
    activity_execution_id: str | None
    payload_codec: str
    schedule_to_start_deadline_at: MicroTime | None
    schedule_to_close_deadline_at: MicroTime | None


class StartedActivity(_ActivityIdentity):
    command_status: Literal["accepted"]
    command_source: Literal["control_plane"]


class StandaloneActivityView(_ActivityIdentity):
    """``status`` is that of the run that hosts the activity."""

    activity_status: ActivityStatus | None
    attempt_count: Count
    business_key: str | None
    closed_reason: ClosedReason | None
    closed_at: MicroTime | None
    last_progress_at: MicroTime
    compatibility: str | None
    last_heartbeat_at: MicroTime | None
    result: PayloadEnvelope | None


class StandaloneActivityRow(_ActivityMembers):
    status_bucket: StatusBucket
    business_key: str | None
    closed_at: MicroTime | None


class StandaloneActivityList(TypedDict):
    """A page of standalone activities, the newest first."""

    activities: list[StandaloneActivityRow]
    activity_count: Count
    next_page_token: NotRequired[str | None]


ROUTES = (
    management_route(
        Method.GET,
        "/activities",
        operation="index",
        handler=index,
        is_bootstrap_gated=True,
        shape=RouteShape(query=LIST_FIELDS, answers={200: StandaloneActivityList}),
    ),
    management_route(
        Method.POST,
        "/activities",
        operation="store",
        handler=store,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=START_FIELDS,
            answers={201: StartedActivity},
            reasons=(
                Reason.TASK_QUEUE_DRAINING,
                Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
            ),
        ),
    ),
    management_route(
        Method.GET,
        "/activities/{activity_id}",
        operation="show",
        handler=show,
        is_bootstrap_gated=True,
        shape=RouteShape(
            answers={200: StandaloneActivityView},
            reasons=(Reason.ACTIVITY_NOT_FOUND,),
        ),
    ),
)
