"""Query tasks: fields, what the services are told, and leases that reach nobody."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.coordination.query_tasks import (
    Answered,
    Failed,
    QueryLease,
    QueryTask,
    QueryTaskRef,
)
from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from dwserver.http.worker.query_tasks import (
    complete_query_task,
    fail_query_task,
    poll_query_task,
)
from dwserver.protocol.payloads.framing import Framing
from dwserver.protocol.versions import WorkerVersion
from dwserver.services.runs import RunNotFound
from tests.http.handler_stage import MICROS, NAMESPACE, NOW, Stage

POLL = {"worker_id": "wk1", "task_queue": "gq"}
COMPLETE = {"lease_owner": "wk1", "query_task_attempt": 1}
FAIL = {**COMPLETE, "failure": {"message": "no"}}
PARAMS = {"query_task_id": "Q1"}
REF = QueryTaskRef(NAMESPACE, "Q1", "wk1", 1)
TASK = QueryTask(
    id="Q1",
    namespace=NAMESPACE,
    queue="gq",
    workflow_id="order-42",
    run_id="run-1",
    workflow_type="orders.process",
    compatibility=None,
    query_name="state",
    arguments=None,
    deadline_at=NOW + 30 * MICROS,
)
LEASE = QueryLease(TASK, "wk1", 1, NOW + 60 * MICROS)
# The list of one element "a" and the number 7, as old SDKs frame them.
A_BLOB = "AApbImEiXQI="
SEVEN = "AAI3Ag=="


# polls -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("worker_id", None),
        ("worker_id", 5),
        ("worker_id", "w" * 256),
        ("task_queue", " "),
        ("task_queue", "q" * 256),
        ("poll_request_id", 5),
        ("poll_request_id", "p" * 256),
        ("timeout_seconds", "soon"),
    ],
)
async def test_a_poll_with_a_wrong_field_is_refused(field: str, value: Any) -> None:
    stage = Stage()
    answer = await stage.ask(poll_query_task, body={**POLL, field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


@pytest.mark.parametrize(
    ("asked", "waits"), [(None, 5), (0, 0), (4, 4), (1.5, 1.5), (30, 5), (-3, 0)]
)
async def test_a_poll_waits_as_long_as_asked_within_the_setting(
    asked: Any, waits: float
) -> None:
    stage = Stage({"query_tasks.poll": None})
    body = {**POLL, "timeout_seconds": asked, "poll_request_id": " r1 "}
    answer = await stage.ask(poll_query_task, body=body)
    assert answer.body == {"task": None, "poll_status": "empty"}
    request = stage.calls[0].arguments[0]
    assert request.wait_seconds == waits
    assert (request.namespace, request.worker_id) == (NAMESPACE, "wk1")
    assert (request.task_queue, request.poll_request_id) == ("gq", "r1")
    assert request.is_connected()


@pytest.mark.parametrize(
    ("minor", "framing"), [(1, Framing.WRAPPER), (2, Framing.VALUE)]
)
async def test_a_task_is_framed_for_the_protocol_of_the_worker(
    minor: int, framing: Framing
) -> None:
    stage = Stage(
        {"query_tasks.poll": LEASE, "deliveries.query_task": b'{"query_task_id":"Q1"}'}
    )
    stage.has_stand_ins = True
    answer = await stage.ask(
        poll_query_task, body=POLL, version=WorkerVersion(1, minor)
    )
    assert answer.body == {"task": {"query_task_id": "Q1"}, "poll_status": "leased"}
    assert stage.calls[1].arguments == (LEASE,)
    assert stage.calls[1].options == {"framing": framing}


async def test_an_exchange_that_is_down_is_told() -> None:
    fields = {"task": None, "namespace": NAMESPACE, "task_queue": "gq"}
    rejection = Rejection("query_task_queue_unavailable", "Not now.", fields)
    answer = await Stage({"query_tasks.poll": rejection}).ask(
        poll_query_task, body=POLL
    )
    assert answer.status == 503
    assert answer.body == {
        "reason": "query_task_queue_unavailable",
        "message": "Not now.",
        "error": "Not now.",
        **fields,
    }


async def test_a_lease_for_a_client_that_has_gone_is_given_back() -> None:
    stage = Stage({"query_tasks.poll": LEASE, "query_tasks.undeliverable": None})
    stage.is_connected = False
    answer = await stage.ask(poll_query_task, body=POLL)
    assert answer.body["task"] is None
    assert stage.called == ["query_tasks.poll", "query_tasks.undeliverable"]


async def test_a_lease_whose_answer_is_not_written_can_be_given_back() -> None:
    stage = Stage(
        {
            "query_tasks.poll": LEASE,
            "query_tasks.undeliverable": None,
            "deliveries.query_task": b"{}",
        }
    )
    stage.has_stand_ins = True
    answer = await stage.ask(poll_query_task, body=POLL)
    assert answer.reply is not None
    assert answer.reply.on_undelivered is not None
    await answer.reply.on_undelivered()
    assert stage.calls[-1].name == "query_tasks.undeliverable"
    assert stage.calls[-1].arguments == (LEASE,)


async def test_a_question_about_a_run_that_is_gone_ends() -> None:
    stage = Stage(
        {
            "query_tasks.poll": LEASE,
            "query_tasks.run_is_gone": None,
            "query_tasks.undeliverable": None,
            "deliveries.query_task": RunNotFound("run-1"),
        }
    )
    answer = await stage.ask(poll_query_task, body=POLL)
    assert (answer.status, answer.body["task"]) == (200, None)
    assert "query_tasks.run_is_gone" in stage.called


# answers -----------------------------------------------------------------------------

LEASE_WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"lease_owner": None}, ["lease_owner"]),
    ({"lease_owner": 5}, ["lease_owner"]),
    ({"query_task_attempt": None}, ["query_task_attempt"]),
    ({"query_task_attempt": 0}, ["query_task_attempt"]),
    ({"query_task_attempt": "one"}, ["query_task_attempt"]),
]


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        *LEASE_WRONG,
        ({"result_envelope": "text"}, ["result_envelope"]),
        ({"result_envelope": {}}, ["result_envelope.blob", "result_envelope.codec"]),
        ({"result_envelope": {"codec": "avro"}}, ["result_envelope.blob"]),
        ({"result_envelope": {"codec": "avro", "blob": 5}}, ["result_envelope.blob"]),
        ({"result_envelope": {"codec": "avro", "blob": ""}}, ["result_envelope.blob"]),
        ({"result_envelope": {"blob": SEVEN}}, ["result_envelope.codec"]),
        (
            {"result_envelope": {"codec": "zip", "blob": SEVEN}},
            ["result_envelope.codec"],
        ),
        (
            {"result_envelope": {"codec": "z" * 65, "blob": SEVEN}},
            ["result_envelope.codec"],
        ),
    ],
)
async def test_a_wrong_completion_is_refused(
    changed: dict[str, Any], errors: list[str]
) -> None:
    stage = Stage()
    answer = await stage.ask(
        complete_query_task, body={**COMPLETE, **changed}, params=PARAMS
    )
    assert (answer.status, sorted(answer.body["errors"])) == (422, errors)
    assert stage.called == []


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        *LEASE_WRONG,
        ({"failure": None}, ["failure", "failure.message"]),
        ({"failure": "text"}, ["failure", "failure.message"]),
        ({"failure": {"message": " "}}, ["failure.message"]),
        ({"failure": {"message": "m", "reason": 5}}, ["failure.reason"]),
        ({"failure": {"message": "m", "reason": "r" * 256}}, ["failure.reason"]),
        ({"failure": {"message": "m", "type": 5}}, ["failure.type"]),
        ({"failure": {"message": "m", "stack_trace": 5}}, ["failure.stack_trace"]),
    ],
)
async def test_a_wrong_failure_is_refused(
    changed: dict[str, Any], errors: list[str]
) -> None:
    stage = Stage()
    answer = await stage.ask(fail_query_task, body={**FAIL, **changed}, params=PARAMS)
    assert (answer.status, sorted(answer.body["errors"])) == (422, errors)
    assert stage.called == []


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ({}, Answered(b"null", None)),
        ({"result": None}, Answered(b"null", None)),
        ({"result": {"a": [1, "é"]}}, Answered('{"a":[1,"é"]}'.encode(), None)),
        ({"result": False, "result_envelope": None}, Answered(b"false", None)),
        (
            {"result": 7, "result_envelope": {"codec": "avro", "blob": SEVEN}},
            Answered(b"7", Payload("avro", SEVEN)),
        ),
        # What only travels encoded is decoded for the caller, if that can be done.
        (
            {"result_envelope": {"codec": "avro", "blob": A_BLOB}},
            Answered(b'["a"]', Payload("avro", A_BLOB)),
        ),
        (
            {"result_envelope": {"codec": "avro", "blob": "????"}},
            Answered(b"null", Payload("avro", "????")),
        ),
    ],
)
async def test_a_result_is_passed_on(sent: dict[str, Any], answered: Answered) -> None:
    stage = Stage({"query_tasks.settle": None})
    answer = await stage.ask(
        complete_query_task, body={**COMPLETE, **sent}, params=PARAMS
    )
    assert stage.calls[0].arguments == (REF, answered)
    assert (answer.status, answer.body) == (
        200,
        {
            "query_task_id": "Q1",
            "query_task_attempt": 1,
            "outcome": "completed",
            "status": 200,
        },
    )


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (None, "query_rejected"),
        (" ", "query_rejected"),
        ("rejected_unknown_query", "rejected_unknown_query"),
        ("some_word", "some_word"),
    ],
)
async def test_a_failure_is_passed_on(reason: str | None, told: str) -> None:
    stage = Stage({"query_tasks.settle": None})
    failure = {"message": "no", "reason": reason, "type": "E", "stack_trace": "t"}
    answer = await stage.ask(
        fail_query_task, body={**COMPLETE, "failure": failure}, params=PARAMS
    )
    assert stage.calls[0].arguments == (REF, Failed(told, "no"))
    assert answer.body == {
        "query_task_id": "Q1",
        "query_task_attempt": 1,
        "outcome": "failed",
        "reason": told,
        "status": 200,
    }


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("query_task_not_found", 404),
        ("query_task_not_leased", 409),
        ("query_task_timed_out", 409),
        ("lease_expired", 409),
        ("query_task_queue_unavailable", 503),
    ],
)
@pytest.mark.parametrize(
    ("handler", "body"), [(complete_query_task, COMPLETE), (fail_query_task, FAIL)]
)
async def test_a_refusal_names_the_task_and_its_status(
    handler: Any, body: dict[str, Any], reason: str, status: int
) -> None:
    rejection = Rejection(reason, "A sentence.", {"extra": 1})
    answer = await Stage({"query_tasks.settle": rejection}).ask(
        handler, body=body, params=PARAMS
    )
    assert answer.status == status
    assert answer.body == {
        "query_task_id": "Q1",
        "outcome": "rejected",
        "reason": reason,
        "message": "A sentence.",
        "error": "A sentence.",
        "status": status,
        "extra": 1,
    }
