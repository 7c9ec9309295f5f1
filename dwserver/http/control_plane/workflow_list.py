"""``GET /api/workflows`` (``spec/control-plane-api.md`` §5.1, §5.1.1)."""

from __future__ import annotations

from typing import Final

from dwserver.engine.run_conditions import Condition
from dwserver.engine.words import StatusBucket
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.fleet import fleet_for
from dwserver.http.control_plane.list_cursor import cursor_token, read_cursor
from dwserver.http.control_plane.run_shapes import WorkflowList
from dwserver.http.control_plane.run_views import list_row
from dwserver.http.errors import invalid_fields
from dwserver.http.request_fields import checked, words
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import LIST_STATUSES, Operation
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.validation import INTEGER, Field
from dwserver.protocol.visibility.conditions import read_query
from dwserver.protocol.visibility.grammar import is_visibility_query
from dwserver.protocol.visibility.problems import InvalidQuery
from dwserver.services.catalog import Services
from dwserver.services.records import RunCursor, RunFilter, RunView
from dwserver.topology.gate import RouteFamily

LIST_FIELDS: Final = (
    Field("workflow_type"),
    Field("status", choices=frozenset(LIST_STATUSES)),
    Field("query"),
    Field("page_size", INTEGER, default=50, minimum=1, maximum=200),
    Field("next_page_token"),
)


async def list_workflows(services: Services, call: Call) -> Reply:
    """A page of the namespace's runs, the newest first."""
    values = checked(words(call.query), LIST_FIELDS)
    run_filter = await _filter(services, call.namespace, values)
    views: list[RunView] = []
    has_more = False
    if run_filter is not None:
        views, has_more = await services.workflows.find_runs(
            run_filter,
            after=read_cursor(values["next_page_token"]),
            limit=values["page_size"],
        )
    fleet = await fleet_for(services, call.namespace, (view.run for view in views))
    token = None
    if has_more:
        last = views[-1].run
        token = cursor_token(RunCursor(last.started_at, last.id))
    body = {
        "workflows": [list_row(view, fleet) for view in views],
        "workflow_count": len(views),
        "next_page_token": token,
    }
    return Reply(200, body)


async def _filter(
    services: Services, namespace: str, values: JsonObject
) -> RunFilter | None:
    """None: no run can match. Text that is no visibility query is searched for."""
    text, bucket = values["query"], values["status"]
    conditions: tuple[Condition, ...] = ()
    if text is not None and is_visibility_query(text):
        types = await services.search_attributes.known_types(namespace)
        try:
            found = read_query(text, types)
        except InvalidQuery as problem:
            raise invalid_fields({"query": [str(problem)]}) from problem
        if found is None:
            return None
        text, conditions = None, found
    return RunFilter(
        namespace,
        values["workflow_type"],
        StatusBucket(bucket) if bucket else None,
        text,
        conditions,
    )


ROUTES = (
    workflow_route(
        Method.GET,
        "",
        Operation.LIST,
        handler=list_workflows,
        is_bootstrap_gated=True,
        family=RouteFamily.HISTORY,
        shape=RouteShape(query=LIST_FIELDS, answers={200: WorkflowList}),
    ),
)
