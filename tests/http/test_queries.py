"""A query from the caller to a worker and back, over HTTP on every database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.json_http import (
    WORKER_HEADER,
    Answer,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.waiting import wait_until
from tests.support.wrapper_payloads import wrapper_blob, wrapper_value

WORKER = {"worker_id": "worker-1", "task_queue": "orders"}
ENVELOPE = {"codec": "avro", "blob": wrapper_blob({"state": "paid"})}


@dataclass(frozen=True, slots=True)
class Site:
    """A started workflow ``order-1``, its worker, and threads that wait for answers."""

    control: JsonHttp
    worker: JsonHttp
    threads: ThreadPoolExecutor

    def prepare(self) -> str:
        """The id of the run."""
        self.post("register", {**WORKER, "runtime": "python"}).expect(201)
        body = {
            "workflow_id": "order-1",
            "workflow_type": "orders.Ship",
            "task_queue": "orders",
            "input": ["order-1"],
        }
        run_id = self.control.request("POST", "/api/workflows", body).expect(201)[
            "run_id"
        ]
        assert isinstance(run_id, str)
        return run_id

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        return self.worker.request("POST", f"/api/worker/{path}", body)

    def query(self, body: object = None, *, run: str = "") -> Answer:
        path = f"/api/workflows/order-1{run}/query/state"
        return self.control.request("POST", path, body)

    def querying(self, body: object = None, *, run: str = "") -> Future[Answer]:
        return self.threads.submit(self.query, body, run=run)

    def poll(self, *, seconds: int = 30, **fields: Any) -> Any:
        """The task of a poll."""
        body = {**WORKER, "timeout_seconds": seconds, **fields}
        return self.post("query-tasks/poll", body).expect(200)["task"]

    def settle(self, task: dict[str, Any], verb: str, body: dict[str, Any]) -> Answer:
        lease = {
            "lease_owner": task["lease_owner"],
            "query_task_attempt": task["query_task_attempt"],
        }
        path = f"query-tasks/{task['query_task_id']}/{verb}"
        return self.post(path, {**lease, **body})


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def site_of(base_url: str, threads: ThreadPoolExecutor) -> Site:
    headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.1"}
    return Site(operator(base_url, TEST_TOKEN), JsonHttp(base_url, headers), threads)


def test_a_query_is_answered_by_a_worker(
    start_server: StartServer, store_url: str, threads: ThreadPoolExecutor
) -> None:
    server = start_server(store_url)
    site = site_of(server.base_url, threads)
    run_id = site.prepare()
    info = site.control.request("GET", "/api/cluster/info").expect(200)
    assert info["worker_protocol"]["server_capabilities"]["query_tasks"] is True
    assert info["capabilities"]["queries"] is True

    asked = site.querying({"input": ["arg", 2]})
    task = site.poll(poll_request_id="p1")
    assert site.poll(poll_request_id="p1", seconds=0) == task, "a lost answer"
    assert (task["workflow_id"], task["run_id"]) == ("order-1", run_id)
    assert (task["query_name"], task["query_task_attempt"]) == ("state", 1)
    assert wrapper_value(task["query_arguments"]["blob"]) == ["arg", 2]
    assert wrapper_value(task["workflow_arguments"]["blob"]) == ["order-1"]
    history = read_history(site.control, "order-1", run_id)
    assert [event["sequence"] for event in task["history_events"]] == [
        event["sequence"] for event in history
    ]
    done = site.settle(
        task, "complete", {"result": {"state": "paid"}, "result_envelope": ENVELOPE}
    )
    told = done.expect(200)
    assert (told["outcome"], told["status"]) == ("completed", 200)

    body = asked.result().expect(200)
    control_plane = body.pop("control_plane")
    members = {
        "run_id": run_id,
        "target_scope": "instance",
        "result": {"state": "paid"},
        "result_envelope": ENVELOPE,
        "reason": None,
    }
    assert body == {"workflow_id": "order-1", "query_name": "state", **members}
    assert (
        control_plane.items()
        >= {
            **members,
            "operation": "query",
            "operation_name": "state",
            "operation_name_field": "query_name",
        }.items()
    )

    again = site.settle(task, "complete", {"result": 1}).expect(409)
    assert again["reason"] == "query_task_not_leased"
    assert read_history(site.control, "order-1", run_id) == history


def test_a_worker_may_refuse(
    start_server: StartServer, store_url: str, threads: ThreadPoolExecutor
) -> None:
    site = site_of(start_server(store_url).base_url, threads)
    run_id = site.prepare()
    for reason, status in (("rejected_unknown_query", 404), ("broken", 409)):
        asked = site.querying(run=f"/runs/{run_id}")
        failure = {"message": "I cannot", "reason": reason}
        told = site.settle(site.poll(), "fail", {"failure": failure}).expect(200)
        assert (told["outcome"], told["reason"]) == ("failed", reason)
        body = asked.result().expect(status)
        assert (body["reason"], body["message"]) == (reason, "I cannot")
        assert body["control_plane"]["reason"] == reason
    assert site.query(run="/runs/older").expect(409)["reason"] == (
        "historical_run_command_rejected"
    )


def test_nobody_waits_for_ever(
    start_server: StartServer, sqlite_url: str, threads: ThreadPoolExecutor
) -> None:
    env = {"DW_QUERY_TASK_TIMEOUT": "2"}
    site = site_of(start_server(sqlite_url, env).base_url, threads)
    site.prepare()
    polling = threads.submit(site.poll)
    asked = site.querying()
    task = polling.result()
    body = asked.result().expect(504)
    assert (body["reason"], body["result"]) == ("query_worker_timeout", None)
    late = site.settle(task, "complete", {"result": 1}).expect(409)
    assert late["reason"] == "query_task_timed_out"


def test_a_full_queue_and_a_stopping_server_say_so(
    start_server: StartServer, sqlite_url: str, threads: ThreadPoolExecutor
) -> None:
    env = {"DW_QUERY_TASK_MAX_PENDING_PER_QUEUE": "1"}
    server = start_server(sqlite_url, env)
    site = site_of(server.base_url, threads)
    site.prepare()
    waiting = [site.querying(), site.querying()]
    full = wait_until(lambda: next((each for each in waiting if each.done()), None))
    assert full is not None
    assert full.result().expect(429)["reason"] == "query_task_queue_full"
    [pending] = [each for each in waiting if each is not full]
    assert server.terminate() == 0
    body = pending.result().expect(503)
    assert body["reason"] == "query_task_queue_unavailable"
