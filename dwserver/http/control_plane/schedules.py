"""``/api/schedules``: create, look at, change, pause and delete schedules
(``spec/scheduling-and-maintenance.md`` §2)."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

from dwserver.engine.model.schedules import OverlapPolicy, Schedule, ScheduleStatus
from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.annotations import MEMO, SEARCH_ATTRIBUTES
from dwserver.http.control_plane.list_cursor import cursor_token, read_cursor
from dwserver.http.control_plane.lookups import no_schedule
from dwserver.http.control_plane.schedule_fields import (
    CREATE_FIELDS,
    NOTE_FIELDS,
    UPDATE_FIELDS,
    checked_definition,
)
from dwserver.http.control_plane.schedule_views import (
    ScheduleEventView,
    ScheduleItem,
    ScheduleView,
    described,
    event_view,
    listed,
)
from dwserver.http.errors import invalid_fields, refuse
from dwserver.http.request_fields import checked, words
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import INTEGER, Field, as_integer
from dwserver.protocol.visibility.problems import InvalidQuery
from dwserver.protocol.visibility.schedule_query import Accepts, read_schedule_query
from dwserver.services.catalog import Services
from dwserver.services.records import RunCursor, ScheduleCursor, ScheduleFilter

# What a list without a page size shows: older clients do not page.
MAX_LISTED: Final = 1000
HISTORY_PAGE: Final = 100
MAX_HISTORY_PAGE: Final = 500

LIST_FIELDS: Final = (
    Field("status", choices=frozenset({ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED})),
    Field("workflow_type"),
    Field("query"),
    Field("page_size", INTEGER, default=MAX_LISTED, minimum=1, maximum=MAX_LISTED),
    Field("next_page_token"),
)
HISTORY_FIELDS: Final = (Field("limit"), Field("after_sequence"))
# Fields that an update leaves alone when they are null, in the order of the history.
_REPLACED: Final = ("overlap_policy", "jitter_seconds", "max_runs")


async def index(services: Services, call: Call) -> Reply:
    """Schedules of the namespace, the newest first."""
    values = checked(words(call.query), LIST_FIELDS)
    cursor = read_cursor(values["next_page_token"])
    status = values["status"]
    schedules, position = await services.schedules.find_page(
        ScheduleFilter(
            call.namespace,
            ScheduleStatus(status) if status else None,
            values["workflow_type"],
        ),
        after=ScheduleCursor(cursor.started_at, cursor.run_id) if cursor else None,
        limit=values["page_size"],
        accepts=await _accepted(services, call.namespace, values["query"]),
    )
    token = None
    if position is not None:
        token = cursor_token(RunCursor(position.created_at, position.id))
    return Reply(
        200, {"schedules": list(map(listed, schedules)), "next_page_token": token}
    )


async def _accepted(
    services: Services, namespace: str, query: str | None
) -> Accepts | None:
    """Which schedules fulfil the query; None: all of them."""
    if query is None:
        return None
    types = await services.search_attributes.known_types(namespace)
    try:
        return read_schedule_query(query, types)
    except InvalidQuery as problem:
        raise invalid_fields({"query": [str(problem)]}) from problem


async def store(services: Services, call: Call) -> Reply:
    """Create a schedule; the id of a deleted one is free."""
    values = await checked_definition(services, call, CREATE_FIELDS)
    schedule_id = values["schedule_id"] or services.next_id().upper()
    new = NewSchedule(
        namespace=call.namespace,
        schedule_id=schedule_id,
        spec=values["spec"],
        action=values["action"],
        overlap_policy=OverlapPolicy(values["overlap_policy"] or OverlapPolicy.SKIP),
        jitter_seconds=values["jitter_seconds"] or 0,
        max_runs=values["max_runs"],
        memo=values[MEMO],
        search_attributes=values[SEARCH_ATTRIBUTES],
        note=values["note"],
        is_paused=values["paused"],
    )
    commands = Commands(
        create=command_context(call, "create", schedule_id),
        pause=command_context(call, "pause", schedule_id),
    )
    if await services.schedules.create(new, commands) is None:
        raise refuse(
            Reason.SCHEDULE_ALREADY_EXISTS,
            Plane.CONTROL,
            f"Schedule [{schedule_id}] already exists in namespace [{call.namespace}].",
            schedule_id=schedule_id,
        )
    return Reply(201, {"schedule_id": schedule_id, "outcome": "created"})


async def show(services: Services, call: Call) -> Reply:
    """One schedule."""
    return Reply(200, described(await found(services, call)))


async def update(services: Services, call: Call) -> Reply:
    """Change what is given: the spec as a whole, members of the action."""
    schedule = await found(services, call)
    values = await checked_definition(services, call, UPDATE_FIELDS)
    body = call.body if isinstance(call.body, dict) else {}
    given: JsonObject = {
        name: values[name]
        for name in ("spec", "action", *_REPLACED)
        if values[name] is not None
    }
    if "overlap_policy" in given:
        given["overlap_policy"] = OverlapPolicy(given["overlap_policy"])
    given |= {name: values[name] for name in (MEMO, SEARCH_ATTRIBUTES) if name in body}
    if values["note"] is not None:
        given["note"] = values["note"]
    command = command_context(call, "update", schedule.schedule_id)
    changed = await services.schedules.update(schedule, given, command)
    return answered(call, changed, "updated")


async def destroy(services: Services, call: Call) -> Reply:
    """Delete a schedule; what it has started runs on."""
    schedule = await found(services, call)
    command = command_context(call, "delete", schedule.schedule_id)
    changed = await services.schedules.delete(schedule, command)
    return answered(call, changed, "deleted")


async def pause(services: Services, call: Call) -> Reply:
    """Let a schedule fire no more for now; repeated, it stays paused."""
    schedule = await found(services, call)
    note = checked(call.body, NOTE_FIELDS)["note"]
    command = command_context(call, "pause", schedule.schedule_id)
    changed = await services.schedules.pause(schedule, note=note, command=command)
    return answered(call, changed, "paused")


async def resume(services: Services, call: Call) -> Reply:
    """Let a schedule fire again from now on; one that is not paused stays as it is."""
    schedule = await found(services, call)
    note = checked(call.body, NOTE_FIELDS)["note"]
    command = command_context(call, "resume", schedule.schedule_id)
    changed = await services.schedules.resume(schedule, note=note, command=command)
    return answered(call, changed, "resumed")


async def history(services: Services, call: Call) -> Reply:
    """A page of the audit history, of a deleted schedule as well."""
    schedule_id = call.params["schedule_id"]
    schedule = await services.schedules.find(
        call.namespace, schedule_id, with_deleted=True
    )
    if schedule is None:
        raise no_schedule(call.namespace, schedule_id)
    events, has_more = await services.schedules.history(
        schedule,
        after=_after_sequence(call.query.get("after_sequence")),
        limit=_history_limit(call.query.get("limit")),
    )
    return Reply(
        200,
        {
            "schedule_id": schedule.schedule_id,
            "namespace": schedule.namespace,
            "events": list(map(event_view, events)),
            "next_cursor": events[-1].sequence if has_more else None,
            "has_more": has_more,
        },
    )


async def found(services: Services, call: Call) -> Schedule:
    """The schedule that the path names; raises the refusal 404."""
    schedule_id = call.params["schedule_id"]
    schedule = await services.schedules.find(call.namespace, schedule_id)
    if schedule is None:
        raise no_schedule(call.namespace, schedule_id)
    return schedule


def command_context(call: Call, verb: str, schedule_id: str) -> JsonObject:
    """The attribution of a command to a schedule, whose id takes the place of a
    workflow's (§2.10)."""
    return call.context(f"schedule.{verb}", {}, workflow_id=schedule_id)


def answered(call: Call, schedule: Schedule | None, outcome: str) -> Reply:
    if schedule is None:
        raise no_schedule(call.namespace, call.params["schedule_id"])
    return Reply(200, {"schedule_id": schedule.schedule_id, "outcome": outcome})


def _after_sequence(raw: JsonValue) -> int:
    if raw is None or raw == "":
        return 0
    sequence = as_integer(raw)
    if sequence is None or sequence < 0:
        raise refuse(
            Reason.INVALID_AFTER_SEQUENCE,
            Plane.CONTROL,
            "after_sequence must be a non-negative integer.",
        )
    return sequence


def _history_limit(raw: JsonValue) -> int:
    """What is no number of events is the default."""
    limit = as_integer(raw) if raw is not None else None
    if limit is None or limit <= 0:
        return HISTORY_PAGE
    return min(limit, MAX_HISTORY_PAGE)


class ScheduleList(TypedDict):
    schedules: list[ScheduleItem]
    next_page_token: str | None


class ScheduleHistory(TypedDict):
    schedule_id: str
    namespace: str
    events: list[ScheduleEventView]
    next_cursor: int | None
    has_more: bool


class CreatedSchedule(TypedDict):
    schedule_id: str
    outcome: Literal["created"]


class ChangedSchedule(TypedDict):
    schedule_id: str
    outcome: Literal["updated", "deleted", "paused", "resumed"]


_ONE: Final = "/schedules/{schedule_id}"
_DEFINITION_REASONS: Final = (
    Reason.MEMO_TOO_LARGE,
    Reason.EXTERNAL_PAYLOAD_STORAGE_UNAVAILABLE,
)

ROUTES = (
    management_route(
        Method.GET,
        "/schedules",
        operation="index",
        handler=index,
        shape=RouteShape(query=LIST_FIELDS, answers={200: ScheduleList}),
    ),
    management_route(
        Method.POST,
        "/schedules",
        operation="store",
        handler=store,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=CREATE_FIELDS,
            answers={201: CreatedSchedule},
            reasons=(Reason.SCHEDULE_ALREADY_EXISTS, *_DEFINITION_REASONS),
        ),
    ),
    management_route(
        Method.GET,
        _ONE,
        operation="show",
        handler=show,
        shape=RouteShape(
            answers={200: ScheduleView}, reasons=(Reason.SCHEDULE_NOT_FOUND,)
        ),
    ),
    management_route(
        Method.PUT,
        _ONE,
        operation="update",
        handler=update,
        is_bootstrap_gated=True,
        shape=RouteShape(
            body=UPDATE_FIELDS,
            answers={200: ChangedSchedule},
            reasons=(Reason.SCHEDULE_NOT_FOUND, *_DEFINITION_REASONS),
        ),
    ),
    management_route(
        Method.DELETE,
        _ONE,
        operation="destroy",
        handler=destroy,
        is_bootstrap_gated=True,
        shape=RouteShape(
            answers={200: ChangedSchedule}, reasons=(Reason.SCHEDULE_NOT_FOUND,)
        ),
    ),
    *(
        management_route(
            Method.POST,
            f"{_ONE}/{verb.__name__}",
            operation=verb.__name__,
            handler=verb,
            is_bootstrap_gated=True,
            shape=RouteShape(
                body=NOTE_FIELDS,
                answers={200: ChangedSchedule},
                reasons=(Reason.SCHEDULE_NOT_FOUND,),
            ),
        )
        for verb in (pause, resume)
    ),
    management_route(
        Method.GET,
        f"{_ONE}/history",
        operation="history",
        handler=history,
        shape=RouteShape(
            query=HISTORY_FIELDS,
            answers={200: ScheduleHistory},
            reasons=(Reason.SCHEDULE_NOT_FOUND, Reason.INVALID_AFTER_SEQUENCE),
        ),
    ),
)
