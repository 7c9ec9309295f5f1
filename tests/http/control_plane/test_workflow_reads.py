"""Describe and runs: what an operator sees of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Failure, Payload, RunInput
from dwserver.engine.words import ClosedReason, FailureCategory, RunStatus
from dwserver.http.control_plane.workflow_reads import (
    describe,
    describe_run,
    list_runs,
)
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.workflows import RunDetail
from tests.http.handler_stage import LIMITS, MICROS, NAMESPACE, NOW, Stage
from tests.http.runs import RUN_ID, a_run, a_view

PARAMS = {"workflow_id": "order-42", "run_id": RUN_ID}
WRAPPED_A = "AApbImEiXQI="


async def described(view: Any, *failures: Failure, **stage: Any) -> dict[str, Any]:
    answers = {
        "workflows.describe": RunDetail(view, None, failures),
        "queries.can_answer": True,
    }
    answer = await Stage(answers, **stage).ask(describe, params=PARAMS)
    assert answer.status == 200
    return answer.body


async def test_an_unknown_workflow_is_not_found() -> None:
    stage = Stage({"workflows.describe": None})
    answer = await stage.ask(describe, params=PARAMS)
    assert stage.calls[0].arguments == (NAMESPACE, "order-42")
    assert (answer.status, answer.body["reason"]) == (404, "instance_not_found")
    assert answer.body["workflow_id"] == "order-42"


async def test_an_unknown_run_is_not_found() -> None:
    stage = Stage({"workflows.describe": None})
    answer = await stage.ask(describe_run, params=PARAMS)
    assert stage.calls[0].arguments == (NAMESPACE, "order-42", RUN_ID)
    assert (answer.status, answer.body["reason"]) == (404, "run_not_found")
    assert answer.body["run_id"] == RUN_ID


async def test_a_workflow_without_runs_is_not_found() -> None:
    answer = await Stage({"workflows.runs": []}).ask(list_runs, params=PARAMS)
    assert (answer.status, answer.body["reason"]) == (404, "instance_not_found")


async def test_runs_say_which_one_is_current() -> None:
    first = a_run(
        status=RunStatus.COMPLETED, closed_reason=ClosedReason.CONTINUED, closed_at=NOW
    )
    second = a_run(id="second", run_number=2)
    views = [a_view(run, current_run_id="second") for run in (first, second)]
    answer = await Stage({"workflows.runs": views}).ask(list_runs, params=PARAMS)
    assert answer.body["run_count"] == 2
    assert [
        (row["run_number"], row["is_current_run"], row["closed_at"] is None)
        for row in answer.body["runs"]
    ] == [(1, False, False), (2, True, True)]


# values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "shown", "envelope"),
    [
        (None, [], None),
        (Payload("avro", WRAPPED_A), ["a"], WRAPPED_A),
        (Payload("json", '["a"]'), ["a"], WRAPPED_A),
        (Payload("json", '{"k":1}'), [1], "AA57ImsiOjF9Ag=="),
        (Payload("avro", "!!!!"), None, "!!!!"),
    ],
)
async def test_input_is_shown_decoded_and_as_it_travels(
    payload: Payload | None, shown: Any, envelope: str | None
) -> None:
    body = await described(a_view(input=RunInput(arguments=payload)))
    assert body["input"] == shown
    expected = envelope and {"codec": "avro", "blob": envelope}
    assert body["input_envelope"] == expected


async def test_output_is_shown_when_there_is_one() -> None:
    body = await described(a_view(output=Payload("json", '{"status":"shipped"}')))
    assert body["output"] == {"status": "shipped"}
    assert body["output_envelope"]["codec"] == "avro"
    body = await described(a_view())
    assert (body["output"], body["output_envelope"]) == (None, None)


async def test_unencoded_values_are_framed_for_operators() -> None:
    limits = replace(LIMITS, control_plane_framing=Framing.VALUE)
    view = a_view(output=Payload("json", "1"))
    body = await described(view, limits=limits)
    assert body["output_envelope"]["blob"].startswith("wwHi")


async def test_instants_have_the_form_of_their_field() -> None:
    run = a_run(
        status=RunStatus.COMPLETED,
        closed_reason=ClosedReason.COMPLETED,
        closed_at=NOW + 5,
        run_timeout_seconds=60,
        run_deadline_at=NOW + 60 * MICROS,
    )
    body = await described(a_view(run))
    assert body["started_at"] == "2026-04-13T12:00:00.000000Z"
    assert body["closed_at"] == "2026-04-13T12:00:00.000005Z"
    assert body["last_progress_at"] == "2026-04-13T12:00:00+00:00"
    assert body["run_deadline_at"] == "2026-04-13T12:01:00+00:00"
    assert body["execution_deadline_at"] is None


@pytest.mark.parametrize(
    ("status", "is_current", "may_change", "may_archive"),
    [
        (RunStatus.WAITING, True, True, False),
        (RunStatus.COMPLETED, True, False, True),
        (RunStatus.COMPLETED, False, False, True),
    ],
)
async def test_actions_follow_the_state_of_the_run(
    status: RunStatus, is_current: bool, may_change: bool, may_archive: bool
) -> None:
    current = RUN_ID if is_current else "another"
    body = await described(a_view(a_run(status=status), current_run_id=current))
    assert body["is_current_run"] is is_current
    assert body["actions"] == {
        "can_signal": may_change,
        # A closed run answers as well, as long as it is the current one.
        "can_query": is_current,
        "can_update": may_change,
        "can_cancel": may_change,
        "can_terminate": may_change,
        "can_repair": may_change,
        "can_archive": may_archive,
    }


async def test_nobody_can_query_without_a_worker() -> None:
    stage = Stage(
        {
            "workflows.describe": RunDetail(a_view(), None, ()),
            "queries.can_answer": False,
        }
    )
    answer = await stage.ask(describe, params=PARAMS)
    assert stage.calls[-1].arguments == (a_run(),)
    assert answer.body["actions"]["can_query"] is False


# failures ----------------------------------------------------------------------------

ACTIVITY = Failure(
    id="f1",
    run_id=RUN_ID,
    source_kind="activity_execution",
    source_id="a1",
    propagation_kind="activity",
    category=FailureCategory.ACTIVITY,
    message="first",
    created_at=NOW,
    exception_type="E",
)
TERMINAL = Failure(
    id="f2",
    run_id=RUN_ID,
    source_kind="workflow_run",
    source_id=RUN_ID,
    propagation_kind="terminal",
    category=FailureCategory.APPLICATION,
    message="boom",
    created_at=NOW,
    exception_type="ValueError",
    exception_class="builtins.ValueError",
    non_retryable=True,
    event_sequence=9,
)


async def test_a_failed_run_tells_why() -> None:
    run = a_run(status=RunStatus.FAILED, closed_reason=ClosedReason.FAILED)
    body = await described(a_view(run), TERMINAL, ACTIVITY)
    exception = {
        "type": "ValueError",
        "class": "builtins.ValueError",
        "message": "boom",
    }
    assert body["error"] == "boom"
    assert body["exception"] == exception
    assert body["failure"]["message"] == "boom"
    assert body["failure"]["failure_category"] == "application"
    assert body["failure"]["event_sequence"] == 9
    assert [each["id"] for each in body["failures"]] == ["f2", "f1"]
    assert body["failures"] == body["failure"]["failures"]
    (activity,) = body["failure"]["activity_failures"]
    assert activity == {
        "event_type": "ActivityFailed",
        "activity_execution_id": "a1",
        "failure_id": "f1",
        "failure_category": "activity",
        "exception_type": "E",
        "message": "first",
        "non_retryable": False,
    }


@pytest.mark.parametrize(
    ("status", "failures"),
    [(RunStatus.FAILED, ()), (RunStatus.COMPLETED, (ACTIVITY,))],
)
async def test_other_runs_have_no_failure_block(
    status: RunStatus, failures: tuple[Failure, ...]
) -> None:
    body = await described(a_view(a_run(status=status)), *failures)
    assert not {"error", "failure", "exception", "failures"} & body.keys()
