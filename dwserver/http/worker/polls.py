"""Long polls for workflow and activity tasks, and what polls of every kind share
(``spec/worker-protocol.md`` §5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from dwserver.engine.outcome import Rejection
from dwserver.engine.words import TaskKind
from dwserver.http.call import Call, Reply
from dwserver.http.request_fields import checked
from dwserver.http.route import Method, worker_route
from dwserver.http.route_shape import RouteShape
from dwserver.http.worker.rejections import refusal
from dwserver.http.worker.task_shapes import ActivityPollAnswer, WorkflowPollAnswer
from dwserver.matching.pollers import Delivery
from dwserver.protocol.capabilities import HISTORY_PAGE_SIZE_MAX
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.framing import Framing, framing_for
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import INTEGER, NUMBER, Field
from dwserver.protocol.versions import OLDEST_WORKER_VERSION
from dwserver.services.catalog import RequestLimits, Services
from dwserver.services.deliveries import HistoryRequest
from dwserver.services.polls import PollRequest
from dwserver.services.queue_admission import Budget

MAX_WAIT_SECONDS: Final = 60

Lease = TypeVar("Lease")

POLL_FIELDS: Final = (
    Field("worker_id", required=True, max_length=255),
    Field("task_queue", required=True, max_length=255),
    Field("build_id", max_length=255),
    Field("poll_request_id", max_length=255),
    Field("timeout_seconds", NUMBER),
)
HISTORY_FIELDS: Final = (
    Field("history_page_size", INTEGER, minimum=1, maximum=HISTORY_PAGE_SIZE_MAX),
    Field("accept_history_encoding", max_length=64),
)
WORKFLOW_POLL_FIELDS: Final = (*POLL_FIELDS, *HISTORY_FIELDS)

IDLE: Final = b'{"task":null,"poll_status":"empty"}'
EMPTY: Final = Reply(200, IDLE)
NOT_ADMITTED: Final = {
    budget: Reply(200, b'{"task":null,"poll_status":"%b"}' % budget.encode())
    for budget in (Budget.THROTTLED, Budget.UNAVAILABLE)
}


async def poll_workflow_task(services: Services, call: Call) -> Reply:
    """Wait for a workflow task."""
    values = checked(call.body, WORKFLOW_POLL_FIELDS)
    wanted = history_request(values, services.limits)
    framing = framing_of(call)
    return await _poll(
        services,
        call,
        _request(TaskKind.WORKFLOW, values, call, services.limits),
        lambda delivery: services.deliveries.workflow_task(
            delivery.leased, framing=framing, wanted=wanted
        ),
    )


async def poll_activity_task(services: Services, call: Call) -> Reply:
    """Wait for an activity task."""
    values = checked(call.body, POLL_FIELDS)
    framing = framing_of(call)
    return await _poll(
        services,
        call,
        _request(TaskKind.ACTIVITY, values, call, services.limits),
        lambda delivery: services.deliveries.activity_task(delivery, framing=framing),
    )


async def _poll(
    services: Services,
    call: Call,
    request: PollRequest,
    build: Callable[[Delivery], Awaitable[bytes]],
) -> Reply:
    found = await services.polls.poll(request)
    return await answer_poll(
        call, found, build=build, give_back=services.polls.undeliverable
    )


async def answer_poll(
    call: Call,
    found: Lease | Rejection | Budget | None,
    *,
    build: Callable[[Lease], Awaitable[bytes]],
    give_back: Callable[[Lease], Awaitable[None]],
) -> Reply:
    """Answer a poll with the JSON text of what it leased; a lease that cannot be
    answered is given back."""
    if isinstance(found, Rejection):
        raise refusal(found)
    if found is None:
        return EMPTY
    if isinstance(found, Budget):
        return NOT_ADMITTED[found]
    undeliverable = partial(give_back, found)
    if not call.is_connected():
        await undeliverable()
        return EMPTY
    try:
        task = await build(found)
    except BaseException:
        await undeliverable()
        raise
    body = b'{"task":%b,"poll_status":"leased"}' % task
    return Reply(200, body, on_undelivered=undeliverable)


def _request(
    kind: TaskKind, values: JsonObject, call: Call, limits: RequestLimits
) -> PollRequest:
    return PollRequest(
        namespace=call.namespace,
        kind=kind,
        worker_id=values["worker_id"],
        task_queue=values["task_queue"],
        wait_seconds=wait_seconds(values, limits.poll_timeout_seconds),
        is_connected=call.is_connected,
        build_id=values["build_id"],
        poll_request_id=values["poll_request_id"],
    )


def wait_seconds(
    values: JsonObject, default: int, *, longest: int = MAX_WAIT_SECONDS
) -> float:
    """How long a poll may be held: as asked, but no longer than ``longest``."""
    asked = values["timeout_seconds"]
    wait = default if asked is None else asked
    return min(max(float(wait), 0.0), float(longest))


def history_request(values: JsonObject, limits: RequestLimits) -> HistoryRequest:
    """What :data:`HISTORY_FIELDS` ask for, within the configured page size."""
    size = values["history_page_size"] or limits.history_page_default
    return HistoryRequest(
        min(size, limits.history_page_max), values["accept_history_encoding"]
    )


def framing_of(call: Call) -> Framing:
    """The payload framing that the calling worker reads."""
    return framing_for(call.worker_version or OLDEST_WORKER_VERSION)


# Refusals of polls of every kind.
POLL_REASONS: Final = (
    Reason.WORKER_NOT_REGISTERED,
    Reason.TASK_QUEUE_MISMATCH,
    Reason.BUILD_ID_MISMATCH,
    Reason.LONG_POLL_CAPACITY_EXHAUSTED,
)


ROUTES = (
    worker_route(
        Method.POST,
        "/workflow-tasks/poll",
        operation="poll_workflow_tasks",
        handler=poll_workflow_task,
        idle=IDLE,
        shape=RouteShape(
            body=WORKFLOW_POLL_FIELDS,
            answers={200: WorkflowPollAnswer},
            reasons=POLL_REASONS,
        ),
    ),
    worker_route(
        Method.POST,
        "/activity-tasks/poll",
        operation="poll",
        handler=poll_activity_task,
        idle=IDLE,
        shape=RouteShape(
            body=POLL_FIELDS,
            answers={200: ActivityPollAnswer},
            reasons=POLL_REASONS,
        ),
    ),
)
