"""Describe a workflow, its runs, one run (``spec/control-plane-api.md`` §5.3, §5.4)."""

from __future__ import annotations

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.fleet import fleet_for
from dwserver.http.control_plane.lookups import no_run, no_workflow
from dwserver.http.control_plane.run_shapes import RunDetailView, RunList
from dwserver.http.control_plane.run_views import Fetched, run_detail, run_row
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.payloads.external import stored_reference
from dwserver.protocol.reasons import Reason
from dwserver.services.catalog import Services
from dwserver.services.workflows import RunDetail
from dwserver.topology.gate import RouteFamily


async def describe(services: Services, call: Call) -> Reply:
    """The current run of a workflow id."""
    workflow_id = call.params["workflow_id"]
    detail = await services.workflows.describe(call.namespace, workflow_id)
    if detail is None:
        raise no_workflow(workflow_id)
    return await _detail(services, call, detail)


async def describe_run(services: Services, call: Call) -> Reply:
    """One run of a workflow id."""
    workflow_id, run_id = call.params["workflow_id"], call.params["run_id"]
    detail = await services.workflows.describe(call.namespace, workflow_id, run_id)
    if detail is None:
        raise no_run(workflow_id, run_id)
    return await _detail(services, call, detail)


async def list_runs(services: Services, call: Call) -> Reply:
    """All runs of a workflow id, the oldest first."""
    workflow_id = call.params["workflow_id"]
    views = await services.workflows.runs(call.namespace, workflow_id)
    if not views:
        raise no_workflow(workflow_id)
    fleet = await fleet_for(services, call.namespace, (view.run for view in views))
    body = {
        "workflow_id": workflow_id,
        "run_count": len(views),
        "runs": [run_row(view, fleet) for view in views],
    }
    return Reply(200, body)


async def _detail(services: Services, call: Call, detail: RunDetail) -> Reply:
    run = detail.view.run
    is_current = run.id == detail.view.current_run_id
    body = run_detail(
        detail,
        await fleet_for(services, call.namespace, (run,)),
        services.limits.control_plane_framing,
        can_query=is_current and await services.queries.can_answer(run),
        fetched=await _fetched(services, call, detail),
    )
    return Reply(200, body)


async def _fetched(services: Services, call: Call, detail: RunDetail) -> Fetched:
    """Input and output, where they lie outside the database and can be had."""
    return {
        payload: await services.external_payloads.shown(call.namespace, payload)
        for payload in (detail.view.input.arguments, detail.view.output)
        if payload is not None and stored_reference(payload) is not None
    }


ROUTES = (
    workflow_route(
        Method.GET,
        "/{workflow_id}",
        Operation.DESCRIBE,
        handler=describe,
        is_bootstrap_gated=True,
        shape=RouteShape(
            answers={200: RunDetailView}, reasons=(Reason.INSTANCE_NOT_FOUND,)
        ),
    ),
    workflow_route(
        Method.GET,
        "/{workflow_id}/runs",
        Operation.LIST_RUNS,
        handler=list_runs,
        family=RouteFamily.HISTORY,
        shape=RouteShape(answers={200: RunList}, reasons=(Reason.INSTANCE_NOT_FOUND,)),
    ),
    workflow_route(
        Method.GET,
        "/{workflow_id}/runs/{run_id}",
        Operation.DESCRIBE_RUN,
        handler=describe_run,
        shape=RouteShape(answers={200: RunDetailView}, reasons=(Reason.RUN_NOT_FOUND,)),
    ),
)
