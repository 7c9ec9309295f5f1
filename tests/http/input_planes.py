"""What wrong input is sent to: a server with two workflows, of which a worker holds a
workflow task and an activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.http.input_cases import Body
from tests.http.worker_inputs import POLL, REGISTER
from tests.support.json_http import Answer, JsonHttp, read_history


@dataclass(frozen=True, slots=True)
class Leases:
    """A leased workflow task of ``order-1``, a leased activity of ``order-2``."""

    workflow_path: str
    workflow: Body
    activity_path: str
    activity: Body


@dataclass(frozen=True, slots=True)
class Planes:
    control: JsonHttp
    worker: JsonHttp

    def post(self, path: str, body: Body) -> Answer:
        return self.worker.request("POST", f"/api/worker/{path}", body)

    def prepare(self) -> Leases:
        self.post("register", REGISTER).expect(201)
        amount = {"name": "Amount", "type": "int"}
        self.control.request("POST", "/api/search-attributes", amount).expect(201)
        leased = [self._leased(workflow_id) for workflow_id in ("order-1", "order-2")]
        command = {"type": "schedule_activity", "activity_type": "orders.Charge"}
        done = {**leased[1][1], "commands": [command]}
        self.post(f"{leased[1][0]}/complete", done).expect(200)
        task = self.post("activity-tasks/poll", POLL).expect(200)["task"]
        return Leases(
            *leased[0],
            f"activity-tasks/{task['task_id']}",
            {
                "activity_attempt_id": task["activity_attempt_id"],
                "lease_owner": "worker-1",
            },
        )

    def _leased(self, workflow_id: str) -> tuple[str, Body]:
        start = {
            "workflow_id": workflow_id,
            "workflow_type": "orders.Ship",
            "task_queue": "orders",
        }
        self.control.request("POST", "/api/workflows", start).expect(201)
        task = self.post("workflow-tasks/poll", POLL).expect(200)["task"]
        lease = {
            "lease_owner": "worker-1",
            "workflow_task_attempt": task["workflow_task_attempt"],
        }
        return f"workflow-tasks/{task['task_id']}", lease

    def state(self) -> list[Any]:
        """All that the control plane shows of the workflows and the worker."""
        worker = self.control.request("GET", "/api/workers/worker-1").expect(200)
        # A poll counts as a heartbeat, which is written seconds later.
        for name in ("last_heartbeat_at", "updated_at"):
            del worker[name]
        path = "/api/task-queues/orders/build-ids"
        builds = self.control.request("GET", path).expect(200)["build_ids"]
        for build in builds:
            del build["last_heartbeat_at"]
        shown: list[Any] = [
            worker,
            builds,
            self.control.request("GET", "/api/workflows").expect(200),
            self.control.request("GET", "/api/search-attributes").expect(200),
            self.control.request("GET", "/api/namespaces").expect(200),
        ]
        for workflow_id in ("order-1", "order-2"):
            path = f"/api/workflows/{workflow_id}"
            described = self.control.request("GET", path).expect(200)
            shown.append(described)
            shown.append(read_history(self.control, workflow_id, described["run_id"]))
        return shown
