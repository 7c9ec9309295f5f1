"""Recorded worker requests: what the reference refused, so do we, at the same fields;
what it answered has its members here."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.engine.commands.batch import Completed
from dwserver.engine.context import Context, Policy
from dwserver.engine.leases import check_workflow_task, run_closed_fields
from dwserver.engine.lifecycle.activity_outcome import Recorded
from dwserver.engine.lifecycle.heartbeat import HeartbeatState
from dwserver.engine.lifecycle.task_failure import TaskFailed
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import ClosedReason, RunStatus, TaskStatus
from dwserver.http.worker import (
    activity_tasks,
    polls,
    query_tasks,
    registration,
    workflow_tasks,
)
from dwserver.services.workflow_tasks import Renewed
from tests.http.handler_stage import (
    NOW,
    Handlers,
    Recording,
    Stage,
    masked,
    recordings,
)
from tests.http.runs import RUN_ID, a_run, a_task, a_worker

HANDLERS = Handlers(
    registration.ROUTES,
    polls.ROUTES,
    workflow_tasks.ROUTES,
    activity_tasks.ROUTES,
    query_tasks.ROUTES,
)
FAMILIES = ("workers", "workflow_tasks", "activity_tasks", "query_tasks", "leases")
RECORDED = {
    f"{family}/{recording.name}": recording
    for family in FAMILIES
    for recording in recordings("worker", family)
}

# Refused there, accepted here.
ACCEPTED = {
    "workers/register_runtime_rust": "worker-protocol §4.1: seven runtimes",
    "workflow_tasks/complete_empty_commands": "worker-protocol §6.8: no-op completion",
    "workflow_tasks/complete_bad_record_side_effect_envelope": (
        "client-compatibility §8: workers of 0.2.0 send an envelope"
    ),
}
# Refused on both sides, for another field.
OTHER_FIELDS = {
    "workers/register_bad_types": (
        # max_concurrent_workflow_tasks 0 is the later rule: one kind may be left out.
        ["build_id", "sdk_version", "supported_workflow_types", "worker_id"]
    ),
}

INVALID = {
    name: recording
    for name, recording in RECORDED.items()
    if recording.status == 422 and name not in ACCEPTED
}


async def replayed(recording: Recording, stage: Stage) -> Any:
    route, params = HANDLERS.find(recording)
    return await stage.ask(route.handler, body=recording.body, params=params)


@pytest.mark.parametrize("name", INVALID)
async def test_invalid_requests_name_the_same_fields_and_reach_no_service(
    name: str,
) -> None:
    stage = Stage()
    answer = await replayed(INVALID[name], stage)
    assert answer.status == 422
    assert answer.body["reason"] == "validation_failed"
    assert answer.body["errors"] == answer.body["validation_errors"]
    expected = OTHER_FIELDS.get(name, INVALID[name].answer["errors"])
    assert sorted(answer.body["errors"]) == expected
    assert stage.called == []


# answers of every service call, by what the recording says about it -------------------

CONTEXT = Context(NOW, lambda: "an-id", orjson.dumps, Policy())
CLOSED_RUN = a_run(
    status=RunStatus.CANCELLED, closed_reason=ClosedReason.CANCELLED, closed_at=NOW
)


def closed_fields(answer: dict[str, Any]) -> dict[str, Any]:
    """What the engine tells about the closed run of the recording."""
    run = a_run(
        status=RunStatus(answer["run_status"]),
        closed_reason=ClosedReason(answer["run_closed_reason"]),
        closed_at=NOW,
    )
    task = a_task(
        status=TaskStatus(answer["task_status"]),
        lease_owner=answer["lease_owner"],
        lease_expires_at=None,
    )
    fields = run_closed_fields(run, task)
    return {key: value for key, value in fields.items() if key in answer}


def expired(owner: str) -> Rejection:
    """What the engine says when the lease ends at this moment."""
    task = a_task(status=TaskStatus.LEASED, lease_owner=owner, lease_expires_at=NOW)
    refused = check_workflow_task(
        a_run(), task, owner=owner, attempt=task.attempt, context=CONTEXT
    )
    assert refused is not None
    return refused


def rejection_of(recording: Recording) -> Rejection:
    """The refusal that a service gives in the recorded situation."""
    answer = recording.answer
    if answer["reason"] == "lease_expired":
        return expired(answer["lease_owner"])
    fields: dict[str, Any] = {}
    for key in (
        "lease_owner",
        "current_attempt",
        "worker_id",
        "registered_task_queue",
        "requested_task_queue",
        "registered_build_id",
        "requested_build_id",
        "workflow_type",
        "remediation",
        "run_id",
        "run_status",
    ):
        if key in answer:
            fields[key] = answer[key]
    if "run_closed_at" in answer:
        fields = closed_fields(answer)
    return Rejection(answer["reason"], "a sentence of ours", fields)


def heartbeat_of(recording: Recording) -> HeartbeatState:
    answer = recording.answer
    is_leased = answer["lease_expires_at"] is not None
    return HeartbeatState(
        run=CLOSED_RUN if answer["run_closed_reason"] else a_run(),
        task=a_task(status=TaskStatus.LEASED if is_leased else TaskStatus.CANCELLED),
        reason=answer["reason"],
        cancel_requested=answer["cancel_requested"],
        heartbeat_at=NOW if answer["last_heartbeat_at"] else None,
    )


def answers_for(recording: Recording) -> dict[str, Any]:
    answer = recording.answer
    if recording.status >= 400:
        rejection = rejection_of(recording)
        refusing = (
            "polls.poll",
            "workers.register",
            "workflow_tasks.history",
            "workflow_tasks.heartbeat",
            "workflow_tasks.complete",
            "workflow_tasks.fail",
            "activity_tasks.complete",
            "activity_tasks.fail",
            "activity_tasks.heartbeat",
            "query_tasks.poll",
            "query_tasks.settle",
        )
        return {**dict.fromkeys(refusing, rejection), "workers.heartbeat": None}
    created = tuple(answer.get("created_task_ids", ()))
    page = (
        b'"history_events":[],"total_history_events":65,"next_history_page_token":null'
    )
    prepared = {
        "polls.poll": None,
        "query_tasks.poll": None,
        "query_tasks.settle": None,
        "workers.register": lambda worker: worker,
        "workers.heartbeat": a_worker(),
        "workflow_tasks.history": page,
        "workflow_tasks.heartbeat": Renewed(a_task(), a_run(), NOW),
        "workflow_tasks.fail": TaskFailed("failed"),
        "activity_tasks.complete": Recorded(answer.get("next_task_id")),
        "activity_tasks.fail": Recorded(answer.get("next_task_id")),
    }
    if "run_status" in answer:
        status = RunStatus(answer["run_status"])
        prepared["workflow_tasks.complete"] = Completed(RUN_ID, status, created)
    if "heartbeat_recorded" in answer:
        prepared["activity_tasks.heartbeat"] = heartbeat_of(recording)
    return prepared


# Commands and situations of the recordings that this slice does not have, defects of
# the reference, and tasks, whose bodies are not the handlers' work.
SKIPPED = {
    "workflow_tasks/complete_terminal_not_last": "a listed defect",
    "workflow_tasks/poll_task": "body by the deliveries service",
    "activity_tasks/poll_ok_with_all_options": "body by the deliveries service",
    "workers/heartbeat_extra_fields": "same as heartbeat",
    **{
        name: "body by the deliveries service"
        for name, recording in RECORDED.items()
        if name.startswith("query_tasks/poll") and recording.answer.get("task")
    },
}

# Members that an answer has there and not here, with the rule that allows it.
LEFT_OUT = {
    # worker-protocol §4.2: no retention pass on this path.
    "workers/heartbeat": {"retention"},
}
SENTENCES = {"error", "message", "remediation"}

ANSWERED = {
    name: recording
    for name, recording in RECORDED.items()
    if recording.status != 422 and name not in SKIPPED
}


@pytest.mark.parametrize("name", ANSWERED)
async def test_answers_hold_every_recorded_member(name: str) -> None:
    recording = ANSWERED[name]
    answer = await replayed(recording, Stage(answers_for(recording)))
    assert answer.status == recording.status, answer.body
    ours = masked(answer.body)
    left_out = LEFT_OUT.get(name, frozenset())
    assert not left_out & ours.keys()
    for key, value in recording.answer.items():
        if key in SENTENCES:
            assert isinstance(ours[key], str)
        elif key not in left_out:
            assert ours[key] == value, key


@pytest.mark.parametrize("name", ACCEPTED)
async def test_requests_of_later_protocols_are_accepted(name: str) -> None:
    answers = {
        "workers.register": lambda worker: worker,
        "workflow_tasks.complete": Completed(RUN_ID, RunStatus.WAITING, ()),
    }
    answer = await replayed(RECORDED[name], Stage(answers))
    assert answer.status in (200, 201)
