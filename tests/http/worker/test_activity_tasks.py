"""Complete, fail and heartbeat of an activity attempt."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.lifecycle.activity_outcome import AttemptFailure, Recorded
from dwserver.engine.lifecycle.heartbeat import HeartbeatState
from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from dwserver.http.worker.activity_tasks import (
    complete_activity,
    fail_activity,
    heartbeat_activity,
)
from dwserver.services.activity_tasks import AttemptRef
from tests.http.handler_stage import NAMESPACE, NOW, Stage
from tests.http.runs import ATTEMPT_ID, TASK_ID, a_run, a_task

ATTEMPT = {"activity_attempt_id": ATTEMPT_ID, "lease_owner": "wk1"}
REF = AttemptRef(NAMESPACE, TASK_ID, ATTEMPT_ID, "wk1")
IDENTITY = {"task_id": TASK_ID, "activity_attempt_id": ATTEMPT_ID}
BODIES: dict[Any, dict[str, Any]] = {
    complete_activity: ATTEMPT,
    fail_activity: {**ATTEMPT, "failure": {"message": "m"}},
    heartbeat_activity: ATTEMPT,
}
SERVICE = {
    complete_activity: "activity_tasks.complete",
    fail_activity: "activity_tasks.fail",
    heartbeat_activity: "activity_tasks.heartbeat",
}
ATTEMPT_WRONG = [
    ("activity_attempt_id", None),
    ("activity_attempt_id", 5),
    ("lease_owner", " "),
    ("lease_owner", ["a"]),
]
FAILURE_WRONG = [
    ("failure.message", {"message": 5}),
    ("failure.type", {"type": 5}),
    ("failure.class", {"class": []}),
    ("failure.stack_trace", {"stack_trace": 5}),
    ("failure.non_retryable", {"non_retryable": "maybe"}),
    ("failure.retryable", {"retryable": 2}),
    ("failure.kind", {"kind": "weird"}),
    ("failure.kind", {"kind": 5}),
    ("failure.timeout_type", {"timeout_type": "weird"}),
    ("failure.cancelled", {"cancelled": "x"}),
    ("failure.malformed_output", {"malformed_output": []}),
    ("failure.details.codec", {"details": {"codec": "json", "blob": "{}"}}),
    ("failure.details.blob", {"details": {"codec": "avro", "blob": 5}}),
]
OWN_WRONG = [
    (complete_activity, "result.codec", {"codec": "json", "blob": "1"}),
    (complete_activity, "result.blob", {"codec": "avro", "blob": None}),
    (
        complete_activity,
        "result.external_storage",
        {"codec": "avro", "external_storage": {}},
    ),
    (fail_activity, "failure", "x"),
    *[
        (fail_activity, path, {"message": "m", **change})
        for path, change in FAILURE_WRONG
    ],
    (heartbeat_activity, "message", 5),
    (heartbeat_activity, "message", "m" * 281),
    (heartbeat_activity, "current", "x"),
    (heartbeat_activity, "total", []),
    (heartbeat_activity, "unit", 5),
    (heartbeat_activity, "unit", "u" * 65),
    (heartbeat_activity, "details", "s"),
    (heartbeat_activity, "details", ["a", 1]),
    (heartbeat_activity, "details", {f"k{i}": i for i in range(21)}),
    (heartbeat_activity, "details", {"a b": 1}),
    (heartbeat_activity, "details", {"k" * 65: 1}),
    (heartbeat_activity, "details", {"k": "v" * 192}),
    (heartbeat_activity, "details", {"k": {"nested": 1}}),
    (heartbeat_activity, "details", {"k": [1]}),
]


async def ask(handler: Any, stage: Stage, **changes: Any) -> Any:
    body = {**BODIES[handler], **changes}
    return await stage.ask(handler, body=body, params={"task_id": TASK_ID})


@pytest.mark.parametrize(
    ("handler", "path", "value"),
    [*[(handler, *row) for handler in BODIES for row in ATTEMPT_WRONG], *OWN_WRONG],
)
async def test_a_wrong_field_is_refused(handler: Any, path: str, value: Any) -> None:
    stage = Stage()
    root = path.split(".")[0]
    answer = await ask(handler, stage, **{root: value})
    assert answer.status == 422
    assert path in answer.body["errors"]
    assert {error.split(".")[0] for error in answer.body["errors"]} == {root}
    assert stage.called == []


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"type": "ValueError", "class": "builtins.ValueError"}, "ValueError"),
        ({"type": " ", "class": "builtins.ValueError"}, "builtins.ValueError"),
    ],
)
async def test_an_empty_message_is_replaced_by_the_name(
    names: dict[str, str], told: str
) -> None:
    stage = Stage({"activity_tasks.fail": Recorded(None)})
    answer = await ask(fail_activity, stage, failure={"message": "", **names})
    assert answer.status == 200
    assert stage.calls[0].arguments[1].message == told


@pytest.mark.parametrize(
    "failure", [None, {}, {"type": "E"}, {"message": ""}, {"message": " ", "type": 5}]
)
async def test_a_failure_needs_a_message(failure: Any) -> None:
    answer = await ask(fail_activity, Stage(), failure=failure)
    assert "failure.message" in answer.body["errors"]


# refusals of the service -------------------------------------------------------------


@pytest.mark.parametrize("handler", BODIES)
@pytest.mark.parametrize(
    ("reason", "status", "fields"),
    [
        ("task_not_found", 404, {}),
        ("attempt_not_found", 404, {}),
        ("task_mismatch", 409, {}),
        ("lease_owner_mismatch", 409, {"lease_owner": "A"}),
    ],
)
async def test_the_ownership_guard_is_told_with_the_attempt(
    handler: Any, reason: str, status: int, fields: dict[str, Any]
) -> None:
    stage = Stage({SERVICE[handler]: Rejection(reason, "m", fields)})
    answer = await ask(handler, stage)
    assert (answer.status, answer.body) == (
        status,
        {"message": "m", "error": "m", "reason": reason, **IDENTITY, **fields},
    )


OUTCOMES = [(complete_activity, "completed"), (fail_activity, "failed")]


@pytest.mark.parametrize(("handler", "outcome"), OUTCOMES)
async def test_a_stale_outcome_is_not_recorded(handler: Any, outcome: str) -> None:
    stage = Stage({SERVICE[handler]: Rejection("stale_attempt", "m")})
    answer = await ask(handler, stage)
    assert (answer.status, answer.body) == (
        409,
        {
            **IDENTITY,
            "outcome": outcome,
            "recorded": False,
            "reason": "stale_attempt",
            "next_task_id": None,
            "message": "m",
            "error": "m",
        },
    )


@pytest.mark.parametrize(("handler", "outcome"), OUTCOMES)
async def test_an_outcome_for_a_stopped_run_is_ignored(
    handler: Any, outcome: str
) -> None:
    fields = {"cancel_requested": True, "can_continue": False, "run_status": "failed"}
    stage = Stage({SERVICE[handler]: Rejection("run_terminated", "m", fields)})
    answer = await ask(handler, stage)
    assert (answer.status, answer.body) == (
        409,
        {
            **IDENTITY,
            "outcome": "ignored",
            "recorded": False,
            "reason": "run_terminated",
            "next_task_id": None,
            "message": "m",
            "error": "m",
            "activity_status": "cancelled",
            "attempt_status": "cancelled",
            **fields,
        },
    )


# success -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"codec": "avro", "blob": "zzzz"}, Payload("avro", "zzzz")),
        ("blob", Payload("avro", "blob")),
        ({"plain": True}, Payload("json", '{"plain":true}')),
        ([1, "a\0"], Payload("json", '[1,"a\\u0000"]')),
        (0, Payload("json", "0")),
        (None, None),
        ("", None),
    ],
)
async def test_complete_passes_the_result_on(sent: Any, stored: Any) -> None:
    stage = Stage({"activity_tasks.complete": Recorded("next")})
    answer = await ask(complete_activity, stage, result=sent)
    assert stage.calls[0].arguments == (REF, stored)
    assert (answer.status, answer.body) == (
        200,
        {
            **IDENTITY,
            "outcome": "completed",
            "recorded": True,
            "reason": None,
            "next_task_id": "next",
        },
    )


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, {}),
        (
            {
                "type": " ValueError ",
                "class": "builtins.ValueError",
                "code": 5,
                "stack_trace": "line 1",
            },
            {
                "type": "ValueError",
                "failure_class": "builtins.ValueError",
                "code": 5,
                "stack_trace": "line 1",
            },
        ),
        ({"code": "E_X", "type": " "}, {}),
        ({"non_retryable": True}, {"is_non_retryable": True}),
        ({"retryable": False}, {"is_non_retryable": True}),
        ({"retryable": True, "non_retryable": False}, {}),
        ({"kind": "timeout"}, {"category": FailureCategory.TIMEOUT}),
        (
            {"cancelled": True},
            {"category": FailureCategory.CANCELLED, "is_non_retryable": True},
        ),
        (
            {"kind": "cancellation"},
            {"category": FailureCategory.CANCELLED, "is_non_retryable": True},
        ),
        (
            {"details": {"codec": "avro", "blob": "b"}},
            {"details": Payload("avro", "b")},
        ),
        ({"details": "a note"}, {"details": Payload("json", '"a note"')}),
        ({"details": {"k": 1}}, {"details": Payload("json", '{"k":1}')}),
    ],
)
async def test_fail_passes_the_failure_on(
    sent: dict[str, Any], expected: dict[str, Any]
) -> None:
    stage = Stage({"activity_tasks.fail": Recorded(None)})
    answer = await ask(fail_activity, stage, failure={"message": "m", **sent})
    assert stage.calls[0].arguments == (REF, AttemptFailure(message="m", **expected))
    assert answer.body["outcome"] == "failed"
    assert answer.body["next_task_id"] is None


async def test_a_heartbeat_that_may_go_on_answers_the_lease() -> None:
    task = a_task(kind=TaskKind.ACTIVITY, lease_expires_at=NOW)
    beat = HeartbeatState(run=a_run(), task=task, heartbeat_at=NOW)
    stage = Stage({"activity_tasks.heartbeat": beat})
    progress = {"message": "half", "current": 5, "total": 10.5, "unit": "rows"}
    answer = await ask(heartbeat_activity, stage, **progress, details={"k": None})
    assert stage.calls[0].arguments == (REF, {**progress, "details": {"k": None}})
    noon = "2026-04-13T12:00:00.000000Z"
    assert (answer.status, answer.body) == (
        200,
        {
            **IDENTITY,
            "lease_owner": "wk1",
            "cancel_requested": False,
            "can_continue": True,
            "reason": None,
            "run_closed_reason": None,
            "run_closed_at": None,
            "heartbeat_recorded": True,
            "lease_expires_at": noon,
            "last_heartbeat_at": noon,
        },
    )


@pytest.mark.parametrize(
    ("sent", "progress"),
    [
        ({}, None),
        ({"message": None, "details": {}}, None),
        ({"message": "  ", "unit": ""}, None),
        ({"message": " half ", "current": 0}, {"message": "half", "current": 0}),
        ({"details": {"k": "v", "n": 1.5}}, {"details": {"k": "v", "n": 1.5}}),
    ],
)
async def test_progress_has_what_was_said(
    sent: dict[str, Any], progress: dict[str, Any] | None
) -> None:
    beat = HeartbeatState(run=a_run(), task=a_task(), heartbeat_at=NOW)
    stage = Stage({"activity_tasks.heartbeat": beat})
    await ask(heartbeat_activity, stage, **sent)
    assert stage.calls[0].arguments == (REF, progress)


async def test_a_heartbeat_that_must_stop_still_answers_200() -> None:
    run = a_run(
        status=RunStatus.CANCELLED, closed_reason=ClosedReason.CANCELLED, closed_at=NOW
    )
    task = a_task(kind=TaskKind.ACTIVITY, status=TaskStatus.CANCELLED)
    beat = HeartbeatState(
        run=run, task=task, reason="run_cancelled", cancel_requested=True
    )
    stage = Stage({"activity_tasks.heartbeat": beat})
    answer = await ask(heartbeat_activity, stage)
    assert answer.status == 200
    assert answer.body["cancel_requested"] is True
    assert answer.body["can_continue"] is False
    assert answer.body["heartbeat_recorded"] is False
    assert answer.body["run_closed_reason"] == "cancelled"
