"""Workers that tell which definition of a workflow type they have, over HTTP.

No pytest here: tests of one node and rehearsals of clusters use them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from tests.support.json_http import WORKER_HEADER, JsonHttp

TYPE = "orders.Ship"
WAIT = {
    "type": "open_condition_wait",
    "condition_key": "shipped",
    "condition_definition_fingerprint": "sha256:shipped",
}
CLOSE = {"type": "complete_workflow", "result": None}


@dataclass(frozen=True, slots=True)
class DefinitionWorker:
    """``client``: an operator's, of the node that it talks to. ``fingerprint``: None
    for one that tells nothing."""

    client: JsonHttp
    queue: str
    worker_id: str
    fingerprint: str | None

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.client.request(
            "POST", f"/api/worker/{path}", body, headers={WORKER_HEADER: "1.20"}
        )

    def register(self) -> None:
        told = {} if self.fingerprint is None else {TYPE: self.fingerprint}
        body = {
            "worker_id": self.worker_id,
            "task_queue": self.queue,
            "runtime": "python",
            "supported_workflow_types": [TYPE],
            "workflow_definition_fingerprints": told,
        }
        self.post("register", body).expect(201)

    def leave(self) -> None:
        path = f"/api/worker/registrations/{self.worker_id}"
        headers = {WORKER_HEADER: "1.20"}
        self.client.request("DELETE", path, headers=headers).expect(200)

    def poll(self, *, seconds: int = 0) -> Any:
        """A task, or None."""
        body = {
            "worker_id": self.worker_id,
            "task_queue": self.queue,
            "timeout_seconds": seconds,
        }
        return self.post("workflow-tasks/poll", body).expect(200)["task"]

    def complete(self, task: Any, command: dict[str, Any] = WAIT) -> None:
        body = {
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": [command],
        }
        path = f"workflow-tasks/{task['task_id']}/complete"
        self.post(path, body).expect(200)


@dataclass(frozen=True, slots=True)
class Shop:
    """A queue, its workers, and the runs that they work on."""

    client: JsonHttp
    queue: str

    def worker(self, worker_id: str, fingerprint: str | None) -> DefinitionWorker:
        """A registered one."""
        worker = DefinitionWorker(self.client, self.queue, worker_id, fingerprint)
        worker.register()
        return worker

    def start(self, workflow_id: str | None = None) -> str:
        """The workflow id of a new run."""
        body = {
            "workflow_id": workflow_id or f"wf-{uuid.uuid4().hex}",
            "workflow_type": TYPE,
            "task_queue": self.queue,
        }
        started = self.client.request("POST", "/api/workflows", body).expect(201)
        found: str = started["workflow_id"]
        return found

    def wake(self, workflow_id: str) -> None:
        """Give the run, which waits, another workflow task."""
        path = f"/api/workflows/{workflow_id}/signal/go"
        self.client.request("POST", path, {}).expect(202)

    def begun(self, worker: DefinitionWorker) -> str:
        """A run whose first task was done by the worker, and whose next is ready."""
        workflow_id = self.start()
        task = worker.poll(seconds=10)
        assert task["workflow_id"] == workflow_id
        worker.complete(task)
        self.wake(workflow_id)
        return workflow_id

    def debug(self, workflow_id: str) -> Any:
        path = f"/api/workflows/{workflow_id}/debug"
        return self.client.request("GET", path).expect(200)
