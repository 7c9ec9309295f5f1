"""Queries: order of the checks, statuses, and the answers of the reference."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.coordination.query_tasks import Answered, Failed
from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from dwserver.http.control_plane import workflow_query
from dwserver.http.control_plane.workflow_query import query_run, query_workflow
from dwserver.services.queries import UNANSWERED, QueryReply
from tests.http.handler_stage import (
    NAMESPACE,
    Answer,
    Handlers,
    Recording,
    Stage,
    masked,
    recordings,
)
from tests.http.runs import RUN_ID, a_run

PARAMS = {"workflow_id": "order-42", "query_name": "state"}
RUN_PARAMS = {**PARAMS, "run_id": RUN_ID}
YES = Answered(b'"yes"', None)


def stage_with(reply: QueryReply = YES) -> Stage:
    return Stage({"queries.current_run": a_run(), "queries.ask": reply})


async def asked(stage: Stage, body: Any = None, **params: str) -> Answer:
    return await stage.ask(query_workflow, body=body, params={**PARAMS, **params})


# before anybody is asked -------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\x7f", "q" * 257, "é" * 129], ids=repr
)
async def test_an_impossible_name_is_refused_before_anything_is_looked_up(
    name: str,
) -> None:
    stage = Stage()
    answer = await asked(stage, query_name=name)
    assert (answer.status, list(answer.body["errors"])) == (422, ["query_name"])
    assert stage.called == []


@pytest.mark.parametrize("name", ["q" * 256, "é" * 128, "with space", "a/b"])
async def test_other_names_are_asked_for(name: str) -> None:
    stage = stage_with()
    assert (await asked(stage, query_name=name)).status == 200
    assert stage.calls[-1].arguments[0].name == name


@pytest.mark.parametrize("handler", [query_workflow, query_run])
async def test_an_unknown_workflow_is_not_found(handler: Any) -> None:
    stage = Stage({"queries.current_run": None})
    answer = await stage.ask(handler, body={"input": "x"}, params=RUN_PARAMS)
    assert stage.calls[0].arguments == (NAMESPACE, "order-42")
    assert (answer.status, answer.body["reason"]) == (404, "instance_not_found")


async def test_only_the_current_run_is_asked_by_its_id() -> None:
    stage = stage_with()
    answer = await stage.ask(query_run, params={**RUN_PARAMS, "run_id": "older"})
    assert (answer.status, answer.body["reason"]) == (
        409,
        "historical_run_command_rejected",
    )
    assert (answer.body["run_id"], answer.body["target_scope"]) == ("older", "run")
    assert stage.called == ["queries.current_run"]
    # The run is looked at before the name.
    named = {**RUN_PARAMS, "query_name": " "}
    assert (await stage.ask(query_run, params=named)).status == 422
    answer = await stage.ask(query_run, params=RUN_PARAMS)
    assert (answer.status, answer.body["target_scope"]) == (200, "instance")


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("text", "input"),
        (7, "input"),
        ({"codec": "zip", "blob": "AAAA"}, "input.codec"),
        ({"codec": "avro", "blob": 7}, "input.blob"),
        ({"codec": "avro", "external_storage": {}}, "input.external_storage"),
    ],
)
async def test_wrong_input_is_refused(sent: Any, path: str) -> None:
    stage = stage_with()
    answer = await asked(stage, {"input": sent})
    assert (answer.status, list(answer.body["errors"])) == (422, [path])
    assert stage.called == ["queries.current_run"]


@pytest.mark.parametrize(
    ("sent", "arguments"),
    [
        (None, None),
        ([], None),
        (["a", 1], Payload("json", '["a",1]')),
        ({"k": 1}, Payload("json", "[1]")),
        # Whether a blob is any good, the worker says.
        ({"codec": "avro", "blob": "????"}, Payload("avro", "????")),
    ],
)
async def test_arguments_travel_as_they_came(
    sent: Any, arguments: Payload | None
) -> None:
    stage = stage_with()
    assert (await asked(stage, {"input": sent})).status == 200
    question = stage.calls[-1].arguments[0]
    assert (question.run, question.arguments) == (a_run(), arguments)
    assert question.is_waited_for()
    stage.is_connected = False
    assert not question.is_waited_for()


# answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, False, "", [], {"a": {"b": [1.5, "é"]}}])
@pytest.mark.parametrize("envelope", [None, Payload("avro", "AAI3Ag==")])
async def test_a_result_is_answered(value: Any, envelope: Payload | None) -> None:
    answer = await asked(stage_with(Answered(orjson.dumps(value), envelope)))
    assert (answer.status, answer.body) == (
        200,
        {
            "workflow_id": "order-42",
            "run_id": RUN_ID,
            "target_scope": "instance",
            "query_name": "state",
            "result": value,
            "result_envelope": envelope and {"codec": "avro", "blob": "AAI3Ag=="},
            "reason": None,
        },
    )


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Failed("rejected_unknown_query", "m"), 404),
        (Failed("query_rejected", "m"), 409),
        (Failed("anything", "m"), 409),
        # A worker's word, even if the server has one like it.
        (Failed("query_worker_timeout", "m"), 409),
        (Rejection("query_worker_timeout", "m"), 504),
        (Rejection("query_worker_unavailable", "m"), 409),
        (Rejection("query_worker_incompatible", "m"), 409),
        (Rejection("query_task_queue_full", "m"), 429),
        (Rejection("query_task_queue_unavailable", "m"), 503),
    ],
)
async def test_no_result_is_answered_with_the_reason(
    reply: Failed | Rejection, status: int
) -> None:
    answer = await asked(stage_with(reply))
    assert (answer.status, answer.body) == (
        status,
        {
            "workflow_id": "order-42",
            "run_id": RUN_ID,
            "target_scope": "instance",
            "query_name": "state",
            "result": None,
            "reason": reply.reason,
            "message": "m",
        },
    )


@pytest.mark.parametrize("rejection", UNANSWERED.values(), ids=lambda each: each.reason)
async def test_every_cause_of_silence_has_a_status(rejection: Rejection) -> None:
    assert (await asked(stage_with(rejection))).status in (429, 504)


# recordings --------------------------------------------------------------------------

HANDLERS = Handlers(workflow_query.ROUTES)
RECORDED = {each.name: each for each in recordings("control_plane", "queries")}

# The reference runs code of its own for some types and knows what they declare.
DECLARED_THERE = {
    "query_unknown_name_known_class",
    "query_missing_argument",
    # Here there is no such worker: 409 query_worker_unavailable (§5.7).
    "query_external_no_worker_on_queue",
}
ANSWERED = {
    name: recording
    for name, recording in RECORDED.items()
    if name not in DECLARED_THERE and "errors" not in recording.answer
}
INVALID = {
    name: recording
    for name, recording in RECORDED.items()
    if "errors" in recording.answer
}


def reply_of(recording: Recording) -> QueryReply:
    answer = recording.answer
    if recording.status == 200:
        sent = answer["result_envelope"]
        envelope = Payload(sent["codec"], sent["blob"]) if sent else None
        return Answered(orjson.dumps(answer["result"]), envelope)
    if recording.status == 504:
        return Rejection(answer["reason"], "two words")
    return Failed(answer["reason"], answer["message"])


async def replayed(recording: Recording) -> Answer:
    route, params = HANDLERS.find(recording)
    run = None
    if recording.answer.get("reason") != "instance_not_found":
        run = a_run(workflow_id=params["workflow_id"])
    stage = Stage({"queries.current_run": run})
    if "result" in recording.answer:
        stage.answers["queries.ask"] = reply_of(recording)
    return await stage.ask(route.handler, body=recording.body, params=params)


@pytest.mark.parametrize("name", ANSWERED)
async def test_answers_are_the_recorded_ones(name: str) -> None:
    recording = ANSWERED[name]
    answer = await replayed(recording)
    assert answer.status == recording.status
    ours = masked(answer.body)
    # A stage's run id is no ULID.
    assert {**ours, "run_id": "<id>"} == {**recording.answer, "run_id": "<id>"}


@pytest.mark.parametrize("name", INVALID)
async def test_invalid_queries_name_the_recorded_fields(name: str) -> None:
    recording = INVALID[name]
    answer = await replayed(recording)
    assert (answer.status, sorted(answer.body["errors"])) == (
        422,
        recording.answer["errors"],
    )
