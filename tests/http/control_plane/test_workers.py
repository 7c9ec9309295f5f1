"""Worker management: the row, the status filter, and forgetting a worker."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.control_plane.workers import destroy, index, show
from tests.http.handler_stage import NAMESPACE, Stage
from tests.http.runs import a_worker

PARAMS = {"worker_id": "wk1"}


async def row_of(**fields: Any) -> dict[str, Any]:
    stage = Stage({"workers.find": a_worker(**fields)})
    answer = await stage.ask(show, params=PARAMS)
    assert answer.status == 200
    return answer.body


async def test_a_bare_registration_shows_the_defaults() -> None:
    noon = "2026-04-13T12:00:00.000000Z"
    assert await row_of() == {
        "worker_id": "wk1",
        "namespace": NAMESPACE,
        "task_queue": "wq",
        "runtime": "python",
        "sdk_version": "0.2.0",
        "build_id": "build-1",
        "supported_workflow_types": ["g.flow", "g.other"],
        "workflow_definition_fingerprints": {
            "g.flow": "sha256:aaa",
            "g.other": "sha256:ccc",
        },
        "supported_activity_types": ["g.act"],
        "max_concurrent_workflow_tasks": 5,
        "max_concurrent_activity_tasks": 7,
        "status": "active",
        "last_heartbeat_at": noon,
        "registered_at": noon,
        "workflow_command_contracts": {},
        "capabilities": [],
        "max_concurrent_worker_sessions": 10,
        "task_slots": {
            "workflow_available": 5,
            "activity_available": 7,
            "session_available": 10,
            "workflow_capacity": 5,
            "activity_capacity": 7,
            "session_capacity": 10,
        },
        "process_metrics": None,
        "heartbeat_interval_seconds": 60,
        "updated_at": noon,
        "stale_after_seconds": 60,
    }


async def test_reported_details_are_shown_within_the_capacities() -> None:
    details = {
        "task_slots": {"workflow_available": 99, "activity_available": 2},
        "process_metrics": {"process_id": 7},
        "capabilities": ["query_tasks"],
        "max_concurrent_worker_sessions": 3,
        "heartbeat_interval_seconds": 5,
        "workflow_command_contracts": {"t": {}},
    }
    row = await row_of(details=details)
    assert row["task_slots"]["workflow_available"] == 5
    assert row["task_slots"]["activity_available"] == 2
    assert row["task_slots"]["session_available"] == 3
    assert row["process_metrics"] == {"process_id": 7}
    assert row["capabilities"] == ["query_tasks"]
    assert row["heartbeat_interval_seconds"] == 5
    assert row["workflow_command_contracts"] == {"t": {}}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (None, ["a", "d", "s"]),
        ("active", ["a"]),
        ("draining", ["d"]),
        ("stale", ["s"]),
        ("other", []),
    ],
)
async def test_the_list_filters_by_the_status_that_it_shows(
    status: str | None, shown: list[str]
) -> None:
    statuses = {"a": "active", "d": "draining", "s": "stale"}
    stage = Stage(
        {"workers.find_all": [a_worker(worker_id=name) for name in statuses]},
        {"workers.status": lambda worker: statuses[worker.worker_id]},
    )
    query = {} if status is None else {"status": status}
    answer = await stage.ask(index, query=query)
    assert [row["worker_id"] for row in answer.body["workers"]] == shown
    assert answer.body["stale_after_seconds"] == 60


async def test_the_list_asks_for_one_queue() -> None:
    stage = Stage({"workers.find_all": []})
    await stage.ask(index, query={"task_queue": " wq "})
    assert stage.calls[0].arguments == (NAMESPACE,)
    assert stage.calls[0].options == {"queue": "wq"}


async def test_an_unknown_worker_is_not_found() -> None:
    answer = await Stage({"workers.find": None}).ask(show, params=PARAMS)
    assert (answer.status, answer.body["reason"]) == (404, "worker_not_found")


@pytest.mark.parametrize(("is_known", "status"), [(True, 200), (False, 404)])
async def test_a_worker_can_be_forgotten_once(is_known: bool, status: int) -> None:
    stage = Stage({"workers.deregister": is_known})
    answer = await stage.ask(destroy, params=PARAMS)
    assert stage.calls[0].arguments == (NAMESPACE, "wk1")
    assert answer.status == status
    if is_known:
        assert answer.body == {"worker_id": "wk1", "outcome": "deregistered"}
