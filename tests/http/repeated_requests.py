"""A request for each route that changes something, ready to be sent again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.support.embedded_bundles import a_bundle
from tests.support.json_http import WORKER_HEADER, Answer, JsonHttp, operator
from tests.support.processes import TEST_TOKEN
from tests.support.waiting import wait_until

TIMES = 3
QUERY_SECONDS = 20.0
TYPE = "orders.Ship"
ACTIVITY = "orders.Charge"


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` with the ids in their places."""

    method: str
    path: str
    body: Any = None


@dataclass
class Room:
    """A server, and what makes the things that requests are about. Every thing has a
    queue of its own."""

    base_url: str
    names: count[int] = field(default_factory=lambda: count(1))
    _aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def __post_init__(self) -> None:
        self.control = operator(self.base_url, TEST_TOKEN)
        headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"}
        self.worker = JsonHttp(self.base_url, headers)

    def send(self, request: Request) -> Answer:
        is_worker = request.path.startswith("/api/worker/")
        client = self.worker if is_worker else self.control
        return client.request(request.method, request.path, request.body)

    def name(self) -> str:
        return f"thing-{next(self.names)}"

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.send(Request("POST", path, body))
        assert answer.status < 300, answer
        return answer.body

    def started(self) -> dict[str, Any]:
        """A workflow on a queue of the same name."""
        name = self.name()
        start = {"workflow_id": name, "workflow_type": TYPE, "task_queue": name}
        return dict(self.post("/api/workflows", start), task_queue=name)

    def registered(self, queue: str) -> dict[str, Any]:
        worker = {"worker_id": f"worker-{queue}", "task_queue": queue}
        self.post("/api/worker/register", {**worker, "runtime": "python"})
        return worker

    def workflow_task(self) -> dict[str, Any]:
        """A leased task; ``lease``: what says so."""
        run = self.started()
        worker = self.registered(run["task_queue"])
        task = self.post("/api/worker/workflow-tasks/poll", worker)["task"]
        lease = {
            "lease_owner": worker["worker_id"],
            "workflow_task_attempt": task["workflow_task_attempt"],
        }
        return {**run, **task, "lease": lease, "worker": worker}

    def activity_task(self) -> dict[str, Any]:
        deciding = self.workflow_task()
        command = {"type": "schedule_activity", "activity_type": ACTIVITY}
        self.post(
            f"/api/worker/workflow-tasks/{deciding['task_id']}/complete",
            {**deciding["lease"], "commands": [command]},
        )
        task = self.post("/api/worker/activity-tasks/poll", deciding["worker"])["task"]
        lease = {
            "lease_owner": deciding["worker"]["worker_id"],
            "activity_attempt_id": task["activity_attempt_id"],
        }
        return {**task, "lease": lease}

    def query_task(self, worker: dict[str, Any]) -> dict[str, Any]:
        """The next query task, which may take a while to come."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            task = self.post("/api/worker/query-tasks/poll", worker)["task"]
            found.extend([task] if task else [])
            return bool(found)

        wait_until(is_there, deadline_seconds=QUERY_SECONDS)
        return found[0]

    def answer_queries(self, worker: dict[str, Any]) -> None:
        """Answer as many queries as a request is sent times."""

        def answer() -> None:
            for _ in range(TIMES):
                task = self.query_task(worker)
                lease = {
                    "lease_owner": worker["worker_id"],
                    "query_task_attempt": task["query_task_attempt"],
                }
                path = f"/api/worker/query-tasks/{task['query_task_id']}/complete"
                self.post(path, {**lease, "result": 7})

        self.aside(answer)

    def aside(self, action: Callable[[], object]) -> None:
        """Do it beside what follows."""
        self._aside.submit(action)

    def closed(self) -> dict[str, Any]:
        run = self.started()
        self.post(f"/api/workflows/{run['workflow_id']}/terminate", {})
        return run


Make = Callable[[Room], Request]


def _of_run(command: str, body: Any, *, is_run: bool, is_closed: bool = False) -> Make:
    def make(room: Room) -> Request:
        run = room.closed() if is_closed else room.started()
        middle = f"/runs/{run['run_id']}" if is_run else ""
        return Request(
            "POST", f"/api/workflows/{run['workflow_id']}{middle}/{command}", body
        )

    return make


def _both(
    path: str, command: str, body: Any, *, is_closed: bool = False
) -> dict[str, Make]:
    """For the current run of a workflow id, and for a run that is named."""
    return {
        f"POST /api/workflows/{{workflow_id}}{middle}/{path}": _of_run(
            command, body, is_run=bool(middle), is_closed=is_closed
        )
        for middle in ("", "/runs/{run_id}")
    }


def _of_task(kind: str, action: str, body: dict[str, Any]) -> Make:
    def make(room: Room) -> Request:
        is_workflow = kind == "workflow-tasks"
        task = room.workflow_task() if is_workflow else room.activity_task()
        path = f"/api/worker/{kind}/{task['task_id']}/{action}"
        return Request("POST", path, {**task["lease"], **body})

    return make


def _poll(kind: str) -> Make:
    def make(room: Room) -> Request:
        run = room.started()
        worker = room.registered(run["task_queue"])
        body = {**worker, "poll_request_id": room.name()}
        return Request("POST", f"/api/worker/{kind}/poll", body)

    return make


def _named(method: str, path: str, body: dict[str, Any]) -> Make:
    """``body`` with a name that is new."""
    return lambda room: Request(method, path, {**body, "name": room.name()})


def _namespace_setting(suffix: str, body: Any) -> Make:
    def make(room: Room) -> Request:
        name = room.name()
        room.post("/api/namespaces", {"name": name})
        return Request("PUT", f"/api/namespaces/{name}{suffix}", body)

    return make


def _attribute(room: Room) -> Request:
    body = {"name": f"A{next(room.names)}", "type": "keyword"}
    return Request("POST", "/api/search-attributes", body)


def _attribute_to_delete(room: Room) -> Request:
    made = room.send(_attribute(room)).expect(201)
    return Request("DELETE", f"/api/search-attributes/{made['name']}")


def _worker_to_delete(path: str) -> Make:
    def make(room: Room) -> Request:
        worker = room.registered(room.name())
        return Request("DELETE", f"{path}/{worker['worker_id']}")

    return make


def _intent(verb: str) -> Make:
    """For workers that drain already, if they are to be resumed."""

    def make(room: Room) -> Request:
        worker = room.registered(room.name())
        path = f"/api/task-queues/{worker['task_queue']}/build-ids"
        body = {"build_id": None}
        if verb == "resume":
            room.post(f"{path}/drain", body)
            room.post("/api/worker/heartbeat", worker)
        return Request("POST", f"{path}/{verb}", body)

    return make


def _start(room: Room) -> Request:
    name = room.name()
    body = {"workflow_id": name, "workflow_type": TYPE, "task_queue": name}
    return Request("POST", "/api/workflows", body)


def _signal_with_start(room: Room) -> Request:
    name = room.name()
    body = {"workflow_type": TYPE, "task_queue": name, "request_id": "r"}
    return Request("POST", f"/api/workflows/{name}/signal-with-start/go", body)


def _import(room: Room) -> Request:
    bundle = a_bundle(room.name(), run_id=room.name())
    return Request("POST", "/api/workflows/import/embedded-v2", {"bundle": bundle})


def _history(room: Room) -> Request:
    run = room.started()
    worker = room.registered(run["task_queue"])
    poll = {**worker, "history_page_size": 1}
    task = room.post("/api/worker/workflow-tasks/poll", poll)["task"]
    body = {
        "lease_owner": worker["worker_id"],
        "workflow_task_attempt": task["workflow_task_attempt"],
        "next_history_page_token": task["next_history_page_token"],
    }
    path = f"/api/worker/workflow-tasks/{task['task_id']}/history"
    return Request("POST", path, body)


def _storage_test(room: Room) -> Request:
    policy = {"driver": "local", "enabled": True}
    path = "/api/namespaces/default/external-storage"
    room.send(Request("PUT", path, policy)).expect(200)
    sizes = {"small_payload_bytes": 1, "large_payload_bytes": 2}
    return Request("POST", "/api/storage/test", sizes)


def _bridge_event(room: Room) -> Request:
    body = {
        "action": "start_workflow",
        "idempotency_key": room.name(),
        "target": {"workflow_type": TYPE, "task_queue": room.name()},
    }
    return Request("POST", "/api/bridge-adapters/webhook/shop", body)


def _activity_to_start(room: Room) -> Request:
    name = room.name()
    body = {"activity_id": name, "activity_type": ACTIVITY, "task_queue": name}
    return Request("POST", "/api/activities", body)


def _schedule_to_create(room: Room) -> Request:
    return Request("POST", "/api/schedules", {"schedule_id": room.name(), **_SCHEDULE})


def _of_schedule(method: str, suffix: str, body: Any = None) -> Make:
    def make(room: Room) -> Request:
        created = _schedule_to_create(room)
        room.send(created).expect(201)
        path = f"/api/schedules/{created.body['schedule_id']}{suffix}"
        return Request(method, path, body)

    return make


def _pass(name: str) -> Make:
    return lambda _: Request("POST", f"/api/system/{name}/pass", {})


def _register(room: Room) -> Request:
    name = room.name()
    body = {"worker_id": name, "task_queue": name, "runtime": "python"}
    return Request("POST", "/api/worker/register", body)


def _heartbeat(room: Room) -> Request:
    worker = room.registered(room.name())
    return Request("POST", "/api/worker/heartbeat", worker)


def _query(middle: str) -> Make:
    """A query that a worker answers, as often as it is asked."""

    def make(room: Room) -> Request:
        run = room.started()
        worker = room.registered(run["task_queue"])
        room.answer_queries(worker)
        path = f"/api/workflows/{run['workflow_id']}{middle.format(**run)}/query/total"
        return Request("POST", path, {})

    return make


def _query_task(action: str, body: dict[str, Any]) -> Make:
    def make(room: Room) -> Request:
        run = room.started()
        worker = room.registered(run["task_queue"])
        path = f"/api/workflows/{run['workflow_id']}/query/total"
        room.aside(lambda: room.send(Request("POST", path, {})))
        task = room.query_task(worker)
        lease = {
            "lease_owner": worker["worker_id"],
            "query_task_attempt": task["query_task_attempt"],
        }
        return Request(
            "POST",
            f"/api/worker/query-tasks/{task['query_task_id']}/{action}",
            {**lease, **body},
        )

    return make


_FAILURE = {"failure": {"message": "no", "type": "Broke", "non_retryable": True}}
_ONCE = {"request_id": "once"}

# Nothing of it is due while a test looks.
_SCHEDULE = {
    "spec": {"cron_expressions": ["0 0 29 2 *"]},
    "action": {"workflow_type": TYPE, "task_queue": "schedules"},
}
_LEAP_DAY = {
    "start_time": "2024-02-28T00:00:00Z",
    "end_time": "2024-03-01T00:00:00Z",
}

REQUESTS: Mapping[str, Make] = {
    "POST /api/namespaces": _named("POST", "/api/namespaces", {}),
    "PUT /api/namespaces/{namespace}": _namespace_setting("", {"retention_days": 7}),
    "PUT /api/namespaces/{namespace}/external-storage": _namespace_setting(
        "/external-storage", {"driver": "local", "enabled": False}
    ),
    "POST /api/storage/test": _storage_test,
    "POST /api/search-attributes": _attribute,
    "DELETE /api/search-attributes/{name}": _attribute_to_delete,
    "POST /api/workflows": _start,
    **_both("cancel", "cancel", _ONCE),
    **_both("terminate", "terminate", _ONCE),
    **_both("repair", "repair", _ONCE),
    **_both("archive", "archive", _ONCE, is_closed=True),
    **_both("signal/{signal_name}", "signal/go", _ONCE),
    "POST /api/workflows/{workflow_id}/signal-with-start/{signal_name}": (
        _signal_with_start
    ),
    **_both("update/{update_name}", "update/add", {**_ONCE, "wait_for": "accepted"}),
    "POST /api/workflows/{workflow_id}/query/{query_name}": _query(""),
    "POST /api/workflows/{workflow_id}/runs/{run_id}/query/{query_name}": _query(
        "/runs/{run_id}"
    ),
    "POST /api/workflows/import/embedded-v2": _import,
    "DELETE /api/workers/{worker_id}": _worker_to_delete("/api/workers"),
    "POST /api/task-queues/{task_queue}/build-ids/drain": _intent("drain"),
    "POST /api/task-queues/{task_queue}/build-ids/resume": _intent("resume"),
    "POST /api/bridge-adapters/webhook/{adapter}": _bridge_event,
    "POST /api/activities": _activity_to_start,
    "POST /api/schedules": _schedule_to_create,
    "PUT /api/schedules/{schedule_id}": _of_schedule("PUT", "", {"note": "x"}),
    "DELETE /api/schedules/{schedule_id}": _of_schedule("DELETE", ""),
    "POST /api/schedules/{schedule_id}/pause": _of_schedule("POST", "/pause", {}),
    "POST /api/schedules/{schedule_id}/resume": _of_schedule("POST", "/resume", {}),
    "POST /api/schedules/{schedule_id}/trigger": _of_schedule("POST", "/trigger", {}),
    "POST /api/schedules/{schedule_id}/backfill": _of_schedule(
        "POST", "/backfill", _LEAP_DAY
    ),
    "POST /api/system/activity-timeouts/pass": _pass("activity-timeouts"),
    "POST /api/system/repair/pass": _pass("repair"),
    "POST /api/system/retention/pass": _pass("retention"),
    "POST /api/worker/register": _register,
    "POST /api/worker/heartbeat": _heartbeat,
    "DELETE /api/worker/registrations/{worker_id}": _worker_to_delete(
        "/api/worker/registrations"
    ),
    "POST /api/worker/workflow-tasks/poll": _poll("workflow-tasks"),
    "POST /api/worker/activity-tasks/poll": _poll("activity-tasks"),
    "POST /api/worker/query-tasks/poll": _poll("query-tasks"),
    "POST /api/worker/workflow-tasks/{task_id}/history": _history,
    "POST /api/worker/workflow-tasks/{task_id}/heartbeat": _of_task(
        "workflow-tasks", "heartbeat", {}
    ),
    "POST /api/worker/workflow-tasks/{task_id}/complete": _of_task(
        "workflow-tasks", "complete", {"commands": [{"type": "complete_workflow"}]}
    ),
    "POST /api/worker/workflow-tasks/{task_id}/fail": _of_task(
        "workflow-tasks", "fail", _FAILURE
    ),
    "POST /api/worker/activity-tasks/{task_id}/complete": _of_task(
        "activity-tasks", "complete", {"result": None}
    ),
    "POST /api/worker/activity-tasks/{task_id}/fail": _of_task(
        "activity-tasks", "fail", _FAILURE
    ),
    "POST /api/worker/activity-tasks/{task_id}/heartbeat": _of_task(
        "activity-tasks", "heartbeat", {}
    ),
    "POST /api/worker/query-tasks/{query_task_id}/complete": _query_task(
        "complete", {"result": 1}
    ),
    "POST /api/worker/query-tasks/{query_task_id}/fail": _query_task("fail", _FAILURE),
}
