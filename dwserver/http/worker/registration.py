"""Registration of a worker, its heartbeat, its leave (``spec/worker-protocol.md`` §4,
``spec/client-compatibility.md`` §15.5)."""

from __future__ import annotations

from typing import Literal, TypedDict

from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.errors import invalid_fields, refuse
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, worker_route
from dwserver.http.route_shape import Count, JsonMap, RouteShape
from dwserver.http.worker.registration_fields import (
    HEARTBEAT_FIELDS,
    REGISTER_FIELDS,
    fingerprints,
    reported_details,
    task_limits,
)
from dwserver.http.worker.rejections import refusal
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import check
from dwserver.services.catalog import Services
from dwserver.services.records import WorkerRegistration


async def register(services: Services, call: Call) -> Reply:
    """Make a worker known, or renew what it says about itself."""
    values, errors = check(call.body, REGISTER_FIELDS)
    prints = fingerprints(values, errors)
    limits = task_limits(values, errors)
    if errors:
        raise invalid_fields(errors)
    now = services.now()
    worker = WorkerRegistration(
        namespace=call.namespace,
        worker_id=values["worker_id"] or services.next_id(),
        task_queue=values["task_queue"],
        runtime=values["runtime"],
        sdk_version=values["sdk_version"],
        build_id=values["build_id"],
        workflow_types=tuple(filter(None, values["supported_workflow_types"])),
        activity_types=tuple(filter(None, values["supported_activity_types"])),
        fingerprints=prints,
        max_workflow_tasks=limits.workflow,
        max_activity_tasks=limits.activity,
        status="active",
        registered_at=now,
        last_heartbeat_at=now,
        details=reported_details(values),
    )
    registered = await services.workers.register(worker)
    if isinstance(registered, Rejection):
        raise refusal(registered)
    return Reply(201, _registered_body(services, registered))


async def heartbeat(services: Services, call: Call) -> Reply:
    """The worker lives; what it reports is stored."""
    values = checked(call.body, HEARTBEAT_FIELDS)
    worker = await services.workers.heartbeat(
        call.namespace, values["worker_id"], reported_details(values)
    )
    if worker is None:
        # To a poll it is a failed precondition (412), here the worker is the target.
        raise Refusal(
            404,
            Reason.WORKER_NOT_REGISTERED.value,
            "This worker is not registered.",
            worker_id=values["worker_id"],
        )
    body = {
        "worker_id": worker.worker_id,
        "acknowledged": True,
        "heartbeat_interval_seconds": _heartbeat_interval(services, worker),
        "stale_after_seconds": services.workers.stale_after // MICROS,
        "status": worker.status,
    }
    return Reply(200, body)


async def deregister(services: Services, call: Call) -> Reply:
    """The worker stops. Tasks it still holds come back when their leases expire."""
    worker_id = call.params["worker_id"]
    if not await services.workers.deregister(call.namespace, worker_id):
        raise refuse(
            Reason.WORKER_NOT_FOUND,
            Plane.WORKER,
            f"Worker [{worker_id}] is not registered in namespace [{call.namespace}].",
            worker_id=worker_id,
        )
    body = {
        "worker_id": worker_id,
        "outcome": "deregistered",
        "recovered_workflow_task_count": 0,
    }
    return Reply(200, body)


def _registered_body(services: Services, worker: WorkerRegistration) -> JsonObject:
    return {
        "worker_id": worker.worker_id,
        "registered": True,
        "namespace": worker.namespace,
        "task_queue": worker.task_queue,
        "runtime": worker.runtime,
        "build_id": worker.build_id,
        "capabilities": worker.details.get("capabilities", []),
        "capability_manifest": worker.details.get("capability_manifest"),
        "status": worker.status,
        "heartbeat_interval_seconds": _heartbeat_interval(services, worker),
    }


def _heartbeat_interval(services: Services, worker: WorkerRegistration) -> object:
    """What the worker announced, else ours; workers adapt to the answer."""
    announced = worker.details.get("heartbeat_interval_seconds")
    return announced or services.limits.worker_heartbeat_interval_seconds


class RegisteredWorker(TypedDict):
    worker_id: str
    registered: bool
    namespace: str
    task_queue: str
    runtime: str
    build_id: str | None
    capabilities: list[str]
    capability_manifest: JsonMap | None
    status: str
    heartbeat_interval_seconds: Count


class AcknowledgedHeartbeat(TypedDict):
    worker_id: str
    acknowledged: bool
    heartbeat_interval_seconds: Count
    stale_after_seconds: Count
    status: str


class LeftWorker(TypedDict):
    worker_id: str
    outcome: Literal["deregistered"]
    recovered_workflow_task_count: Count


ROUTES = (
    worker_route(
        Method.POST,
        "/register",
        operation="register",
        handler=register,
        shape=RouteShape(
            body=REGISTER_FIELDS,
            answers={201: RegisteredWorker},
            reasons=(Reason.WORKFLOW_DEFINITION_CHANGED,),
        ),
    ),
    worker_route(
        Method.POST,
        "/heartbeat",
        operation="heartbeat",
        handler=heartbeat,
        shape=RouteShape(
            body=HEARTBEAT_FIELDS,
            answers={200: AcknowledgedHeartbeat},
            reasons=(Reason.WORKER_NOT_REGISTERED,),
            statuses={Reason.WORKER_NOT_REGISTERED: 404},
        ),
    ),
    worker_route(
        Method.DELETE,
        "/registrations/{worker_id}",
        operation="deregister",
        handler=deregister,
        shape=RouteShape(answers={200: LeftWorker}, reasons=(Reason.WORKER_NOT_FOUND,)),
    ),
)
