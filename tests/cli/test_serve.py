"""``dwserver serve``: before the schema is there, and at its end."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from tests.cli.command import run
from tests.support.json_http import WORKER_HEADER, Answer, JsonHttp, operator
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until

STOP_SECONDS = 45.0
ABORTED = 128 + signal.SIGTERM


@pytest.fixture
def unprepared(empty_store_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """A node whose database has no schema."""
    env = {"DW_DATABASE_URL": empty_store_url, "DW_AUTH_TOKEN": TEST_TOKEN}
    server = ServerProcess(env, log_path=tmp_path / "server.log")
    server.start()
    try:
        wait_until(
            lambda: server.ready_status() or not server.is_running,
            deadline_seconds=30,
            what="an answer of the node",
        )
        yield server
    finally:
        server.kill()


def worker(server: ServerProcess) -> JsonHttp:
    headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.0"}
    return JsonHttp(server.base_url, headers)


REGISTER = {"worker_id": "w1", "task_queue": "q", "runtime": "python"}


def test_pending_migrations_block_all_but_health(
    unprepared: ServerProcess, empty_store_url: str
) -> None:
    client = operator(unprepared.base_url, TEST_TOKEN)
    client.request("GET", "/api/health").expect(200)
    client.request("GET", "/api/ready").expect(503)
    for answer in (
        client.request("GET", "/api/workflows"),
        client.request("POST", "/api/workflows", {"workflow_type": "t"}),
        worker(unprepared).request("POST", "/api/worker/register", REGISTER),
    ):
        assert answer.expect(503)["reason"] == "workflow_v2_blocked"
    info = client.request("GET", "/api/cluster/info")
    assert info.status == 200
    assert info.body["worker_fleet"]["active_workers"] == 0
    log = unprepared.log_text()
    assert "migrations_pending" in log
    # Once they are applied the same process serves.
    prepared = run("bootstrap", env={"DW_DATABASE_URL": empty_store_url})
    assert prepared.status == 0, prepared
    unprepared.wait_ready()
    client.request("GET", "/api/workflows").expect(200)


class HeldPolls:
    """Long polls of one worker, each in a thread of its own."""

    def __init__(self, client: JsonHttp, *, count: int) -> None:
        client.request("POST", "/api/worker/register", REGISTER).expect(201)
        self.answers: list[Answer] = []
        self._client = client
        self._threads = [
            threading.Thread(target=self._poll, args=(kind,), daemon=True)
            for kind in ("workflow", "activity") * (count // 2)
        ]
        for thread in self._threads:
            thread.start()

    def _poll(self, kind: str) -> None:
        path = f"/api/worker/{kind}-tasks/poll"
        body = {"worker_id": "w1", "task_queue": "q", "timeout_seconds": 60}
        self.answers.append(self._client.request("POST", path, body))

    def join(self) -> list[tuple[int, object]]:
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        return [(answer.status, answer.body["task"]) for answer in self.answers]


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Reads the metrics of a node."""

    port: int

    def total(self, name: str) -> float:
        """Sum over all labels; 0 while there is none."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


def test_a_signal_lets_polls_go_and_ends_the_process(
    start_server: StartServer, store_url: str
) -> None:
    metrics = Scrapes(free_port())
    server = start_server(store_url, {"DW_METRICS_PORT": str(metrics.port)})
    polls = HeldPolls(worker(server), count=4)
    wait_until(lambda: metrics.total("dw_polls_waiting") == 4, what="held polls")
    assert server.terminate(STOP_SECONDS) == 0, server.log_text()[-4000:]
    answered = polls.join()
    assert [answer for answer in answered if answer != (200, None)] == []
    assert "Traceback" not in server.log_text()


def test_a_request_whose_body_is_still_on_its_way_is_answered(
    start_server: StartServer, sqlite_url: str
) -> None:
    server = start_server(sqlite_url)
    body = orjson.dumps(REGISTER)
    head = (
        "POST /api/worker/register HTTP/1.1\r\n"
        f"Host: {LOOPBACK}\r\n"
        f"Authorization: Bearer {TEST_TOKEN}\r\n"
        f"{WORKER_HEADER}: 1.0\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, server.port), timeout=20) as client:
        client.sendall(head.encode())
        # The node has read what was sent before this request.
        assert server.ready_status() == 200
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: server.ready_status() is None, what="a closed listener")
        client.sendall(body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 201 ")
    wait_until(lambda: not server.is_running, what="the end of the process")


def test_readiness_goes_before_the_listener(
    start_server: StartServer, sqlite_url: str
) -> None:
    server = start_server(sqlite_url, {"DW_SHUTDOWN_DRAIN_SECONDS": "60"})
    os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: server.ready_status() == 503, what="a draining node")
    # What reaches it meanwhile is still served.
    client = operator(server.base_url, TEST_TOKEN)
    client.request("GET", "/api/workflows").expect(200)
    os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: not server.is_running, what="the end of the process")


def test_a_second_signal_insists(start_server: StartServer, sqlite_url: str) -> None:
    server = start_server(sqlite_url, {"DW_SHUTDOWN_DRAIN_SECONDS": "60"})
    os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: server.ready_status() == 503, what="a draining node")
    assert server.terminate(STOP_SECONDS) == ABORTED


def test_an_aborted_node_leaves_a_database_that_can_be_served(
    start_server: StartServer, sqlite_url: str
) -> None:
    server = start_server(sqlite_url)
    client = operator(server.base_url, TEST_TOKEN)
    start = {"workflow_id": "order-1", "workflow_type": "t", "task_queue": "q"}
    client.request("POST", "/api/workflows", start).expect(201)
    server.kill()
    server.start()
    server.wait_ready()
    client.request("GET", "/api/workflows/order-1").expect(200)
