"""Task queues and the rollout of builds against a live server
(``spec/topology-and-operations.md`` §5)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.json_http import CONTROL_PLANE_HEADER, WORKER_HEADER, JsonHttp
from tests.support.processes import StartServer

TOKENS = {role: f"{role}-token" for role in ("worker", "operator", "admin")}
SETTINGS = {f"DW_{role.upper()}_TOKEN": token for role, token in TOKENS.items()}
SETTINGS |= {
    "DW_AUTH_DRIVER": "token",
    "DW_WORKER_POLL_TIMEOUT": "0",
    "DW_QUERY_TASK_POLL_TIMEOUT": "0",
}
PATHS = (
    ("GET", ""),
    ("GET", "/orders"),
    ("GET", "/orders/build-ids"),
    ("POST", "/orders/build-ids/drain"),
    ("POST", "/orders/build-ids/resume"),
)


class Site:
    """A server with a client for each role."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.operator = self.client("operator")
        self.admin = self.client("admin")
        self.workers = JsonHttp(
            base_url,
            {"Authorization": f"Bearer {TOKENS['worker']}", WORKER_HEADER: "1.20"},
        )

    def client(self, role: str, namespace: str = "default") -> JsonHttp:
        headers = {
            "Authorization": f"Bearer {TOKENS[role]}",
            CONTROL_PLANE_HEADER: "2",
            "X-Namespace": namespace,
        }
        return JsonHttp(self.base_url, headers)

    def ask(self, path: str, *, client: JsonHttp | None = None) -> Any:
        asking = client or self.operator
        return asking.request("GET", f"/api/task-queues{path}").expect(200)

    def set_intent(self, verb: str, body: object, queue: str = "orders") -> Any:
        path = f"/api/task-queues/{quote(queue, safe='')}/build-ids/{verb}"
        return self.operator.request("POST", path, body).expect(200)

    def work(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.workers.request("POST", f"/api/worker/{path}", body)
        return answer.expect(status)

    def register(self, worker_id: str, queue: str, **fields: Any) -> Any:
        worker = {"worker_id": worker_id, "task_queue": queue, "runtime": "python"}
        return self.work("register", 201, **worker, **fields)

    def start(self, workflow_id: str, queue: str) -> None:
        body = {
            "workflow_id": workflow_id,
            "workflow_type": "orders.Ship",
            "task_queue": queue,
        }
        self.operator.request("POST", "/api/workflows", body).expect(201)

    def cohorts(self, queue: str = "orders") -> dict[str | None, Any]:
        found = self.ask(f"/{quote(queue, safe='')}/build-ids")["build_ids"]
        return {each["build_id"]: each for each in found}


@pytest.fixture
def site(start_server: StartServer, sqlite_url: str) -> Site:
    return Site(start_server(sqlite_url, SETTINGS).base_url)


@pytest.fixture
def each_site(start_server: StartServer, store_url: str) -> Site:
    """On either database."""
    return Site(start_server(store_url, SETTINGS).base_url)


def test_a_queue_is_what_somebody_names_it(site: Site) -> None:
    """Slashes, escapes and a queue that nobody has heard of: nothing is missing."""
    strange = "eu/orders 50% Ünïcode?#"
    site.register("w1", strange, build_id="b/1")
    site.start("order-1", strange)
    escaped = quote(strange, safe="")
    shown = site.ask(f"/{escaped}")
    assert shown["name"] == strange
    assert [poller["worker_id"] for poller in shown["pollers"]] == ["w1"]
    assert shown["stats"]["workflow_tasks"]["ready_count"] == 1
    assert shown["stats"]["oldest_ready_task"]["workflow_id"] == "order-1"
    assert shown["admission"]["workflow_tasks"]["status"] == "accepting"
    (listed,) = site.ask("")["task_queues"]
    assert (listed["name"], listed["admission"]) == (strange, shown["admission"])
    assert "pollers" not in listed
    drained = site.set_intent("drain", {"build_id": " b/1 "}, strange)
    assert (drained["task_queue"], drained["build_id"]) == (strange, "b/1")
    assert site.cohorts(strange)["b/1"]["rollout_status"] == "active_with_draining"

    for name in ("nobody", "x" * 2_000, "..", "%25"):
        nobody = site.ask(f"/{quote(name, safe='%')}")
        assert (nobody["pollers"], nobody["current_leases"]) == ([], [])
        assert nobody["stats"]["approximate_backlog_count"] == 0
        assert nobody["admission"]["activity_tasks"]["status"] == "no_active_workers"
        assert site.ask(f"/{quote(name, safe='%')}/build-ids")["build_ids"] == []
    assert site.operator.request("GET", "/api/task-queues/%00").status == 404


def test_only_operators_and_only_what_a_build_can_be(site: Site) -> None:
    for method, path in PATHS:
        worker = site.client("worker")
        refused = worker.request(method, f"/api/task-queues{path}", {"build_id": "b"})
        assert refused.expect(403)["allowed_roles"] == ["operator", "admin"]
        nowhere = site.client("operator", "no-such-namespace")
        missing = nowhere.request(method, f"/api/task-queues{path}", {"build_id": "b"})
        assert missing.expect(404)["reason"] == "namespace_not_found"
    path = f"/api/task-queues/{'q' * 256}/build-ids/drain"
    refused = site.operator.request("POST", path, {"build_id": "b"})
    assert list(refused.expect(422)["errors"]) == ["task_queue"]
    for body in (None, {}, [], "{", {"build": "b"}):
        path = "/api/task-queues/orders/build-ids/drain"
        assert site.operator.request("POST", path, body).status in (400, 422), body
    assert site.cohorts() == {}
    longest = "b" * 255
    assert site.set_intent("drain", {"build_id": longest})["build_id"] == longest
    # Blank is no build id, as it is for a worker.
    for blank in ("", "   ", None):
        assert site.set_intent("drain", {"build_id": blank})["build_id"] is None


def test_a_drained_build_is_given_nothing_new(each_site: Site) -> None:
    site = each_site
    old = {"worker_id": "old", "task_queue": "orders", "build_id": "b1"}
    site.register("old", "orders", build_id="b1", sdk_version="2.0")
    site.register("plain", "orders")
    site.start("order-1", "orders")
    held = site.work("workflow-tasks/poll", **old)["task"]
    site.set_intent("drain", {"build_id": "b1"})
    beat = site.work("heartbeat", worker_id="old")
    assert beat["status"] == "draining"
    site.start("order-2", "orders")
    for kind in ("workflow", "activity", "query"):
        polled = site.work(f"{kind}-tasks/poll", **old)
        assert (polled["task"], polled["poll_status"]) == (None, "empty")
    found = site.cohorts()
    assert list(found) == [None, "b1"]
    assert found["b1"] == {
        **found["b1"],
        "rollout_status": "draining",
        "drain_intent": "draining",
        "active_worker_count": 0,
        "draining_worker_count": 1,
        "total_worker_count": 1,
        "runtimes": ["python"],
        "sdk_versions": ["2.0"],
    }
    shown = site.ask("/orders")
    assert [poller["status"] for poller in shown["pollers"]] == ["draining", "active"]
    admission = shown["admission"]["workflow_tasks"]
    assert (admission["active_worker_count"], admission["leased_count"]) == (1, 1)
    done = {
        "lease_owner": "old",
        "workflow_task_attempt": held["workflow_task_attempt"],
        "commands": [{"type": "complete_workflow", "result": None}],
    }
    site.work(f"workflow-tasks/{held['task_id']}/complete", **done)

    site.set_intent("resume", {"build_id": "b1"})
    assert site.cohorts()["b1"]["rollout_status"] == "active"
    assert site.work("workflow-tasks/poll", **old)["task"] is not None


def test_namespaces_know_nothing_of_each_other(site: Site) -> None:
    site.admin.request("POST", "/api/namespaces", {"name": "other"}).expect(201)
    other = site.client("operator", "other")
    site.register("w1", "orders", build_id="b1")
    site.start("order-1", "orders")
    site.set_intent("drain", {"build_id": "b1"})
    assert site.ask("", client=other)["task_queues"] == []
    assert site.ask("/orders", client=other)["pollers"] == []
    assert site.ask("/orders/build-ids", client=other)["build_ids"] == []
    path = "/api/task-queues/orders/build-ids/resume"
    other.request("POST", path, {"build_id": "b1"}).expect(200)
    assert site.cohorts()["b1"]["drain_intent"] == "draining"


def test_drains_are_shown_to_operators(site: Site) -> None:
    site.admin.request("POST", "/api/namespaces", {"name": "other"}).expect(201)
    site.register("w1", "orders", build_id="b1")
    site.register("w2", "orders", build_id="b2")
    for number in range(2):
        site.start(f"order-{number}", "orders")
    site.work("workflow-tasks/poll", worker_id="w2", task_queue="orders")
    site.set_intent("drain", {"build_id": "b1"})
    site.register("w1", "orders", build_id="b1")
    site.set_intent("drain", {"build_id": "b0"}, "bills")
    elsewhere = site.client("operator", "other")
    path = "/api/task-queues/orders/build-ids/drain"
    elsewhere.request("POST", path, {"build_id": None}).expect(200)

    body = site.admin.request("GET", "/api/system/health").expect(200)
    drains = body["health"]["routing_drains"]
    assert [each["task_queue"] for each in drains["queues"]] == ["bills", "orders"]
    (queue,) = body["health"]["queue_visibility"]["task_queues"]
    stats = queue["stats"]
    counted = (stats["tasks_added_last_minute"], stats["tasks_dispatched_last_minute"])
    assert counted == (2, 1)
    assert stats["workflow_tasks"]["added_last_minute"] == 2
    assert stats["activity_tasks"]["dispatched_last_minute"] == 0
    # Only there.
    assert "tasks_added_last_minute" not in site.ask("/orders")["stats"]
    orders = drains["queues"][1]
    assert (orders["active_build_id_count"], orders["draining_build_id_count"]) == (
        1,
        1,
    )
    assert (orders["active_worker_count"], orders["draining_worker_count"]) == (1, 1)
    (drained,) = orders["build_ids"]
    assert drained == site.cohorts()["b1"]
    assert orders["latest_drained_at"] == drained["drained_at"]
    assert (drains["queues_with_drains"], drains["draining_build_id_count"]) == (2, 2)

    info = site.operator.request("GET", "/api/cluster/info").expect(200)
    drains = info["coordination_health"]["routing_drains"]
    named = [(each["namespace"], each["task_queue"]) for each in drains["queues"]]
    assert named == [("other", "orders"), ("default", "bills"), ("default", "orders")]


def test_caps_say_where_they_come_from(
    start_server: StartServer, sqlite_url: str
) -> None:
    overrides = (
        '{"orders": {"workflow_tasks": {"max_active_leases": 1,'
        ' "budget_group": "imports", "max_dispatches_per_minute_per_budget_group": 7}}}'
    )
    environ = {
        **SETTINGS,
        "DW_WORKFLOW_TASK_MAX_ACTIVE_LEASES_PER_NAMESPACE": "5",
        "DW_TASK_QUEUE_ADMISSION_OVERRIDES": overrides,
    }
    site = Site(start_server(sqlite_url, environ).base_url)
    site.register("w1", "orders", max_concurrent_workflow_tasks=9)
    site.register("w2", "bills", max_concurrent_workflow_tasks=1)
    for number, queue in enumerate(("orders", "bills", "bills")):
        site.start(f"run-{number}", queue)
    site.work("workflow-tasks/poll", worker_id="w1", task_queue="orders")
    site.work("workflow-tasks/poll", worker_id="w2", task_queue="bills")
    listed = {each["name"]: each["admission"] for each in site.ask("")["task_queues"]}
    orders = listed["orders"]["workflow_tasks"]
    namespace_cap = "server.admission.workflow_tasks.max_active_leases_per_namespace"
    sources = f"server.admission.queue_overrides;{namespace_cap}"
    assert orders == {
        **orders,
        "server_budget_source": sources,
        "status": "throttled",
        "available_slot_count": 8,
        "server_max_active_leases_per_queue": 1,
        "server_active_lease_count": 1,
        "server_remaining_active_lease_capacity": 0,
        "server_max_active_leases_per_namespace": 5,
        "server_namespace_active_lease_count": 2,
        "server_remaining_namespace_active_lease_capacity": 3,
        "server_dispatch_budget_group": "imports",
        "server_budget_group_dispatch_count_this_minute": 1,
        "server_remaining_budget_group_dispatch_capacity": 6,
        "server_lock_required": True,
    }
    assert site.ask("/orders")["admission"] == listed["orders"]
    bills = listed["bills"]["workflow_tasks"]
    assert (bills["server_budget_source"], bills["status"]) == (
        namespace_cap,
        "saturated",
    )
    assert listed["bills"]["activity_tasks"]["server_lock_required"] is False


def test_two_drains_at_once_agree(each_site: Site) -> None:
    site = each_site

    def drain(_: int) -> Any:
        return site.set_intent("drain", {"build_id": "b1"})["drained_at"]

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(drain, range(24)))) == 1


def test_a_queue_whose_workers_all_drain_takes_nothing_new(site: Site) -> None:
    site.register("old", "orders", build_id="b1")
    site.set_intent("drain", {"build_id": "b1"})
    site.work("heartbeat", worker_id="old")
    start = {"workflow_id": "o", "workflow_type": "T", "task_queue": "orders"}
    activity = {"activity_id": "a", "activity_type": "T", "task_queue": "orders"}
    for path, body in (
        ("/workflows", start),
        ("/workflows/o/signal-with-start/go", {**start, "workflow_id": None}),
        ("/activities", activity),
    ):
        refused = site.operator.request("POST", f"/api{path}", body).expect(409)
        assert refused["reason"] == "task_queue_draining", path
        assert refused["outcome"] == "rejected_task_queue_draining"
        assert refused["draining_build_ids"] == ["b1"]
    site.set_intent("resume", {"build_id": "b1"})
    site.operator.request("POST", "/api/activities", activity).expect(201)
    site.start("o", "orders")
