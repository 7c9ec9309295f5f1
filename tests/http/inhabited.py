"""A server in use: workflows, a worker, leased tasks that strange requests aim at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.server_process import ServerProcess
from tests.support.stored_state import read_state

# Nothing waits, and no lease runs out while a test looks.
PATIENCE = {
    "DW_WORKER_POLL_TIMEOUT": "0",
    "DW_QUERY_TASK_TIMEOUT": "0",
    "DW_QUERY_TASK_POLL_TIMEOUT": "0",
    "DW_WORKFLOW_TASK_TIMEOUT": "3600",
    "DW_ACTIVITY_TASK_TIMEOUT": "3600",
    "DW_WORKER_STALE_AFTER_SECONDS": "3600",
}
WORKER = {"worker_id": "worker-1", "task_queue": "orders"}
ACTIVITY = {"type": "schedule_activity", "activity_type": "orders.Charge"}


@dataclass(frozen=True, slots=True)
class Targets:
    """Ids by the names that paths and bodies give them. ``task_ids``: leased tasks by
    the segment of the path that names their kind."""

    ids: dict[str, Any]
    task_ids: dict[str, str]

    def on(self, path: str) -> dict[str, Any]:
        """The ids that a request to ``path`` may use."""
        found = [self.task_ids.get(segment) for segment in path.split("/")]
        task_id = next(filter(None, found), None)
        return self.ids if task_id is None else {**self.ids, "task_id": task_id}


class Inhabited:
    """The server and its clients."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.control = operator(server.base_url, TEST_TOKEN)
        headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"}
        self._worker = JsonHttp(server.base_url, headers)
        self._names: Iterator[int] = count(1)

    def settle(self) -> Targets:
        """A worker, a run with a leased workflow task, one with a leased activity."""
        # A made-up policy would send payloads to a storage that nobody has.
        policy = {"driver": "local", "enabled": False}
        path = "/api/namespaces/default/external-storage"
        self.control.request("PUT", path, policy).expect(200)
        # So would a made-up drain keep everything from the worker.
        path = f"/api/task-queues/{WORKER['task_queue']}/build-ids/resume"
        self.control.request("POST", path, {"build_id": None}).expect(200)
        self._post("register", {**WORKER, "runtime": "python"}, status=201)
        self._drain()
        charging = self._leased()
        done = {**charging["lease"], "commands": [ACTIVITY]}
        self._post(f"workflow-tasks/{charging['task_id']}/complete", done)
        activity = self._post("activity-tasks/poll", WORKER)["task"]
        deciding = self._leased()
        self._schedule()
        ids = {
            **WORKER,
            **deciding["lease"],
            "namespace": "default",
            "schedule_id": "nightly",
            "workflow_id": deciding["workflow_id"],
            "run_id": deciding["run_id"],
            "activity_attempt_id": activity["activity_attempt_id"],
        }
        return Targets(
            ids,
            {
                "workflow-tasks": deciding["task_id"],
                "activity-tasks": activity["task_id"],
            },
        )

    def state(self, database_url: str) -> list[Any]:
        """What is stored, and what is shown beside it."""
        namespaces = self.control.request("GET", "/api/namespaces").expect(200)
        workers = self.control.request("GET", "/api/workers").expect(200)["workers"]
        for worker in workers:
            # Earlier polls count as signs of life, which are written from time to time.
            del worker["last_heartbeat_at"]
        schedules = self.control.request("GET", "/api/schedules").expect(200)
        health = self.control.request("GET", "/api/system/health").expect(200)
        drains = health["health"]["routing_drains"]
        return [read_state(database_url), namespaces, workers, schedules, drains]

    def _leased(self) -> dict[str, Any]:
        start = {
            "workflow_id": f"order-{next(self._names)}",
            "workflow_type": "orders.Ship",
            "task_queue": WORKER["task_queue"],
        }
        self.control.request("POST", "/api/workflows", start).expect(201)
        task = self._post("workflow-tasks/poll", WORKER)["task"]
        attempt = task["workflow_task_attempt"]
        lease = {"lease_owner": WORKER["worker_id"], "workflow_task_attempt": attempt}
        return {**task, "lease": lease}

    def _schedule(self) -> None:
        """It may have been deleted, or be there already."""
        schedule = {
            "schedule_id": "nightly",
            "spec": {"cron_expressions": ["0 3 * * *"]},
            "action": {"workflow_type": "orders.Ship"},
        }
        answer = self.control.request("POST", "/api/schedules", schedule)
        assert answer.status in (201, 409), answer

    def _drain(self) -> None:
        """Take what earlier requests left ready, so that polls find what is new."""
        for kind in ("workflow-tasks", "activity-tasks"):
            while self._post(f"{kind}/poll", WORKER)["task"] is not None:
                pass

    def _post(self, path: str, body: object, *, status: int = 200) -> Any:
        answer = self._worker.request("POST", f"/api/worker/{path}", body)
        return answer.expect(status)


def inhabited(start_server: StartServer, database_url: str) -> Inhabited:
    return Inhabited(start_server(database_url, PATIENCE))
