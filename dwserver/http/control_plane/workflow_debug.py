"""``…/debug`` of a workflow and of a run (``spec/control-plane-api.md`` §5.5)."""

from __future__ import annotations

from typing import Final

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.debug_shapes import DebugView
from dwserver.http.control_plane.debug_views import debug_body
from dwserver.http.control_plane.fleet import fleet_for
from dwserver.http.control_plane.lookups import no_run, no_workflow
from dwserver.http.control_plane.queue_views import queue_view
from dwserver.http.request_fields import checked, words
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import Field
from dwserver.services.catalog import Services
from dwserver.services.fleet import worker_fleet
from dwserver.services.run_diagnosis import RunDiagnosis

_PREVIEW: Final = "include_last_event_payload"
# Other words mean no.
_YES: Final = frozenset({"1", "true", "on", "yes"})

DEBUG_FIELDS: Final = (Field(_PREVIEW),)


async def debug_workflow(services: Services, call: Call) -> Reply:
    """The current run of a workflow id."""
    workflow_id = call.params["workflow_id"]
    found = await services.diagnosis.of_run(call.namespace, workflow_id)
    if found is None:
        raise no_workflow(workflow_id)
    return await _shown(services, call, found)


async def debug_run(services: Services, call: Call) -> Reply:
    """One run of a workflow id."""
    workflow_id, run_id = call.params["workflow_id"], call.params["run_id"]
    found = await services.diagnosis.of_run(call.namespace, workflow_id, run_id)
    if found is None:
        raise no_run(workflow_id, run_id)
    return await _shown(services, call, found)


async def _shown(services: Services, call: Call, found: RunDiagnosis) -> Reply:
    word = checked(words(call.query), DEBUG_FIELDS)[_PREVIEW]
    run, workers = found.detail.view.run, services.workers
    queue = queue_view(found.queue, workers)
    body = debug_body(
        found,
        await fleet_for(services, call.namespace, (run,)),
        queue,
        framing=services.limits.control_plane_framing,
        has_preview=word is not None and word.lower() in _YES,
    )
    compatibility: JsonObject = {
        "run": {
            "compatibility": run.compatibility,
            "summary_compatibility": run.compatibility,
            "task_queue": run.task_queue,
        },
        "namespace_worker_fleet": await worker_fleet(
            workers, call.namespace, expires_after=workers.stale_after
        ),
    }
    if queue["pollers"]:
        compatibility["task_queue_pollers"] = queue["pollers"]
    return Reply(200, {**body, "compatibility": compatibility})


ROUTES = (
    workflow_route(
        Method.GET,
        "/{workflow_id}/debug",
        Operation.DEBUG_WORKFLOW,
        handler=debug_workflow,
        shape=RouteShape(
            query=DEBUG_FIELDS,
            answers={200: DebugView},
            reasons=(Reason.INSTANCE_NOT_FOUND,),
        ),
    ),
    workflow_route(
        Method.GET,
        "/{workflow_id}/runs/{run_id}/debug",
        Operation.DEBUG_WORKFLOW,
        handler=debug_run,
        shape=RouteShape(
            query=DEBUG_FIELDS,
            answers={200: DebugView},
            reasons=(Reason.RUN_NOT_FOUND,),
        ),
    ),
)
