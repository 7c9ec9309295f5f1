"""``GET …/runs/{run_id}/history/export`` (``spec/control-plane-api.md`` §5.14)."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.lookups import history_pruned, no_run
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import JsonMap, MicroTime, RouteShape
from dwserver.protocol.reasons import Reason
from dwserver.services.catalog import Services
from dwserver.services.history_exports.exporting import Pruned
from dwserver.topology.gate import RouteFamily


async def export(services: Services, call: Call) -> Reply:
    """The bundle itself, of an open run too."""
    workflow_id, run_id = call.params["workflow_id"], call.params["run_id"]
    bundle = await services.history_exports.bundle(call.namespace, workflow_id, run_id)
    if bundle is None:
        raise no_run(workflow_id, run_id)
    if isinstance(bundle, Pruned):
        raise history_pruned(workflow_id, run_id, pruned_at=bundle.at)
    return Reply(200, bundle)


class HistoryBundle(TypedDict):
    """Everything about a run. ``integrity`` has the checksum of the rest in its
    canonical form, and a signature if the server has a key."""

    schema: str
    schema_version: int
    exported_at: MicroTime
    dedupe_key: str
    history_complete: bool
    workflow: JsonMap
    payloads: JsonMap
    summary: JsonMap
    selected_run: JsonMap
    history_events: list[JsonMap]
    waits: list[JsonMap]
    timeline: list[JsonMap]
    linked_intakes_scope: str
    linked_intakes: list[JsonMap]
    commands: list[JsonMap]
    signals: list[JsonMap]
    updates: list[JsonMap]
    tasks: list[JsonMap]
    activities: list[JsonMap]
    timers: list[JsonMap]
    failures: list[JsonMap]
    links: JsonMap
    redaction: JsonMap
    codec_schemas: JsonMap
    payload_manifest: JsonMap
    integrity: JsonMap


ROUTES = (
    replace(
        management_route(
            Method.GET,
            "/workflows/{workflow_id}/runs/{run_id}/history/export",
            operation="export",
            handler=export,
            shape=RouteShape(
                answers={200: HistoryBundle},
                reasons=(Reason.RUN_NOT_FOUND, Reason.HISTORY_PRUNED),
            ),
        ),
        family=RouteFamily.HISTORY,
    ),
)
