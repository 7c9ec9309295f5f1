"""``GET …/runs/{run_id}/history`` (``spec/control-plane-api.md`` §5.14)."""

from __future__ import annotations

from typing import Final

import orjson

from dwserver.engine.words import EventType
from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.lookups import history_pruned, no_run
from dwserver.http.control_plane.run_shapes import HistoryPage
from dwserver.http.request_fields import checked, words
from dwserver.http.route import Method, workflow_route
from dwserver.http.route_shape import RouteShape
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.history_events import control_plane_event, with_blobs
from dwserver.protocol.page_tokens import page_token, read_page_token
from dwserver.protocol.payloads.framing import Framing
from dwserver.protocol.reasons import Reason
from dwserver.protocol.validation import BOOLEAN, INTEGER, Field
from dwserver.services.catalog import Services
from dwserver.services.records import StoredEvent
from dwserver.services.workflows import HistorySlice
from dwserver.topology.gate import RouteFamily

MAX_PAGE: Final = 1000

HISTORY_FIELDS: Final = (
    Field("page_size", INTEGER, minimum=1, maximum=MAX_PAGE),
    Field("next_page_token"),
    Field("wait_new_event", BOOLEAN, default=False),
)

CLOSING_EVENTS: Final = frozenset(
    {
        EventType.WORKFLOW_COMPLETED,
        EventType.WORKFLOW_FAILED,
        EventType.WORKFLOW_CANCELLED,
        EventType.WORKFLOW_TERMINATED,
        EventType.WORKFLOW_TIMED_OUT,
        EventType.WORKFLOW_CONTINUED_AS_NEW,
    }
)
# Refused starts may follow the closing event; it is looked for among so many.
TAIL_WINDOW: Final = 1000


async def history(services: Services, call: Call) -> Reply:
    """A page of events; on request it waits for one when there is none yet."""
    values = checked(words(call.query), HISTORY_FIELDS)
    token = values["next_page_token"]
    # A token that is not ours means the beginning.
    after = (read_page_token(token) if token else None) or 0
    limit = values["page_size"] or MAX_PAGE
    page = await _page(services, call, after=after, limit=limit)
    if not page.events and values["wait_new_event"]:
        await services.workflows.wait_for_event(
            call.params["run_id"],
            after=after,
            seconds=services.limits.poll_timeout_seconds,
            is_connected=call.is_connected,
        )
        page = await _page(services, call, after=after, limit=limit)
    events = list(page.events)
    next_token = page_token(events[-1].sequence) if page.has_more else None
    if page.has_more and values["page_size"] is None and token is None:
        events += await _closing_events(services, call, after=events[-1].sequence)
    return _reply(call, events, next_token, services.limits.control_plane_framing)


async def _page(
    services: Services, call: Call, *, after: int, limit: int
) -> HistorySlice:
    workflow_id, run_id = call.params["workflow_id"], call.params["run_id"]
    page = await services.workflows.history(
        call.namespace, workflow_id, run_id, after=after, limit=limit
    )
    if page is None:
        raise no_run(workflow_id, run_id)
    if page.pruned_at is not None:
        raise history_pruned(workflow_id, run_id, pruned_at=page.pruned_at)
    return page


async def _closing_events(
    services: Services, call: Call, *, after: int
) -> list[StoredEvent]:
    """The event that closed the run, when it lies behind the page.

    Clients up to 2.3 read one page, without asking for a size, and look for the
    outcome there (``spec/client-compatibility.md`` §10).
    """
    detail = await services.workflows.describe(
        call.namespace, call.params["workflow_id"], call.params["run_id"]
    )
    if detail is None or not detail.view.run.status.is_terminal:
        return []
    start = max(after, detail.view.run.last_sequence - TAIL_WINDOW)
    tail = await _page(services, call, after=start, limit=TAIL_WINDOW)
    return [event for event in tail.events if event.event_type in CLOSING_EVENTS]


def _reply(
    call: Call, events: list[StoredEvent], next_token: str | None, framing: Framing
) -> Reply:
    members = {
        "workflow_id": call.params["workflow_id"],
        "run_id": call.params["run_id"],
        "next_page_token": next_token,
    }
    listed = b",".join(_rendered(event, framing) for event in events)
    body = b'%b,"events":[%b]}' % (orjson.dumps(members)[:-1], listed)
    return Reply(200, body, projected=members)


def _rendered(event: StoredEvent, framing: Framing) -> bytes:
    if event.has_plain:
        return control_plane_event(event, with_blobs(event.payload, framing))
    return control_plane_event(event)


ROUTES = (
    workflow_route(
        Method.GET,
        "/{workflow_id}/runs/{run_id}/history",
        Operation.HISTORY,
        handler=history,
        family=RouteFamily.HISTORY,
        shape=RouteShape(
            query=HISTORY_FIELDS,
            answers={200: HistoryPage},
            reasons=(Reason.RUN_NOT_FOUND, Reason.HISTORY_PRUNED),
        ),
    ),
)
