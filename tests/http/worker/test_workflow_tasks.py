"""History, heartbeat, complete and fail of a leased workflow task."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.task_failure import TaskFailed
from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.words import ClosedReason, RunStatus
from dwserver.http.worker.workflow_tasks import (
    complete_workflow_task,
    fail_workflow_task,
    heartbeat_workflow_task,
    workflow_task_history,
)
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.deliveries import HistoryRequest
from dwserver.services.runs import RunNotFound
from dwserver.services.workflow_tasks import Renewed, TaskRef
from tests.http.handler_stage import NAMESPACE, NOW, Stage
from tests.http.runs import RUN_ID, TASK_ID, a_run, a_task

LEASE = {"lease_owner": "wk1", "workflow_task_attempt": 2}
REF = TaskRef(NAMESPACE, TASK_ID, "wk1", 2)
IDENTITY = {"task_id": TASK_ID, "workflow_task_attempt": 2}
PARAMS = {"task_id": TASK_ID}
BODIES: dict[Any, dict[str, Any]] = {
    workflow_task_history: {**LEASE, "next_history_page_token": "MTA="},
    heartbeat_workflow_task: LEASE,
    complete_workflow_task: {**LEASE, "commands": []},
    fail_workflow_task: {**LEASE, "failure": {"message": "m"}},
}
SERVICE = {
    workflow_task_history: "workflow_tasks.history",
    heartbeat_workflow_task: "workflow_tasks.heartbeat",
    complete_workflow_task: "workflow_tasks.complete",
    fail_workflow_task: "workflow_tasks.fail",
}
LEASE_WRONG = [
    ("lease_owner", None),
    ("lease_owner", " "),
    ("lease_owner", 5),
    ("workflow_task_attempt", None),
    ("workflow_task_attempt", 0),
    ("workflow_task_attempt", "x"),
    ("workflow_task_attempt", 1.5),
    ("workflow_task_attempt", True),
]
OWN_WRONG = [
    (workflow_task_history, "next_history_page_token", None),
    (workflow_task_history, "next_history_page_token", ""),
    (workflow_task_history, "next_history_page_token", 5),
    (workflow_task_history, "page_token", 5),
    (workflow_task_history, "history_page_size", 0),
    (workflow_task_history, "history_page_size", 1001),
    (workflow_task_history, "history_page_size", "x"),
    (workflow_task_history, "accept_history_encoding", "x" * 65),
    (complete_workflow_task, "commands", None),
    (complete_workflow_task, "commands", "x"),
    (complete_workflow_task, "commands.0.type", [{"type": "nothing"}]),
    (complete_workflow_task, "commands.0.type", ["x"]),
    (complete_workflow_task, "commands.0.delay_seconds", [{"type": "start_timer"}]),
    (fail_workflow_task, "failure", "x"),
    (fail_workflow_task, "failure.message", {"message": 5}),
    (fail_workflow_task, "failure.message", {"message": " ", "type": "T"}),
    (fail_workflow_task, "failure.type", {"message": "m", "type": 5}),
    (fail_workflow_task, "failure.stack_trace", {"message": "m", "stack_trace": []}),
]


async def ask(handler: Any, stage: Stage, **changes: Any) -> Any:
    body = {**BODIES[handler], **changes}
    return await stage.ask(handler, body=body, params=PARAMS)


@pytest.mark.parametrize(
    ("handler", "path", "value"),
    [
        *[(handler, *row) for handler in BODIES for row in LEASE_WRONG],
        *OWN_WRONG,
    ],
)
async def test_a_wrong_field_is_refused(handler: Any, path: str, value: Any) -> None:
    stage = Stage()
    root = path.split(".")[0]
    answer = await ask(handler, stage, **{root: value})
    assert answer.status == 422
    assert path in answer.body["errors"]
    assert {error.split(".")[0] for error in answer.body["errors"]} == {root}
    assert stage.called == []


@pytest.mark.parametrize("failure", [None, {}, []])
async def test_a_failure_without_content_misses_both_fields(failure: Any) -> None:
    answer = await ask(fail_workflow_task, Stage(), failure=failure)
    assert list(answer.body["errors"]) == ["failure", "failure.message"]


# refusals of the service -------------------------------------------------------------

GUARD = [
    ("task_not_found", 404, {}),
    ("run_closed", 409, {"stop_reason": "run_failed", "can_continue": False}),
    ("task_not_leased", 409, {}),
    ("lease_expired", 409, {"lease_owner": "wk1"}),
    ("lease_owner_mismatch", 409, {"lease_owner": "other"}),
    ("workflow_task_attempt_mismatch", 409, {"current_attempt": 3}),
]


@pytest.mark.parametrize("handler", BODIES)
@pytest.mark.parametrize(("reason", "status", "fields"), GUARD)
async def test_the_ownership_guard_is_told_with_the_task(
    handler: Any, reason: str, status: int, fields: dict[str, Any]
) -> None:
    stage = Stage({SERVICE[handler]: Rejection(reason, "m", fields)})
    answer = await ask(handler, stage)
    assert (answer.status, answer.body) == (
        status,
        {"message": "m", "error": "m", "reason": reason, **IDENTITY, **fields},
    )


@pytest.mark.parametrize("reason", ["invalid_commands", "run_already_closed"])
async def test_a_completion_that_is_not_recorded_says_so(reason: str) -> None:
    stage = Stage({"workflow_tasks.complete": Rejection(reason, "m")})
    answer = await ask(complete_workflow_task, stage)
    assert (answer.status, answer.body) == (
        409,
        {
            **IDENTITY,
            "outcome": "completed",
            "recorded": False,
            "run_id": None,
            "run_status": None,
            "created_task_ids": [],
            "reason": reason,
            "message": "m",
            "error": "m",
        },
    )


async def test_a_completion_after_the_deadline_of_its_run() -> None:
    run = a_run(status=RunStatus.FAILED, closed_reason=ClosedReason.TIMED_OUT)
    answer = await ask(
        complete_workflow_task, Stage({"workflow_tasks.complete": RunTimedOut(run)})
    )
    text = "A deadline of the run has passed."
    assert (answer.status, answer.body) == (
        409,
        {
            **IDENTITY,
            "outcome": "completed",
            "recorded": False,
            "run_id": RUN_ID,
            "run_status": "failed",
            "created_task_ids": [],
            "reason": "run_timed_out",
            "message": text,
            "error": text,
        },
    )


async def test_a_run_that_was_removed_meanwhile_takes_no_completion() -> None:
    stage = Stage({"workflow_tasks.complete": RunNotFound(RUN_ID)})
    answer = await ask(complete_workflow_task, stage)
    assert (answer.status, answer.body["reason"]) == (409, "run_not_found")
    assert answer.body["recorded"] is False


async def test_a_structural_limit_rejects_the_completion() -> None:
    fields = {"limit_kind": "k", "current_value": 2, "configured_limit": 1}
    rejection = Rejection("structural_limit_exceeded", "m", fields)
    stage = Stage({"workflow_tasks.complete": rejection})
    answer = await ask(complete_workflow_task, stage)
    assert (answer.status, answer.body) == (
        422,
        {
            **IDENTITY,
            "outcome": "rejected",
            "reason": "structural_limit_exceeded",
            "message": "m",
            "error": "m",
            **fields,
        },
    )


# success -----------------------------------------------------------------------------


async def test_complete_passes_the_commands_on() -> None:
    done = Completed(RUN_ID, RunStatus.COMPLETED, ("t1", "t2"))
    stage = Stage({"workflow_tasks.complete": done})
    command = {"type": "complete_workflow", "result": {"codec": "avro", "blob": "b"}}
    answer = await ask(complete_workflow_task, stage, commands=[command])
    expected = [CompleteWorkflow(result=Payload("avro", "b"))]
    assert stage.calls[0].arguments == (REF, expected)
    assert (answer.status, answer.body) == (
        200,
        {
            **IDENTITY,
            "outcome": "completed",
            "recorded": True,
            "run_id": RUN_ID,
            "run_status": "completed",
            "created_task_ids": ["t1", "t2"],
            "reason": None,
        },
    )


@pytest.mark.parametrize(
    ("failure", "is_waiting"),
    [
        ({"message": "m"}, False),
        ({"message": "m", "type": "ValueError"}, False),
        ({"message": "m", "type": " WorkflowTaskWAITINGForHistory "}, True),
        ({"message": "Workflow task waiting for scheduled history: 5"}, True),
        ({"message": "Workflow task waiting for scheduled history"}, False),
    ],
)
async def test_waiting_for_history_is_told_apart_from_failing(
    failure: dict[str, Any], is_waiting: bool
) -> None:
    stage = Stage({"workflow_tasks.fail": TaskFailed("an outcome")})
    answer = await ask(fail_workflow_task, stage, failure=failure)
    assert stage.calls[0].arguments == (REF,)
    expected = {"message": failure["message"], "is_waiting": is_waiting}
    assert stage.calls[0].options == expected
    assert (answer.status, answer.body) == (
        200,
        {
            **IDENTITY,
            "outcome": "an outcome",
            "recorded": True,
            "reason": None,
            "next_task_id": None,
        },
    )


async def test_a_heartbeat_answers_the_new_lease() -> None:
    renewed = Renewed(a_task(), a_run(status=RunStatus.WAITING), NOW)
    stage = Stage({"workflow_tasks.heartbeat": renewed})
    answer = await ask(heartbeat_workflow_task, stage)
    assert (answer.status, answer.body) == (
        200,
        {
            **IDENTITY,
            "lease_owner": "wk1",
            "renewed": True,
            "lease_expires_at": "2026-04-13T12:00:00.000000Z",
            "run_status": "waiting",
            "task_status": "leased",
            "reason": None,
        },
    )


@pytest.mark.parametrize("name", ["next_history_page_token", "page_token"])
async def test_history_takes_both_names_of_the_token(name: str) -> None:
    stage = Stage({"workflow_tasks.history": b'"history_events":[]'})
    stage.has_stand_ins = True
    body = {**LEASE, name: "MTA=", "history_page_size": 20}
    answer = await stage.ask(workflow_task_history, body=body, params=PARAMS)
    assert stage.calls[0].arguments == (REF,)
    assert stage.calls[0].options == {
        "after": 10,
        "framing": Framing.VALUE,
        "wanted": HistoryRequest(20),
    }
    assert (answer.status, answer.body) == (200, {**IDENTITY, "history_events": []})


@pytest.mark.parametrize("token", ["!!!", "MTA", "eA==", "LTE="])
async def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    stage = Stage()
    answer = await ask(workflow_task_history, stage, next_history_page_token=token)
    assert (answer.status, answer.body["reason"]) == (400, "invalid_page_token")
    assert answer.body["task_id"] == TASK_ID
    assert stage.called == []
