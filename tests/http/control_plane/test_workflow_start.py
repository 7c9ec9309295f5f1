"""Start: each field's rules, their order, and the three ways it can end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.lifecycle.start import DuplicatePolicy, Start, Started
from dwserver.engine.model import Payload, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import RunStatus
from dwserver.http.control_plane.workflow_start import start_workflow
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.payloads.records import EMPTY_ARGUMENTS
from dwserver.services.workflows import RunDetail
from tests.http.handler_stage import LIMITS, NAMESPACE, Stage
from tests.http.runs import RUN_ID, a_run, a_view

VALID = {"workflow_type": "orders.process", "workflow_id": "order-42"}
WRONG = [
    ("workflow_type", None),
    ("workflow_type", " "),
    ("workflow_type", 5),
    ("workflow_type", "t" * 256),
    ("workflow_type", "a\0b"),
    ("workflow_id", 5),
    ("workflow_id", "bad id/!"),
    ("workflow_id", "w" * 129),
    ("task_queue", ["q"]),
    ("task_queue", "q" * 256),
    ("input", "str"),
    ("input", 5),
    ("input", True),
    ("business_key", 5),
    ("business_key", "b" * 256),
    ("memo", "a"),
    ("memo", 5),
    ("search_attributes", "a"),
    ("duplicate_policy", "use_existing"),
    ("duplicate_policy", "terminate-existing"),
    ("duplicate_policy", "reject"),
    ("duplicate_policy", 5),
    ("execution_timeout_seconds", 0),
    ("execution_timeout_seconds", "abc"),
    ("execution_timeout_seconds", 1.5),
    ("execution_timeout_seconds", MAX_DURATION_SECONDS + 1),
    ("run_timeout_seconds", -1),
    ("run_timeout_seconds", True),
    ("run_timeout_seconds", MAX_DURATION_SECONDS + 1),
    ("priority", -1),
    ("priority", 10),
    ("priority", "x"),
    ("fairness_key", "a b"),
    ("fairness_key", "k" * 65),
    ("fairness_weight", 0),
    ("fairness_weight", 1001),
    ("workflow_execution_timeout", 5),
    ("workflow_run_timeout", 5),
    ("workflow_task_timeout", None),
    ("retry_policy", {}),
    ("idempotency_key", "k"),
    ("request_id", "r"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
async def test_a_wrong_field_is_refused(field: str, value: Any) -> None:
    stage = Stage()
    answer = await stage.ask(start_workflow, body={**VALID, field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


DEEPER = [
    ("input.codec", {"input": {"codec": "json", "blob": "[]"}}),
    ("input.codec", {"input": {"codec": 5, "blob": "[]"}}),
    ("input.blob", {"input": {"codec": "avro", "blob": 5}}),
    ("input.blob", {"input": {"codec": "avro", "blob": "!!!!"}}),
    ("input.external_storage", {"input": {"codec": "avro", "external_storage": {}}}),
    ("memo", {"memo": {"m": "x" * LIMITS.memo_bytes}}),
    ("memo", {"memo": {"nested": [{"$dw.plain": "x"}]}}),
    ("search_attributes", {"search_attributes": ["a"]}),
    ("search_attributes", {"search_attributes": {"": 1}}),
    ("search_attributes", {"search_attributes": {"k" * 129: 1}}),
    ("search_attributes", {"search_attributes": {"a b": 1}}),
    ("search_attributes", {"search_attributes": {"1a": 1}}),
    ("search_attributes", {"search_attributes": {"a": "v" * 2049}}),
    ("search_attributes", {"search_attributes": {"a": ["v" * 2049]}}),
    ("search_attributes", {"search_attributes": {"a": [["v"]]}}),
    ("search_attributes", {"search_attributes": {f"a{i}": i for i in range(101)}}),
]


@pytest.mark.parametrize(("path", "fields"), DEEPER)
async def test_contents_are_checked_after_the_fields(
    path: str, fields: dict[str, Any]
) -> None:
    stage = Stage()
    answer = await stage.ask(start_workflow, body={**VALID, **fields})
    assert (answer.status, list(answer.body["errors"])) == (422, [path])
    assert stage.called == []


async def test_memo_comes_before_search_attributes_before_input() -> None:
    wrong = {
        "memo": {"$dw.plain": "x"},
        "search_attributes": {"a b": 1},
        "input": {"codec": "json", "blob": "[]"},
    }
    for path in ("memo", "search_attributes", "input.codec"):
        answer = await Stage().ask(start_workflow, body={**VALID, **wrong})
        assert list(answer.body["errors"]) == [path]
        del wrong[path.split(".")[0]]


async def test_every_broken_field_is_told_at_once() -> None:
    body = {"workflow_id": "!", "priority": 10, "memo": 5, "request_id": "r"}
    answer = await Stage().ask(start_workflow, body=body)
    assert set(answer.body["errors"]) == {*body, "workflow_type"}


# what the service is given -----------------------------------------------------------


async def given(body: dict[str, Any], stage: Stage | None = None) -> Start:
    stage = stage or Stage()
    stage.answers["workflows.start"] = Started(a_run(), "started_new")
    answer = await stage.ask(start_workflow, body=body)
    assert answer.status == 201, answer.body
    start: Start = stage.calls[0].arguments[0]
    return start


async def given_but_context(body: dict[str, Any], stage: Stage | None = None) -> Start:
    return replace(await given(body, stage), context={})


async def test_a_minimal_start_takes_the_defaults() -> None:
    body = {"workflow_type": " t ", "workflow_id": ""}
    assert await given_but_context(body) == Start(
        namespace=NAMESPACE,
        workflow_id="01jzmade00000000000000000a",
        workflow_type="t",
        task_queue="default",
        input=RunInput(arguments=EMPTY_ARGUMENTS),
        payload_codec="avro",
    )


async def test_a_full_start_keeps_everything() -> None:
    body = {
        **VALID,
        "task_queue": "gq",
        "input": ["a", {"b": 1}],
        "business_key": " bk ",
        "memo": {"note": "hello", "none": None},
        "search_attributes": {"Region": ["eu", "us"], "Gone": None, "On": True},
        "duplicate_policy": "use-existing",
        "execution_timeout_seconds": "3600",
        "run_timeout_seconds": 600,
        "priority": "0",
        "fairness_key": "tenant-1",
        "fairness_weight": 5,
    }
    stage = Stage(limits=replace(LIMITS, compatibility="build-7"))
    assert await given_but_context(body, stage) == Start(
        namespace=NAMESPACE,
        workflow_id="order-42",
        workflow_type="orders.process",
        task_queue="gq",
        input=RunInput(
            arguments=Payload("json", '["a",{"b":1}]'),
            memo={"note": "hello", "none": None},
            search_attributes={"Region": ["eu", "us"], "On": True},
            business_key="bk",
        ),
        payload_codec="avro",
        duplicate_policy=DuplicatePolicy.USE_EXISTING,
        execution_timeout_seconds=3600,
        run_timeout_seconds=600,
        compatibility="build-7",
        priority=0,
    )


async def test_a_start_says_who_asked_for_it() -> None:
    start = await given({**VALID, "duplicate_policy": "use-existing"})
    server: Any = start.context["server"]
    assert server == {
        "namespace": NAMESPACE,
        "workflow_id": "order-42",
        "command": "start",
        "metadata": {
            "workflow_type": "orders.process",
            "duplicate_policy": "use-existing",
        },
    }
    unnamed: Any = (await given({"workflow_type": "t"})).context["server"]
    assert unnamed["workflow_id"] == "pending"


async def test_an_ignored_field_may_be_nested_deeply() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    start = await given({**VALID, "extra": deep})
    request: Any = start.context["request"]
    assert "fingerprint" not in request


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, EMPTY_ARGUMENTS),
        ([], EMPTY_ARGUMENTS),
        ({}, EMPTY_ARGUMENTS),
        ({"name": "world"}, Payload("json", '["world"]')),
        (["  a ", ""], Payload("json", '["  a ",""]')),
        (
            {"codec": "avro", "blob": "ABpbIngiLHsieSI6Mn1dAg=="},
            Payload("avro", "ABpbIngiLHsieSI6Mn1dAg=="),
        ),
    ],
)
async def test_input_is_kept_as_it_came(sent: Any, stored: Payload) -> None:
    start = await given({**VALID, "input": sent})
    assert start.input.arguments == stored


async def test_a_memo_list_is_keyed_by_position() -> None:
    start = await given({**VALID, "memo": ["a", "b"]})
    assert start.input.memo == {"0": "a", "1": "b"}


# how it ends -------------------------------------------------------------------------


async def test_a_new_run_is_created() -> None:
    stage = Stage({"workflows.start": Started(a_run(), "started_new")})
    body = {**VALID, "business_key": "bk"}
    answer = await stage.ask(start_workflow, body=body)
    assert (answer.status, answer.body) == (
        201,
        {
            "workflow_id": "order-42",
            "run_id": RUN_ID,
            "workflow_type": "orders.process",
            "namespace": NAMESPACE,
            "status": "pending",
            "business_key": "bk",
            "payload_codec": "avro",
            "outcome": "started_new",
            "command_status": "accepted",
            "command_source": "control_plane",
            "reason": None,
            "rejection_reason": None,
            "message": None,
        },
    )


def of_an_existing_run(started: Started) -> Stage:
    view = a_view(input=RunInput(arguments=None, business_key="theirs"))
    return Stage(
        {"workflows.start": started, "workflows.describe": RunDetail(view, None, ())}
    )


async def test_the_active_run_is_returned() -> None:
    run = a_run(status=RunStatus.WAITING)
    stage = of_an_existing_run(Started(run, "returned_existing_active"))
    body = {**VALID, "duplicate_policy": "use-existing", "business_key": "mine"}
    answer = await stage.ask(start_workflow, body=body)
    assert answer.status == 200
    assert answer.body["outcome"] == "returned_existing_active"
    assert answer.body["command_status"] == "accepted"
    assert answer.body["status"] == "waiting"
    assert answer.body["business_key"] == "theirs"
    assert stage.calls[1].arguments == (NAMESPACE, "order-42", RUN_ID)


async def test_a_used_id_is_a_conflict_that_every_sdk_recognises() -> None:
    started = Started(a_run(), "rejected_duplicate", "instance_already_started")
    answer = await of_an_existing_run(started).ask(start_workflow, body=VALID)
    assert answer.status == 409
    assert answer.body["outcome"] == "rejected_duplicate"
    assert answer.body["command_status"] == "rejected"
    assert answer.body["reason"] == "duplicate_not_allowed"
    assert answer.body["rejection_reason"] == "instance_already_started"
    assert answer.body["run_id"] == RUN_ID
    assert answer.body["message"]


async def test_a_start_without_a_fitting_worker_is_refused() -> None:
    blocked = Rejection(
        "compatibility_blocked",
        "No live worker of task queue [default] supports the compatibility [b1].",
        {
            "workflow_id": "order-42",
            "run_id": None,
            "outcome": "rejected_compatibility_blocked",
            "command_status": "rejected",
            "command_source": "control_plane",
            "rejection_reason": "compatibility_blocked",
        },
    )
    stage = Stage({"workflows.start": blocked})
    answer = await stage.ask(start_workflow, body=VALID)
    assert answer.status == 409
    assert answer.body["reason"] == "compatibility_blocked"
    assert answer.body["outcome"] == "rejected_compatibility_blocked"
    assert answer.body["run_id"] is None
