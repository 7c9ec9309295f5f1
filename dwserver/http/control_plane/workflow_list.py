"""``GET /api/workflows`` (``spec/control-plane-api.md`` §5.1)."""

from __future__ import annotations

from typing import Final

from dwserver.engine.words import StatusBucket
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.fleet import fleet_for
from dwserver.http.control_plane.list_cursor import cursor_token, read_cursor
from dwserver.http.control_plane.run_shapes import WorkflowList
from dwserver.http.control_plane.run_views import list_row
from dwserver.http.request_fields import checked, words
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import LIST_STATUSES, Operation
from dwserver.protocol.validation import INTEGER, Field
from dwserver.services.catalog import Services
from dwserver.services.records import RunCursor, RunFilter

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
    bucket = values["status"]
    views, has_more = await services.workflows.find_runs(
        RunFilter(
            call.namespace,
            values["workflow_type"],
            StatusBucket(bucket) if bucket else None,
            values["query"],
        ),
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


ROUTES = (
    workflow_route(
        Method.GET,
        "",
        Operation.LIST,
        handler=list_workflows,
        is_bootstrap_gated=True,
        shape=RouteShape(query=LIST_FIELDS, answers={200: WorkflowList}),
    ),
)
