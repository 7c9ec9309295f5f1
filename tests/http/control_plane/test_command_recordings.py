"""Recorded commands against a whole server: the same status, the same members with the
same values, in the body and in its ``control_plane`` object.

Ids, instants and sentences are compared by their kind. ``OTHERWISE`` lists what is
meant to differ, with its decision.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.http.handler_stage import Recording, recordings
from tests.support.json_http import (
    WORKER_HEADER,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.processes import TEST_TOKEN, StartServer

DECLARED = "tests.interactive-command-workflow"
UNDECLARED = "c.flow"
QUEUE = "cq"
RECORDED = {
    f"{family}/{recording.name}": recording
    for family in ("signals", "updates", "commands")
    for recording in recordings("control_plane", family)
}
AFTERWARDS: dict[str, dict[str, Any]] = {
    row["name"]: row
    for row in orjson.loads(
        (Path(__file__).parent / "fixtures" / "after_commands.json").read_bytes()
    )
}
EMPTY_RESULT = {"codec": "avro", "blob": "AAIxAg=="}
WAIT = {"type": "open_condition_wait", "condition_key": "k"}


def a_parameter(name: str, type_name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "required": True, "type": type_name, **fields}


# What the recorded workflow type declares.
CONTRACT = {
    "signals": ["advance", "finish"],
    "signal_contracts": [
        {"name": "advance", "parameters": [a_parameter("name", "string")]}
    ],
    "updates": ["approve"],
    "update_contracts": [
        {
            "name": "approve",
            "parameters": [
                a_parameter("approved", "bool", allows_null=False),
                a_parameter("source", "string", required=False, default="manual"),
            ],
        }
    ],
}

# Members that differ on purpose: {recording: {member: ours}}.
OTHERWISE: dict[str, dict[str, Any]] = {
    # golden/README: a pending update is closed with its run.
    "updates/update_wait_completed_workflow_completes_without_answer": {
        "status": 422,
        "outcome": "update_failed",
        "update_status": "failed",
        "failure_id": "<id>",
        "failure_message": "<text>",
        "closed_at": "<micros>",
        "wait_timed_out": False,
    },
    # golden/README: a failed task is redelivered at once, nothing is missing.
    "commands/repair_after_task_failure": {"outcome": "repair_not_needed"},
    # control-plane-api.md D3: an open run takes updates.
    "commands/describe_after_repair": {
        "actions": {
            "can_signal": True,
            "can_update": True,
            "can_cancel": True,
            "can_terminate": True,
            "can_repair": True,
            "can_archive": False,
        }
    },
    # Decision 5: a name is good unless a contract is known.
    "signals/signal_external_type_without_declared_contract": {
        "status": 202,
        "outcome": "signal_received",
        "command_status": "accepted",
        "reason": None,
        "rejection_reason": None,
    },
    "updates/update_external_type_without_declared_contract": {
        "status": 202,
        "outcome": None,
        "command_status": "accepted",
        "reason": None,
        "rejection_reason": None,
        "update_status": "accepted",
        "accepted_at": "<micros>",
        "rejected_at": None,
        "closed_at": None,
    },
}
# engine.md §16: streams of messages are a later feature.
NOT_WRITTEN = {"MessageCursorAdvanced"}
# Members that ours do without: contracts are known from workers; the repair found no
# task to make; the command of an update stands in the event of its acceptance.
UNTOLD: dict[str, set[str]] = {
    "WorkflowStarted": {
        "workflow_definition_fingerprint",
        "declared_entry_declaring_class",
        "declared_entry_method",
        "declared_entry_mode",
        "declared_queries",
        "declared_query_contracts",
        "declared_signals",
        "declared_signal_contracts",
        "declared_updates",
        "declared_update_contracts",
    },
    "RepairRequested": {"task"},
    "UpdateApplied": {"command"},
    "UpdateCompleted": {"command"},
}
# Events of ours that the reference lacks.
ALSO_WRITTEN = {
    # engine.md §9.3: who goes on does not wait any more.
    "updates/history_d": ["ConditionWaitSatisfied"],
    # golden/README: a pending update is closed with its run.
    "updates/history_e": ["ConditionWaitSatisfied", "UpdateCompleted"],
    "updates/history_terminated_with_pending_update": ["UpdateCompleted"],
}
# engine.md §16: streams of messages are a later feature.
NOT_WRITTEN = {"MessageCursorAdvanced"}
# Members that ours do without: contracts are known from workers; the repair found no
# task to make; the command of an update stands in the event of its acceptance.
UNTOLD: dict[str, set[str]] = {
    "WorkflowStarted": {
        "workflow_definition_fingerprint",
        "declared_entry_declaring_class",
        "declared_entry_method",
        "declared_entry_mode",
        "declared_queries",
        "declared_query_contracts",
        "declared_signals",
        "declared_signal_contracts",
        "declared_updates",
        "declared_update_contracts",
    },
    "RepairRequested": {"task"},
    "UpdateApplied": {"command"},
    "UpdateCompleted": {"command"},
}
# golden/README: a pending update is closed with its run.
CLOSES_UPDATE = {
    "updates/history_e": "UpdateCompleted",
    "updates/history_terminated_with_pending_update": "UpdateCompleted",
}
# Numbers that count what happened before, which is not all the same here.
COUNTED = {"command_sequence", "workflow_sequence"}
# Says why a command was rejected (§1.4); the reference said nothing.
ADDED = {"message"}


@dataclass
class Stand:
    """A server with a worker that plays every workflow."""

    control: JsonHttp
    worker: JsonHttp
    runs: dict[str, str] = field(default_factory=dict)

    def register(self) -> None:
        body = {
            "worker_id": "C",
            "task_queue": QUEUE,
            "runtime": "python",
            "workflow_command_contracts": {DECLARED: CONTRACT},
        }
        self.worker.request("POST", "/api/worker/register", body).expect(201)

    def start(self, workflow_id: str, workflow_type: str = DECLARED) -> None:
        body = {
            "workflow_id": workflow_id,
            "workflow_type": workflow_type,
            "task_queue": QUEUE,
        }
        started = self.control.request("POST", "/api/workflows", body).expect(201)
        self.runs[workflow_id] = started["run_id"]

    def poll(self, kind: str = "workflow") -> dict[str, Any]:
        body = {"worker_id": "C", "task_queue": QUEUE, "timeout_seconds": 20}
        path = f"/api/worker/{kind}-tasks/poll"
        task: dict[str, Any] = self.worker.request("POST", path, body).expect(200)[
            "task"
        ]
        assert task is not None
        return task

    def complete(self, *commands: dict[str, Any]) -> dict[str, Any]:
        """Take the next workflow task and answer it."""
        task = self.poll()
        for command in commands:
            if "update_id" in command:
                command["update_id"] = task["workflow_update_id"]
        body = {
            "lease_owner": "C",
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": list(commands),
        }
        path = f"/api/worker/workflow-tasks/{task['task_id']}/complete"
        self.worker.request("POST", path, body).expect(200)
        return task

    def fail_task(self) -> None:
        task = self.poll()
        body = {
            "lease_owner": "C",
            "workflow_task_attempt": task["workflow_task_attempt"],
            "failure": {"message": "boom"},
        }
        path = f"/api/worker/workflow-tasks/{task['task_id']}/fail"
        self.worker.request("POST", path, body).expect(200)

    def waiting(self, workflow_id: str) -> None:
        """A workflow that waits for a condition."""
        self.start(workflow_id)
        self.complete(WAIT)

    def replay(self, name: str) -> list[str]:
        """Send a recorded command; what is wrong with its answer."""
        recording = RECORDED[name]
        workflow_id = recording.path.split("/")[3]
        path = recording.path.replace("<run>", self.runs.get(workflow_id, ""))
        answer = self.control.request(recording.method, path, recording.body)
        otherwise = OTHERWISE.get(name, {})
        status = otherwise.get("status", recording.status)
        problems = []
        if answer.status != status:
            problems.append(f"{name}: status {answer.status}, not {status}")
        differences = compared(recording, masked(answer.body), otherwise)
        return problems + [f"{name}: {line}" for line in differences]

    def look_at(self, name: str) -> list[str]:
        """What describe and history show otherwise than the reference did."""
        expected = AFTERWARDS[name]
        workflow_id = expected["workflow_id"]
        path = f"/api/workflows/{workflow_id}"
        if "described" in expected:
            described = self.control.request("GET", path).expect(200)
            described["actions"].pop("can_query")
            return [
                f"{name}: {key} is {described[key]!r}, not {value!r}"
                for key, value in (
                    expected["described"] | OTHERWISE.get(name, {})
                ).items()
                if described[key] != value
            ]
        ours = read_history(self.control, workflow_id, self.runs[workflow_id])
        return [f"{name}: {line}" for line in events_otherwise(name, ours)]


def events_otherwise(name: str, ours: list[dict[str, Any]]) -> list[str]:
    """Events in another order, or without a recorded member."""
    theirs = [
        (event_type, set(members) - UNTOLD.get(event_type, set()))
        for event_type, members in AFTERWARDS[name]["events"]
        if event_type not in NOT_WRITTEN
    ]
    for added in ALSO_WRITTEN.get(name, ()):
        first = next((e for e in ours if e["event_type"] == added), None)
        if first is None:
            return [f"no {added}"]
        ours = [event for event in ours if event is not first]
    types = [event["event_type"] for event in ours]
    if types != [event_type for event_type, _ in theirs]:
        return [f"events {types}"]
    return [
        f"{event_type} has no {sorted(missing)}"
        for event, (event_type, members) in zip(ours, theirs, strict=True)
        if (missing := members - event["payload"].keys())
    ]


def compared(
    recording: Recording, ours: dict[str, Any], otherwise: dict[str, Any]
) -> list[str]:
    theirs = recording.answer
    found = _differences(ours, theirs, otherwise)
    nested = ours.get("control_plane", {})
    if "contract" not in nested:
        found.append("no contract in control_plane")
    return found + [
        f"control_plane.{line}"
        for line in _differences(nested, theirs["control_plane"], otherwise)
    ]


def _differences(
    ours: dict[str, Any], theirs: dict[str, Any], otherwise: dict[str, Any]
) -> list[str]:
    found = []
    if extra := ours.keys() - theirs.keys() - ADDED - {"contract"}:
        found.append(f"has {sorted(extra)}")
    for key in theirs.keys() - {"control_plane"}:
        expected = otherwise.get(key, theirs[key])
        if key not in ours:
            found.append(f"has no {key}")
        elif key in COUNTED:
            if type(ours[key]) is not type(expected):
                found.append(f"{key} is {ours[key]!r}")
        elif key in {"errors", "validation_errors"} and expected:
            if set(ours[key]) != set(expected):
                found.append(f"{key} is {ours[key]!r}")
        elif expected == "<text>":
            if not ours[key]:
                found.append(f"{key} is empty")
        elif ours[key] != expected:
            found.append(f"{key} is {ours[key]!r}, not {expected!r}")
    return found


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: masked(item) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    if len(value) == 26 and value.isalnum():
        return "<id>"
    if len(value) == 27 and value.endswith("Z") and value.startswith("20"):
        return "<micros>"
    return value


@pytest.fixture
def stand(start_server: StartServer, store_url: str) -> Stand:
    server = start_server(store_url)
    headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.0"}
    stand = Stand(
        operator(server.base_url, TEST_TOKEN), JsonHttp(server.base_url, headers)
    )
    stand.register()
    return stand


def test_signals(stand: Stand) -> None:
    stand.start("sg-34933")
    problems = stand.look_at("signals/describe")
    problems += stand.replay("signals/signal_before_first_task")
    problems += stand.replay("signals/signal_same_request_id")
    stand.complete(WAIT)
    for name in (
        "signal_while_waiting",
        "signal_envelope",
        "signal_no_input_missing_argument",
        "signal_empty_body",
        "signal_wrong_argument_type",
        "signal_too_many_arguments",
        "signal_named_arguments",
        "signal_unknown_name",
        "signal_input_scalar",
        "signal_legacy_field",
        "signal_name_too_long",
        "signal_request_id_too_long",
        "signal_unknown_workflow",
        "signal_run_targeted",
        "signal_run_unknown",
    ):
        problems += stand.replay(f"signals/{name}")
    stand.complete({"type": "complete_workflow", "result": EMPTY_RESULT})
    problems += stand.replay("signals/signal_after_close")
    stand.start("sgx-34933", UNDECLARED)
    problems += stand.replay("signals/signal_external_type_without_declared_contract")
    assert not problems, "\n".join(problems)


def test_updates(stand: Stand) -> None:
    def answered(workflow_id: str, name: str, *commands: dict[str, Any]) -> list[str]:
        """An update whose caller waits while the worker answers."""
        stand.waiting(workflow_id)
        with ThreadPoolExecutor(1) as pool:
            replayed = pool.submit(stand.replay, f"updates/{name}")
            stand.complete(*commands)
            return replayed.result()

    approved = {
        "type": "complete_update",
        "update_id": "",
        "result": {"codec": "avro", "blob": "ACR7ImFwcHJvdmVkIjpmYWxzZX0C"},
    }
    one = {**approved, "result": EMPTY_RESULT}
    refused = {
        "type": "fail_update",
        "update_id": "",
        "message": "not allowed",
        "exception_class": "PermissionError",
    }
    closed = {"type": "complete_workflow", "result": EMPTY_RESULT}
    in_same_task = "update_wait_completed_workflow_completes_in_same_task"
    without_answer = "update_wait_completed_workflow_completes_without_answer"
    problems = answered("up-b-35538", "update_wait_completed", approved)
    stand.complete(WAIT)
    problems += answered("up-c-35538", "update_wait_completed_fails", refused)
    stand.complete(WAIT)
    problems += answered("up-d-35538", in_same_task, one, closed)
    problems += answered("up-e-35538", without_answer, closed)
    for name in ("history_b", "history_c", "history_d", "history_e"):
        problems += stand.look_at(f"updates/{name}")
    problems += stand.replay("updates/update_after_close")
    for workflow_id in ("up-f-35538", "up-g-35538", "up-a-35538"):
        stand.waiting(workflow_id)
    for name in (
        "update_accepted",
        "update_same_request_id",
        "update_wait_timeout",
        "update_default_wait",
        "update_envelope_input",
        "update_unknown_name",
        "update_missing_argument",
        "update_wrong_argument_type",
        "update_bad_wait_for",
        "update_legacy_wait_policy",
        "update_timeout_zero",
        "update_timeout_over_max",
        "update_unknown_workflow",
        "update_run_targeted",
        "update_run_unknown",
    ):
        problems += stand.replay(f"updates/{name}")
    problems += stand.look_at("updates/describe_with_pending_updates")
    stand.control.request("POST", "/api/workflows/up-f-35538/terminate").expect(200)
    problems += stand.look_at("updates/history_terminated_with_pending_update")
    stand.start("ub-35538")
    problems += stand.replay("updates/update_before_first_task")
    stand.start("upx-35538", UNDECLARED)
    problems += stand.replay("updates/update_external_type_without_declared_contract")
    assert not problems, "\n".join(problems)


def test_administration(stand: Stand) -> None:
    problems: list[str] = []

    def replay(*names: str) -> None:
        for name in names:
            problems.extend(stand.replay(f"commands/{name}"))

    def look_at(*names: str) -> None:
        for name in names:
            problems.extend(stand.look_at(f"commands/{name}"))

    stand.start("cc-34933", UNDECLARED)
    replay("cancel_pending", "cancel_again")
    look_at("describe_after_cancel", "history_after_cancel")
    stand.start("cl-34933", UNDECLARED)
    stand.poll()
    replay("cancel_while_leased")
    look_at("describe_cancelled_leased", "history_cancelled_leased")
    stand.start("ca-34933", UNDECLARED)
    stand.complete(
        {"type": "schedule_activity", "activity_type": "c.act", "queue": QUEUE}
    )
    stand.poll("activity")
    replay("cancel_with_running_activity")
    look_at("describe_after_cancel_with_activity", "history_after_cancel_with_activity")
    stand.start("ct-34933", UNDECLARED)
    replay("terminate", "terminate_again", "cancel_after_terminate")
    look_at("describe_after_terminate", "history_after_terminate")
    replay("repair_closed", "archive_closed", "archive_again")
    look_at("describe_archived", "history_after_archive")
    stand.start("cr-34933", UNDECLARED)
    replay("repair_not_needed", "archive_open", "cancel_run_targeted")
    stand.start("cu-34933", UNDECLARED)
    replay(
        "terminate_run_targeted",
        "terminate_run_targeted_again",
        "cancel_unknown_workflow",
        "terminate_unknown_workflow",
        "repair_unknown_workflow",
        "archive_unknown_workflow",
        "cancel_unknown_run",
        "cancel_run_unknown_workflow",
        "terminate_unknown_run",
        "terminate_run_unknown_workflow",
        "cancel_reason_too_long",
        "cancel_reason_not_string",
        "cancel_empty_body",
    )
    stand.start("cf-34933", UNDECLARED)
    stand.fail_task()
    replay("repair_after_task_failure")
    look_at("describe_after_repair", "history_after_repair")
    assert not problems, "\n".join(problems)


def test_every_recorded_command_is_replayed() -> None:
    """The names above are all there are."""
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    names = [*RECORDED, *AFTERWARDS]
    assert [name for name in names if f'{name.split("/")[1]}"' not in text] == []


def test_three_identical_requests_count_once(stand: Stand) -> None:
    """Every command with a request id, and start with signal, over HTTP."""
    path = "/api/workflows/three"
    start = {
        "workflow_type": UNDECLARED,
        "task_queue": QUEUE,
        "signal_input": ["Ada"],
        "request_id": "s",
    }
    requests = (
        ("signal-with-start/hello", start, 202),
        ("signal/go", {"input": [1], "request_id": "r"}, 202),
        ("update/set", {"input": [1], "request_id": "r"}, 202),
        ("repair", {"request_id": "r"}, 200),
        ("terminate", {"reason": "enough", "request_id": "r"}, 200),
        ("archive", {"reason": "done", "request_id": "r"}, 200),
    )
    for sequence, (command, body, status) in enumerate(requests, start=2):
        answers = [
            stand.control.request("POST", f"{path}/{command}", body).expect(status)
            for _ in range(3)
        ]
        assert answers[0] == answers[1] == answers[2]
        assert answers[0]["command_sequence"] == sequence
        if command.startswith("signal-with-start"):
            assert answers[0]["start_outcome"] == "started_new"
            assert answers[0]["control_plane"]["operation_name"] == "hello"
    run_id = answers[0]["run_id"]
    events = read_history(stand.control, "three", run_id)
    assert [event["event_type"] for event in events] == [
        "StartAccepted",
        "WorkflowStarted",
        "SignalReceived",
        "SignalReceived",
        "UpdateAccepted",
        "RepairRequested",
        "TerminateRequested",
        "WorkflowTerminated",
        "UpdateCompleted",
        "ArchiveRequested",
        "WorkflowArchived",
    ]
