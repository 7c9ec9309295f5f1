"""``/api/workers`` (``spec/control-plane-api.md`` §11)."""

from __future__ import annotations

from typing import Final, Literal, TypedDict, cast

from dwserver.engine.wire_time import MICROS, micro
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.lookups import no_worker
from dwserver.http.request_fields import checked, words
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, JsonMap, MicroTime, RouteShape
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import Field
from dwserver.services.catalog import Services
from dwserver.services.records import WorkerRegistration

DEFAULT_SESSIONS: Final = 10

LIST_FIELDS: Final = (Field("task_queue"), Field("status"))


async def index(services: Services, call: Call) -> Reply:
    """Workers of the namespace, last heard of first; stale ones are listed too."""
    values = checked(words(call.query), LIST_FIELDS)
    workers = await services.workers.find_all(
        call.namespace, queue=values["task_queue"]
    )
    rows = [_row(services, worker) for worker in workers]
    status = values["status"]
    body = {
        "workers": [row for row in rows if status is None or row["status"] == status],
        "stale_after_seconds": services.workers.stale_after // MICROS,
    }
    return Reply(200, body)


async def show(services: Services, call: Call) -> Reply:
    """One worker of the namespace."""
    worker_id = call.params["worker_id"]
    worker = await services.workers.find(call.namespace, worker_id)
    if worker is None:
        raise no_worker(call.namespace, worker_id)
    body = {
        **_row(services, worker),
        "updated_at": micro(worker.last_heartbeat_at),
        "stale_after_seconds": services.workers.stale_after // MICROS,
    }
    return Reply(200, body)


async def destroy(services: Services, call: Call) -> Reply:
    """Forget a registration; leases are not touched."""
    worker_id = call.params["worker_id"]
    if not await services.workers.deregister(call.namespace, worker_id):
        raise no_worker(call.namespace, worker_id)
    return Reply(200, {"worker_id": worker_id, "outcome": "deregistered"})


def _row(services: Services, worker: WorkerRegistration) -> JsonObject:
    details = worker.details
    sessions = details.get("max_concurrent_worker_sessions", DEFAULT_SESSIONS)
    interval = services.limits.worker_heartbeat_interval_seconds
    return {
        "worker_id": worker.worker_id,
        "namespace": worker.namespace,
        "task_queue": worker.task_queue,
        "runtime": worker.runtime,
        "sdk_version": worker.sdk_version,
        "build_id": worker.build_id,
        "supported_workflow_types": list(worker.workflow_types),
        "workflow_definition_fingerprints": dict(worker.fingerprints),
        "supported_activity_types": list(worker.activity_types),
        "max_concurrent_workflow_tasks": worker.max_workflow_tasks,
        "max_concurrent_activity_tasks": worker.max_activity_tasks,
        "status": services.workers.status(worker),
        "last_heartbeat_at": micro(worker.last_heartbeat_at),
        "registered_at": micro(worker.registered_at),
        "workflow_command_contracts": details.get("workflow_command_contracts", {}),
        "capabilities": details.get("capabilities", []),
        "max_concurrent_worker_sessions": sessions,
        "task_slots": _slots(worker, cast(int, sessions)),
        "process_metrics": details.get("process_metrics"),
        "heartbeat_interval_seconds": details.get(
            "heartbeat_interval_seconds", interval
        ),
    }


def _slots(worker: WorkerRegistration, sessions: int) -> JsonObject:
    """Free slots as last reported, within the capacities; all free until then."""
    reported = cast("dict[str, int]", worker.details.get("task_slots", {}))
    capacities = {
        "workflow": worker.max_workflow_tasks,
        "activity": worker.max_activity_tasks,
        "session": sessions,
    }
    slots: JsonObject = {
        f"{kind}_available": min(reported.get(f"{kind}_available", capacity), capacity)
        for kind, capacity in capacities.items()
    }
    slots.update(
        (f"{kind}_capacity", capacity) for kind, capacity in capacities.items()
    )
    return slots


class WorkerSlots(TypedDict):
    workflow_available: Count
    activity_available: Count
    session_available: Count
    workflow_capacity: Count
    activity_capacity: Count
    session_capacity: Count


class WorkerRow(TypedDict):
    worker_id: str
    namespace: str
    task_queue: str
    runtime: str
    sdk_version: str | None
    build_id: str | None
    supported_workflow_types: list[str]
    workflow_definition_fingerprints: dict[str, str]
    supported_activity_types: list[str]
    max_concurrent_workflow_tasks: Count
    max_concurrent_activity_tasks: Count
    status: str
    last_heartbeat_at: MicroTime
    registered_at: MicroTime
    workflow_command_contracts: JsonMap
    capabilities: list[str]
    max_concurrent_worker_sessions: Count
    task_slots: WorkerSlots
    process_metrics: JsonMap | None
    heartbeat_interval_seconds: Count


class WorkerView(WorkerRow):
    updated_at: MicroTime
    stale_after_seconds: Count


class WorkerList(TypedDict):
    """Workers of a namespace, last heard of first."""

    workers: list[WorkerRow]
    stale_after_seconds: Count


class DeregisteredWorker(TypedDict):
    worker_id: str
    outcome: Literal["deregistered"]


ROUTES = (
    management_route(
        Method.GET,
        "/workers",
        operation="index",
        handler=index,
        shape=RouteShape(query=LIST_FIELDS, answers={200: WorkerList}),
    ),
    management_route(
        Method.GET,
        "/workers/{worker_id}",
        operation="show",
        handler=show,
        shape=RouteShape(answers={200: WorkerView}, reasons=(Reason.WORKER_NOT_FOUND,)),
    ),
    management_route(
        Method.DELETE,
        "/workers/{worker_id}",
        operation="destroy",
        handler=destroy,
        allowed_roles=ADMINS,
        shape=RouteShape(
            answers={200: DeregisteredWorker}, reasons=(Reason.WORKER_NOT_FOUND,)
        ),
    ),
)
