"""Polls: fields, waiting, and what happens to a lease that nobody can be given."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.words import TaskKind
from dwserver.http.worker.polls import poll_activity_task, poll_workflow_task
from dwserver.protocol.payloads.framing import Framing
from dwserver.protocol.versions import WorkerVersion
from dwserver.services.deliveries import HistoryRequest
from dwserver.services.queue_admission import Budget
from tests.http.handler_stage import NAMESPACE, Stage
from tests.http.runs import a_delivery

VALID = {"worker_id": "wk1", "task_queue": "gq"}
HANDLERS = [poll_workflow_task, poll_activity_task]
COMMON_WRONG = [
    ("worker_id", None),
    ("worker_id", 5),
    ("worker_id", "w" * 256),
    ("worker_id", "a\0"),
    ("task_queue", " "),
    ("task_queue", ["q"]),
    ("task_queue", "q" * 256),
    ("build_id", 5),
    ("build_id", "b" * 256),
    ("poll_request_id", 5),
    ("poll_request_id", "p" * 256),
    ("timeout_seconds", "soon"),
    ("timeout_seconds", []),
]
HISTORY_WRONG = [
    ("history_page_size", 0),
    ("history_page_size", 1001),
    ("history_page_size", "x"),
    ("history_page_size", 1.5),
    ("accept_history_encoding", 5),
    ("accept_history_encoding", "x" * 65),
]


@pytest.mark.parametrize(
    ("handler", "field", "value"),
    [
        *[(handler, *row) for handler in HANDLERS for row in COMMON_WRONG],
        *[(poll_workflow_task, *row) for row in HISTORY_WRONG],
    ],
)
async def test_a_wrong_field_is_refused(handler: Any, field: str, value: Any) -> None:
    stage = Stage()
    answer = await stage.ask(handler, body={**VALID, field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


@pytest.mark.parametrize("handler", HANDLERS)
async def test_an_empty_poll_says_so(handler: Any) -> None:
    answer = await Stage({"polls.poll": None}).ask(handler, body=VALID)
    assert (answer.status, answer.body) == (200, {"task": None, "poll_status": "empty"})


@pytest.mark.parametrize("budget", [Budget.THROTTLED, Budget.UNAVAILABLE])
@pytest.mark.parametrize("handler", HANDLERS)
async def test_a_poll_of_a_queue_without_room_says_so(
    handler: Any, budget: Budget
) -> None:
    answer = await Stage({"polls.poll": budget}).ask(handler, body=VALID)
    assert answer.status == 200
    assert answer.body == {"task": None, "poll_status": budget.value}


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(None, 30), (0, 0), (5, 5), ("7", 7), (1.5, 1.5), (60, 60), (61, 60), (-3, 0)],
)
async def test_a_poll_waits_as_long_as_asked_within_a_minute(
    asked: Any, waits: float
) -> None:
    stage = Stage({"polls.poll": None})
    await stage.ask(poll_activity_task, body={**VALID, "timeout_seconds": asked})
    assert stage.calls[0].arguments[0].wait_seconds == waits


@pytest.mark.parametrize(
    ("handler", "kind"),
    [(poll_workflow_task, TaskKind.WORKFLOW), (poll_activity_task, TaskKind.ACTIVITY)],
)
async def test_the_poll_service_is_told_who_asks(handler: Any, kind: TaskKind) -> None:
    stage = Stage({"polls.poll": None})
    body = {**VALID, "build_id": " b ", "poll_request_id": " "}
    await stage.ask(handler, body=body)
    request = stage.calls[0].arguments[0]
    assert (request.namespace, request.kind) == (NAMESPACE, kind)
    assert (request.worker_id, request.task_queue) == ("wk1", "gq")
    assert (request.build_id, request.poll_request_id) == ("b", None)
    assert request.is_connected()
    stage.is_connected = False
    assert not request.is_connected()


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, HistoryRequest(500)),
        ({"history_page_size": 10}, HistoryRequest(10)),
        (
            {"history_page_size": "1000", "accept_history_encoding": "gzip"},
            HistoryRequest(1000, "gzip"),
        ),
    ],
)
async def test_a_workflow_task_comes_with_the_history_asked_for(
    asked: dict[str, Any], wanted: HistoryRequest
) -> None:
    stage = Stage(
        {"polls.poll": a_delivery(), "deliveries.workflow_task": b'{"task_id":"t"}'}
    )
    stage.has_stand_ins = True
    answer = await stage.ask(poll_workflow_task, body={**VALID, **asked})
    assert answer.body == {"task": {"task_id": "t"}, "poll_status": "leased"}
    assert stage.calls[1].arguments == (a_delivery().leased,)
    assert stage.calls[1].options == {"framing": Framing.VALUE, "wanted": wanted}


@pytest.mark.parametrize(
    ("minor", "framing"),
    [(0, Framing.WRAPPER), (1, Framing.WRAPPER), (2, Framing.VALUE)],
)
async def test_payloads_are_framed_for_the_protocol_of_the_worker(
    minor: int, framing: Framing
) -> None:
    stage = Stage({"polls.poll": a_delivery(), "deliveries.activity_task": b"{}"})
    stage.has_stand_ins = True
    version = WorkerVersion(1, minor)
    answer = await stage.ask(poll_activity_task, body=VALID, version=version)
    assert answer.body == {"task": {}, "poll_status": "leased"}
    assert stage.calls[1].options == {"framing": framing}


# leases that reach nobody ------------------------------------------------------------


async def test_a_lease_for_a_client_that_has_gone_is_given_back() -> None:
    delivery = a_delivery()
    stage = Stage({"polls.poll": delivery, "polls.undeliverable": None})
    stage.is_connected = False
    answer = await stage.ask(poll_workflow_task, body=VALID)
    assert answer.body["task"] is None
    assert stage.called == ["polls.poll", "polls.undeliverable"]
    assert stage.calls[1].arguments == (delivery,)


async def test_a_lease_whose_answer_cannot_be_built_is_given_back() -> None:
    delivery = a_delivery()
    stage = Stage(
        {
            "polls.poll": delivery,
            "polls.undeliverable": None,
            "deliveries.workflow_task": KeyError("history"),
        }
    )
    with pytest.raises(KeyError):
        await stage.ask(poll_workflow_task, body=VALID)
    assert stage.called[-1] == "polls.undeliverable"


async def test_a_lease_whose_answer_is_not_written_can_be_given_back() -> None:
    delivery = a_delivery()
    stage = Stage(
        {
            "polls.poll": delivery,
            "polls.undeliverable": None,
            "deliveries.workflow_task": b"{}",
        }
    )
    stage.has_stand_ins = True
    answer = await stage.ask(poll_workflow_task, body=VALID)
    assert "polls.undeliverable" not in stage.called
    assert answer.reply is not None
    assert answer.reply.on_undelivered is not None
    await answer.reply.on_undelivered()
    assert stage.calls[-1].name == "polls.undeliverable"
    assert stage.calls[-1].arguments == (delivery,)


async def test_an_empty_answer_gives_nothing_back() -> None:
    answer = await Stage({"polls.poll": None}).ask(poll_workflow_task, body=VALID)
    assert answer.reply is not None
    assert answer.reply.on_undelivered is None
