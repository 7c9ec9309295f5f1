"""Standalone activities through a live server (``spec/control-plane-api.md`` §10)."""

from __future__ import annotations

from typing import Any

import pytest
from durable_workflow.serializer import decode_envelope, envelope

from dwserver.engine.hosts import HOST_TYPE
from tests.support.json_http import (
    WORKER_HEADER,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.processes import TEST_TOKEN, new_namespace
from tests.support.server_process import ServerProcess

POLL = {"worker_id": "A", "task_queue": "aq", "timeout_seconds": 20}
CHARGE = {"activity_type": "charge", "task_queue": "aq"}


class Stand:
    def __init__(self, server: ServerProcess, namespace: str) -> None:
        self.control = operator(server.base_url, TEST_TOKEN, namespace=namespace)
        headers = {
            "Authorization": f"Bearer {TEST_TOKEN}",
            "X-Namespace": namespace,
            WORKER_HEADER: "1.20",
        }
        self._worker = JsonHttp(server.base_url, headers)
        self.post("register", {**POLL, "runtime": "python"}, status=201)

    def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        return self._worker.request("POST", f"/api/worker/{path}", body).expect(status)

    def start(self, activity_id: str, **fields: Any) -> Any:
        body = {**CHARGE, "activity_id": activity_id, **fields}
        return self.control.request("POST", "/api/activities", body).expect(201)

    def show(self, activity_id: str) -> Any:
        return self.control.request("GET", f"/api/activities/{activity_id}").expect(200)

    def take(self) -> tuple[Any, dict[str, Any]]:
        task = self.post("activity-tasks/poll", POLL)["task"]
        lease = {
            "lease_owner": "A",
            "activity_attempt_id": task["activity_attempt_id"],
        }
        return task, lease

    def listed(self, query: str = "") -> list[str]:
        found = self.control.request("GET", f"/api/activities{query}").expect(200)
        assert found["activity_count"] == len(found["activities"])
        return [row["activity_id"] for row in found["activities"]]


@pytest.fixture
def stand(common_server: ServerProcess) -> Stand:
    return Stand(common_server, new_namespace(common_server))


def test_from_start_to_end(stand: Stand) -> None:
    started = stand.start(
        "charge-1",
        input=["Ada", 3],
        business_key="b-1",
        activity_class="Charges",
        retry_policy={"max_attempts": 2, "backoff_seconds": [0]},
        schedule_to_close_timeout_seconds=60,
        schedule_to_start_timeout_seconds=30,
    )
    assert started["workflow_id"] == started["activity_id"] == "charge-1"
    assert (started["activity_type"], started["activity_class"]) == (
        "charge",
        "Charges",
    )
    assert started["schedule_to_close_deadline_at"]
    for _ in range(2):
        again = {**CHARGE, "activity_id": "charge-1"}
        refused = stand.control.request("POST", "/api/activities", again).expect(422)
        assert list(refused["errors"]) == ["activity_id"]
    task, lease = stand.take()
    assert decode_envelope(task["arguments"]) == ["Ada", 3]
    failure = {**lease, "failure": {"message": "declined", "type": "Declined"}}
    stand.post(f"activity-tasks/{task['task_id']}/fail", failure)
    running = stand.show("charge-1")
    assert (running["status"], running["activity_status"]) == ("waiting", "pending")
    assert (running["attempt_count"], running["result"]) == (1, None)
    task, lease = stand.take()
    result = {**lease, "result": envelope({"paid": True})}
    stand.post(f"activity-tasks/{task['task_id']}/complete", result)
    done = stand.show("charge-1")
    assert (done["status"], done["activity_status"]) == ("completed", "completed")
    assert decode_envelope(done["result"]) == {"paid": True}
    assert (done["attempt_count"], done["closed_reason"]) == (2, "completed")
    assert done["activity_execution_id"] == started["activity_execution_id"]
    events = read_history(stand.control, "charge-1", done["workflow_run_id"])
    assert events[-1]["event_type"] == "WorkflowCompleted"
    described = stand.control.request("GET", "/api/workflows/charge-1").expect(200)
    assert (described["workflow_type"], described["output"]) == (
        HOST_TYPE,
        {"paid": True},
    )


def test_failed_cancelled_and_listed(stand: Stand) -> None:
    stand.start("a")
    task, lease = stand.take()
    failure = {**lease, "failure": {"message": "no"}}
    stand.post(f"activity-tasks/{task['task_id']}/fail", failure)
    stand.start("b")
    path = "/api/workflows/b"
    actions = stand.control.request("GET", path).expect(200)["actions"]
    assert [name for name, is_possible in actions.items() if is_possible] == [
        "can_cancel",
        "can_terminate",
        "can_repair",
    ]
    for command, reason in (
        ("signal/go", "unknown_signal"),
        ("update/go", "unknown_update"),
        ("query/go", "query_not_found"),
    ):
        refused = stand.control.request("POST", f"{path}/{command}").expect(404)
        assert refused["reason"] == reason
    stand.control.request("POST", f"{path}/cancel", {"reason": "r"}).expect(200)
    stand.start("c")
    stand.control.request("POST", "/api/workflows", {"workflow_type": "t"}).expect(201)
    assert stand.listed() == ["c", "b", "a"]
    assert stand.listed("?status=failed") == ["b", "a"]
    assert stand.listed("?status=running") == ["c"]
    first = stand.control.request("GET", "/api/activities?page_size=2").expect(200)
    token = first["next_page_token"]
    assert stand.listed(f"?page_size=2&next_page_token={token}") == ["a"]
    assert stand.show("a")["status"] == "failed"
    assert stand.show("b")["activity_status"] == "cancelled"


def test_what_is_refused(stand: Stand) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"activity_type": None}, "activity_type"),
        ({"activity_id": "a b"}, "activity_id"),
        ({"retry_policy": {"max_attempts": 0}}, "retry_policy.max_attempts"),
        (
            {"retry_policy": {"backoff_seconds": [-1]}},
            "retry_policy.backoff_seconds.0",
        ),
        ({"heartbeat_timeout_seconds": 0}, "heartbeat_timeout_seconds"),
        ({"input": {"codec": "zip", "blob": ""}}, "input.codec"),
    )
    for fields, path in wrong:
        body = {**CHARGE, **fields}
        refused = stand.control.request("POST", "/api/activities", body).expect(422)
        assert list(refused["errors"]) == [path]
    host = {"workflow_type": HOST_TYPE}
    refused = stand.control.request("POST", "/api/workflows", host).expect(422)
    assert list(refused["errors"]) == ["workflow_type"]
    schedule = {"spec": {"intervals": [{"every": "PT1H"}]}, "action": host}
    refused = stand.control.request("POST", "/api/schedules", schedule).expect(422)
    assert list(refused["errors"]) == ["action.workflow_type"]
    start = {"workflow_id": "w", "workflow_type": "t"}
    stand.control.request("POST", "/api/workflows", start).expect(201)
    for activity_id in ("w", "nope"):
        path = f"/api/activities/{activity_id}"
        refused = stand.control.request("GET", path).expect(404)
        assert refused["reason"] == "activity_not_found"
    assert stand.listed() == []
