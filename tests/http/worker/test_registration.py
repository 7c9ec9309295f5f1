"""Register, heartbeat, leave: each field's rules, and what the service is given."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.outcome import Rejection
from dwserver.http.worker.registration import deregister, heartbeat, register
from tests.http.handler_stage import NAMESPACE, NOW, Stage
from tests.http.runs import a_worker

VALID = {"worker_id": "w", "task_queue": "q", "runtime": "python"}


async def registered(body: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What the service is asked to store, and the answer."""
    stage = Stage({"workers.register": lambda worker: worker})
    answer = await stage.ask(register, body=body)
    assert answer.status == 201, answer.body
    return stage.calls[0].arguments[0], answer.body


TOO_BIG = 1 << 31
WRONG = [
    ("worker_id", 5),
    ("worker_id", "w" * 256),
    ("worker_id", "a\0b"),
    ("task_queue", None),
    ("task_queue", " "),
    ("task_queue", ["q"]),
    ("task_queue", "q" * 256),
    ("runtime", None),
    ("runtime", 5),
    ("runtime", "ruby"),
    ("sdk_version", 5),
    ("sdk_version", "s" * 65),
    ("build_id", {}),
    ("build_id", "b" * 256),
    ("supported_workflow_types", "x"),
    ("supported_workflow_types", {"a": "b"}),
    ("supported_workflow_types.0", [1]),
    ("supported_workflow_types.1", ["a", "b\0"]),
    ("supported_activity_types", 5),
    ("supported_activity_types.0", [None]),
    ("workflow_definition_fingerprints", "x"),
    ("workflow_definition_fingerprints.t", {"t": 5}),
    ("workflow_definition_fingerprints.t", {"t": "f" * 256}),
    ("workflow_definition_fingerprints.t", {"t": "f\0"}),
    ("workflow_definition_fingerprints.t\0", {"t\0": "f"}),
    ("max_concurrent_workflow_tasks", -1),
    ("max_concurrent_workflow_tasks", "x"),
    ("max_concurrent_workflow_tasks", TOO_BIG),
    ("max_concurrent_activity_tasks", 1.5),
    ("max_concurrent_activity_tasks", True),
    ("max_concurrent_activity_tasks", TOO_BIG),
    ("max_concurrent_worker_sessions", 0),
    ("capabilities", "query_tasks"),
    ("capability_manifest", "x"),
    ("workflow_command_contracts", ["x"]),
    ("task_slots", "x"),
    ("task_slots.workflow_available", {"workflow_available": -1}),
    ("task_slots.activity_available", {"activity_available": "x"}),
    ("task_slots.session_available", {"session_available": TOO_BIG}),
    ("process_metrics", "x"),
    ("process_metrics.cpu_percent", {"cpu_percent": "x"}),
    ("process_metrics.cpu_percent", {"cpu_percent": -0.5}),
    ("process_metrics.memory_bytes", {"memory_bytes": -1}),
    ("process_metrics.process_uptime_seconds", {"process_uptime_seconds": "x"}),
    ("process_metrics.process_id", {"process_id": 1.5}),
    ("process_metrics.host", {"host": "h" * 256}),
    ("process_metrics.process_started_at", {"process_started_at": "t" * 65}),
    ("heartbeat_interval_seconds", 0),
    ("heartbeat_interval_seconds", 3601),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
async def test_register_refuses_a_wrong_field(path: str, value: Any) -> None:
    stage = Stage()
    field = path.split(".")[0]
    answer = await stage.ask(register, body={**VALID, field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [path])
    assert stage.called == []


SHARED = [
    row
    for row in WRONG
    if row[0].startswith(("task_slots", "process_metrics", "heartbeat_interval"))
]


@pytest.mark.parametrize(
    ("path", "value"),
    [("worker_id", None), ("worker_id", 5), ("worker_id", "w" * 256), *SHARED],
)
async def test_heartbeat_refuses_a_wrong_field(path: str, value: Any) -> None:
    stage = Stage()
    field = path.split(".")[0]
    answer = await stage.ask(heartbeat, body={"worker_id": "w", field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [path])
    assert stage.called == []


async def test_register_says_exactly_which_fields_are_required() -> None:
    answer = await Stage().ask(register, body=["no", "object"])
    assert answer.body["validation_errors"] == {
        "task_queue": ["The task queue field is required."],
        "runtime": ["The runtime field is required."],
    }


async def test_a_minimal_registration_takes_the_defaults() -> None:
    worker, body = await registered({"task_queue": "q", "runtime": "php"})
    assert worker == a_worker(
        worker_id="01jzmade00000000000000000a",
        task_queue="q",
        runtime="php",
        sdk_version=None,
        build_id=None,
        workflow_types=(),
        activity_types=(),
        fingerprints={},
        max_workflow_tasks=100,
        max_activity_tasks=100,
    )
    assert body == {
        "worker_id": worker.worker_id,
        "registered": True,
        "namespace": NAMESPACE,
        "task_queue": "q",
        "runtime": "php",
        "build_id": None,
        "capabilities": [],
        "capability_manifest": None,
        "status": "active",
        "heartbeat_interval_seconds": 60,
    }


async def test_a_full_registration_is_stored_trimmed() -> None:
    worker, body = await registered(
        {
            "worker_id": " w1 ",
            "task_queue": " q ",
            "runtime": "rust",
            "sdk_version": "2.0",
            "build_id": " ",
            "supported_workflow_types": [" a ", "b", " "],
            "supported_activity_types": ["c"],
            "workflow_definition_fingerprints": {" a ": " f ", "b": " ", " ": "x"},
            "max_concurrent_workflow_tasks": 0,
            "max_concurrent_activity_tasks": "7",
            "max_concurrent_worker_sessions": 3,
            "capabilities": ["query_tasks", 5],
            "capability_manifest": {"memo_upserts": {"supported": True}},
            "workflow_command_contracts": {"a": {"queries": []}},
            "task_slots": {"workflow_available": 2, "other": 9},
            "process_metrics": {"cpu_percent": 1.5, "process_id": 7, "host": " h "},
            "heartbeat_interval_seconds": 5,
        }
    )
    assert (worker.worker_id, worker.task_queue, worker.build_id) == ("w1", "q", None)
    assert (worker.workflow_types, worker.activity_types) == (("a", "b"), ("c",))
    assert worker.fingerprints == {"a": "f"}
    assert (worker.max_workflow_tasks, worker.max_activity_tasks) == (0, 7)
    assert (worker.registered_at, worker.last_heartbeat_at) == (NOW, NOW)
    assert worker.details == {
        "task_slots": {"workflow_available": 2},
        "process_metrics": {"cpu_percent": 1.5, "process_id": 7, "host": "h"},
        "heartbeat_interval_seconds": 5,
        "max_concurrent_worker_sessions": 3,
        "capability_manifest": {"memo_upserts": {"supported": True}},
        "workflow_command_contracts": {"a": {"queries": []}},
        "capabilities": ["query_tasks"],
    }
    assert body["capabilities"] == ["query_tasks"]
    assert body["capability_manifest"] == {"memo_upserts": {"supported": True}}
    assert body["heartbeat_interval_seconds"] == 5


async def test_a_worker_takes_at_least_one_kind_of_task() -> None:
    limits = {"max_concurrent_workflow_tasks": 0, "max_concurrent_activity_tasks": 0}
    answer = await Stage().ask(register, body={**VALID, **limits})
    assert list(answer.body["errors"]) == ["max_concurrent_workflow_tasks"]


async def test_a_changed_definition_is_a_conflict() -> None:
    fields = {"workflow_type": "t", "remediation": "r"}
    changed = Rejection("workflow_definition_changed", "m", fields)
    answer = await Stage({"workers.register": changed}).ask(register, body=VALID)
    assert (answer.status, answer.body) == (
        409,
        {
            "message": "m",
            "error": "m",
            "reason": "workflow_definition_changed",
            **fields,
        },
    )


async def test_a_heartbeat_passes_on_what_the_worker_reports() -> None:
    stage = Stage({"workers.heartbeat": a_worker(status="draining")})
    slots = {"workflow_available": 1}
    answer = await stage.ask(heartbeat, body={"worker_id": "wk1", "task_slots": slots})
    assert stage.calls[0].arguments == (NAMESPACE, "wk1", {"task_slots": slots})
    assert (answer.status, answer.body) == (
        200,
        {
            "worker_id": "wk1",
            "acknowledged": True,
            "heartbeat_interval_seconds": 60,
            "stale_after_seconds": 60,
            "status": "draining",
        },
    )


async def test_a_stranger_is_told_to_register() -> None:
    stage = Stage({"workers.heartbeat": None})
    answer = await stage.ask(heartbeat, body={"worker_id": "ghost"})
    assert answer.status == 404
    assert answer.body["reason"] == "worker_not_registered"
    assert answer.body["worker_id"] == "ghost"


async def test_leaving_answers_what_workers_insist_on() -> None:
    stage = Stage({"workers.deregister": True})
    answer = await stage.ask(deregister, params={"worker_id": "wk1"})
    assert stage.calls[0].arguments == (NAMESPACE, "wk1")
    assert (answer.status, answer.body) == (
        200,
        {
            "worker_id": "wk1",
            "outcome": "deregistered",
            "recovered_workflow_task_count": 0,
        },
    )


async def test_leaving_twice_says_that_the_worker_is_gone() -> None:
    stage = Stage({"workers.deregister": False})
    answer = await stage.ask(deregister, params={"worker_id": "wk1"})
    assert (answer.status, answer.body["reason"]) == (404, "worker_not_found")
