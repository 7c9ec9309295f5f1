"""``/api/task-queues`` (``spec/topology-and-operations.md`` §5.1–5.7).

A queue is what somebody names it: one that nobody has heard of is empty, not missing.
"""

from __future__ import annotations

from typing import Final, TypedDict

from dwserver.engine.wire_time import MICROS
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.admission_views import (
    QueueAdmissionView,
    admission_view,
)
from dwserver.http.control_plane.queue_views import (
    QueueBody,
    QueueGlance,
    queue_glance,
    queue_view,
)
from dwserver.http.control_plane.rollout_views import (
    CohortView,
    RolloutView,
    cohort_view,
    rollout_view,
)
from dwserver.http.errors import invalid_fields
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, management_route
from dwserver.http.route_shape import Count, RouteShape
from dwserver.protocol.validation import Field, too_long
from dwserver.services.catalog import Services
from dwserver.services.records import CohortKey

# What a worker may register with; nobody drains what cannot be.
MAX_NAME_LENGTH: Final = 255
COHORT_FIELDS: Final = (Field("build_id", must_appear=True, max_length=255),)


async def index(services: Services, call: Call) -> Reply:
    """The first 1,000 queues of the namespace, by name: those with open tasks, with
    tasks that were made lately, or with workers."""
    queues = services.task_queues
    views = await queues.views(call.namespace, await queues.names(call.namespace))
    budgets = await queues.budgets(call.namespace, views)
    body = {
        "namespace": call.namespace,
        "task_queues": [
            {
                **queue_glance(view, services.workers),
                "admission": admission_view(view, budget),
            }
            for view, budget in zip(views, budgets, strict=True)
        ],
    }
    return Reply(200, body)


async def show(services: Services, call: Call) -> Reply:
    """One queue, with its workers and its leases."""
    queues = services.task_queues
    found = await queues.detail(call.namespace, call.params["task_queue"])
    (budget,) = await queues.budgets(call.namespace, [found.view])
    body = {
        **queue_view(found, services.workers),
        "admission": admission_view(found.view, budget),
    }
    return Reply(200, body)


async def build_ids(services: Services, call: Call) -> Reply:
    """The builds whose workers serve a queue, and those that an operator drained."""
    queue = call.params["task_queue"]
    cohorts = await services.rollouts.of_queue(call.namespace, queue)
    body = {
        "namespace": call.namespace,
        "task_queue": queue,
        "stale_after_seconds": services.workers.stale_after // MICROS,
        "build_ids": [cohort_view(cohort) for cohort in cohorts],
    }
    return Reply(200, body)


async def drain(services: Services, call: Call) -> Reply:
    """Let workers of a build begin nothing new from their next heartbeat on; what they
    hold they finish."""
    return Reply(200, rollout_view(await services.rollouts.drain(_cohort(call))))


async def resume(services: Services, call: Call) -> Reply:
    """Let them be given work again."""
    return Reply(200, rollout_view(await services.rollouts.resume(_cohort(call))))


def _cohort(call: Call) -> CohortKey:
    build_id = checked(call.body, COHORT_FIELDS)["build_id"]
    queue = call.params["task_queue"]
    if len(queue) > MAX_NAME_LENGTH:
        raise invalid_fields({"task_queue": [too_long("task_queue", MAX_NAME_LENGTH)]})
    return CohortKey(call.namespace, queue, build_id)


class ListedQueue(QueueGlance):
    admission: QueueAdmissionView


class QueueList(TypedDict):
    """Figures count at most 100,000 rows in all: past that they are lower bounds."""

    namespace: str
    task_queues: list[ListedQueue]


class ShownQueue(QueueBody):
    admission: QueueAdmissionView


class BuildIdList(TypedDict):
    namespace: str
    task_queue: str
    stale_after_seconds: Count
    build_ids: list[CohortView]


_QUEUE: Final = "/task-queues/{task_queue}"
_INTENT: Final = RouteShape(body=COHORT_FIELDS, answers={200: RolloutView})

ROUTES: Final = (
    management_route(
        Method.GET,
        "/task-queues",
        operation="index",
        handler=index,
        shape=RouteShape(answers={200: QueueList}),
    ),
    management_route(
        Method.GET,
        _QUEUE,
        operation="show",
        handler=show,
        shape=RouteShape(answers={200: ShownQueue}),
    ),
    management_route(
        Method.GET,
        f"{_QUEUE}/build-ids",
        operation="build_ids",
        handler=build_ids,
        shape=RouteShape(answers={200: BuildIdList}),
    ),
    management_route(
        Method.POST,
        f"{_QUEUE}/build-ids/drain",
        operation="drain_build_id",
        handler=drain,
        shape=_INTENT,
    ),
    management_route(
        Method.POST,
        f"{_QUEUE}/build-ids/resume",
        operation="resume_build_id",
        handler=resume,
        shape=_INTENT,
    ),
)
