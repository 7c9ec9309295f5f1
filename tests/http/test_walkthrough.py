"""The walkthrough of the server's README (seed 004), request by request as printed.

The texts below are the bodies that a reader of that page sends with curl; only ids that
the server gives out are put in. Headers are the printed ones, worker protocol 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.json_http import Answer, JsonHttp
from tests.support.processes import StartServer
from tests.support.wrapper_payloads import wrapper_value

CREATE_NAMESPACE = (
    '{"name":"my-app","description":"My application namespace","retention_days":30}'
)
START = """{
    "workflow_id": "order-42",
    "workflow_type": "orders.process",
    "task_queue": "order-workers",
    "input": ["order-42", {"rush": true}],
    "execution_timeout_seconds": 3600,
    "run_timeout_seconds": 600
  }"""
REGISTER = """{
    "worker_id": "worker-1",
    "task_queue": "order-workers",
    "runtime": "python",
    "supported_workflow_types": ["orders.process"],
    "workflow_definition_fingerprints": {
      "orders.process": "sha256:..."
    }
  }"""
POLL = """{
    "worker_id": "worker-1",
    "task_queue": "order-workers"
  }"""
SCHEDULE_ACTIVITY = """{
    "lease_owner": "worker-1",
    "workflow_task_attempt": 1,
    "commands": [
      {
        "type": "schedule_activity",
        "activity_type": "orders.send-confirmation",
        "task_queue": "order-workers",
        "input": ["order-42"]
      }
    ]
  }"""
COMPLETE_WORKFLOW = """{
    "lease_owner": "worker-1",
    "workflow_task_attempt": 1,
    "commands": [
      {
        "type": "complete_workflow",
        "result": {"status": "shipped", "tracking": "TRK-123"}
      }
    ]
  }"""
COMPLETE_ACTIVITY = """{
    "activity_attempt_id": "ATTEMPT_ID",
    "lease_owner": "worker-1",
    "result": "confirmation-sent"
  }"""
QUICKSTART_REGISTER = (
    '{"worker_id":"quickstart-worker","task_queue":"quickstart","runtime":"python"}'
)

JSON = {"Content-Type": "application/json"}
DEFAULT_NAMESPACE = {"X-Namespace": "default"}
CONTROL_PLANE = {"X-Durable-Workflow-Control-Plane-Version": "2"}
WORKER_PLANE = {"X-Durable-Workflow-Protocol-Version": "1.0"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the node is configured, and what the reader exports in the shell."""

    env: Mapping[str, str]
    admin: str
    operator: str
    worker: str


SHARED = "dev-token"
CREDENTIALS = {
    "legacy-token": Credentials({"DW_AUTH_TOKEN": SHARED}, SHARED, SHARED, SHARED),
    "role-tokens": Credentials(
        {
            "DW_AUTH_TOKEN": "",
            "DW_AUTH_BACKWARD_COMPATIBLE": "false",
            "DW_ADMIN_TOKEN": "your-admin-token",
            "DW_OPERATOR_TOKEN": "your-operator-token",
            "DW_WORKER_TOKEN": "your-worker-token",
        },
        "your-admin-token",
        "your-operator-token",
        "your-worker-token",
    ),
    "no-authentication": Credentials(
        {"DW_AUTH_TOKEN": "", "DW_AUTH_DRIVER": "none"}, "any", "any", "any"
    ),
}


class Shell:
    """The exported variables; one method for each kind of curl."""

    def __init__(self, base_url: str, credentials: Credentials) -> None:
        self.http = JsonHttp(base_url)
        self._credentials = credentials

    def admin(self, method: str, path: str, body: str) -> Answer:
        headers = self._bearer(self._credentials.admin) | JSON | CONTROL_PLANE
        return self.http.request(method, path, body, headers=headers)

    def operator(self, method: str, path: str, body: str | None = None) -> Answer:
        headers = self._bearer(self._credentials.operator)
        headers |= DEFAULT_NAMESPACE | CONTROL_PLANE
        if body is not None:
            headers |= JSON
        answer = self.http.request(method, path, body, headers=headers)
        assert answer.headers["x-durable-workflow-control-plane-version"] == "2"
        return answer

    def worker(self, path: str, body: str) -> Answer:
        headers = self._bearer(self._credentials.worker)
        headers |= JSON | DEFAULT_NAMESPACE | WORKER_PLANE
        answer = self.http.request("POST", path, body, headers=headers)
        assert answer.headers["x-durable-workflow-protocol-version"] == "1.0"
        assert answer.body["protocol_version"] == "1.0"
        commands = answer.body["server_capabilities"][
            "supported_workflow_task_commands"
        ]
        assert {"complete_workflow", "schedule_activity"} <= set(commands)
        return answer

    def discover(self) -> Answer:
        headers = self._bearer(self._credentials.operator)
        return self.http.request("GET", "/api/cluster/info", headers=headers)

    def start(self) -> str:
        """Start ``order-42``; its run id."""
        started = self.operator("POST", "/api/workflows", START).expect(201)
        run_id = started["run_id"]
        assert isinstance(run_id, str)
        assert run_id
        printed = {
            "workflow_id": "order-42",
            "run_id": run_id,
            "workflow_type": "orders.process",
            "status": "pending",
            "outcome": "started_new",
        }
        assert started.items() >= printed.items()
        return run_id

    def register(self) -> None:
        registered = self.worker("/api/worker/register", REGISTER).expect(201)
        assert registered["worker_id"] == "worker-1"
        assert registered["registered"] is True

    def poll_workflow_task(self, run_id: str) -> dict[str, Any]:
        answer = self.worker("/api/worker/workflow-tasks/poll", POLL).expect(200)
        task = answer["task"]
        printed = {
            "workflow_id": "order-42",
            "run_id": run_id,
            "workflow_type": "orders.process",
            "workflow_task_attempt": 1,
            "lease_owner": "worker-1",
            "task_queue": "order-workers",
        }
        assert task.items() >= printed.items()
        beginning = [
            (event["sequence"], event["event_type"])
            for event in task["history_events"][:2]
        ]
        assert beginning == [(1, "StartAccepted"), (2, "WorkflowStarted")]
        assert task["arguments"]["codec"] == "avro"
        arguments = wrapper_value(task["arguments"]["blob"])
        assert arguments == ["order-42", {"rush": True}]
        assert isinstance(task, dict)
        return task

    def complete(self, task_id: str, body: str) -> dict[str, Any]:
        path = f"/api/worker/workflow-tasks/{task_id}/complete"
        answer = self.worker(path, body).expect(200)
        assert answer["task_id"] == task_id
        assert answer["workflow_task_attempt"] == 1
        assert answer["outcome"] == "completed"
        assert answer["recorded"] is True
        assert isinstance(answer, dict)
        return answer

    def perform_activity(self) -> None:
        answer = self.worker("/api/worker/activity-tasks/poll", POLL).expect(200)
        task = answer["task"]
        assert task["activity_type"] == "orders.send-confirmation"
        assert task["workflow_id"] == "order-42"
        assert task["lease_owner"] == "worker-1"
        assert wrapper_value(task["arguments"]["blob"]) == ["order-42"]
        body = COMPLETE_ACTIVITY.replace("ATTEMPT_ID", task["activity_attempt_id"])
        path = f"/api/worker/activity-tasks/{task['task_id']}/complete"
        completed = self.worker(path, body).expect(200)
        assert completed["outcome"] == "completed"
        assert completed["recorded"] is True

    def history(self, run_id: str) -> list[tuple[int, str]]:
        path = f"/api/workflows/order-42/runs/{run_id}/history"
        events = self.operator("GET", path).expect(200)["events"]
        return [(event["sequence"], event["event_type"]) for event in events]

    def check_shipped(self, run_id: str) -> None:
        shown = self.operator("GET", "/api/workflows/order-42").expect(200)
        assert shown["workflow_id"] == "order-42"
        assert shown["run_id"] == run_id
        assert shown["workflow_type"] == "orders.process"
        assert shown["task_queue"] == "order-workers"
        assert shown["status"] == "completed"
        assert shown["input"] == ["order-42", {"rush": True}]
        assert shown["output"] == {"status": "shipped", "tracking": "TRK-123"}
        assert shown["execution_timeout_seconds"] == 3600
        assert shown["run_timeout_seconds"] == 600

    @staticmethod
    def _bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}


def numbered(*event_types: str) -> list[tuple[int, str]]:
    return list(enumerate(event_types, start=1))


def shell_for(start_server: StartServer, store_url: str, name: str) -> Shell:
    credentials = CREDENTIALS[name]
    server = start_server(store_url, credentials.env)
    return Shell(server.base_url, credentials)


@pytest.fixture(params=CREDENTIALS)
def shell(
    request: pytest.FixtureRequest, start_server: StartServer, store_url: str
) -> Shell:
    return shell_for(start_server, store_url, request.param)


@pytest.fixture
def legacy_shell(start_server: StartServer, store_url: str) -> Shell:
    return shell_for(start_server, store_url, "legacy-token")


def test_walkthrough(shell: Shell) -> None:
    health = shell.http.request("GET", "/api/health").expect(200)
    assert health["status"] == "serving"
    assert TIMESTAMP.fullmatch(health["timestamp"])

    created = shell.admin("POST", "/api/namespaces", CREATE_NAMESPACE).expect(201)
    printed = {
        "name": "my-app",
        "description": "My application namespace",
        "retention_days": 30,
    }
    assert created.items() >= printed.items()

    run_id = shell.start()
    shell.register()

    task = shell.poll_workflow_task(run_id)
    completed = shell.complete(task["task_id"], SCHEDULE_ACTIVITY)
    assert completed["run_id"] == run_id
    assert completed["run_status"] == "waiting"

    shell.perform_activity()

    resumed = shell.poll_workflow_task(run_id)
    assert resumed["task_id"] != task["task_id"]
    assert resumed["workflow_wait_kind"] == "activity"
    last = resumed["history_events"][-1]
    assert last["event_type"] == "ActivityCompleted"
    assert last["payload"]["result"] == "confirmation-sent"
    completed = shell.complete(resumed["task_id"], COMPLETE_WORKFLOW)
    assert completed["run_status"] == "completed"

    shell.check_shipped(run_id)
    assert shell.history(run_id) == numbered(
        "StartAccepted",
        "WorkflowStarted",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityCompleted",
        "WorkflowCompleted",
    )


def test_walkthrough_that_completes_at_once(legacy_shell: Shell) -> None:
    run_id = legacy_shell.start()
    legacy_shell.register()
    task = legacy_shell.poll_workflow_task(run_id)
    legacy_shell.complete(task["task_id"], COMPLETE_WORKFLOW)
    legacy_shell.check_shipped(run_id)
    assert legacy_shell.history(run_id) == numbered(
        "StartAccepted", "WorkflowStarted", "WorkflowCompleted"
    )


def test_verification_of_the_quickstart(legacy_shell: Shell) -> None:
    """The four requests that the page sends after starting a container."""
    assert legacy_shell.http.request("GET", "/api/health").status == 200
    assert legacy_shell.http.request("GET", "/api/ready").status == 200
    info = legacy_shell.discover().expect(200)
    assert info["control_plane"]["version"] == "2"
    assert info["worker_protocol"]["version"] == "1.20"
    registered = legacy_shell.worker(
        "/api/worker/register", QUICKSTART_REGISTER
    ).expect(201)
    assert registered["worker_id"] == "quickstart-worker"
