"""``dwserver repair-pass``: reports, exit status, loop, by a server."""

from __future__ import annotations

import signal
from typing import Any

import orjson
import pytest

from dwserver.store.opening import open_store
from tests.cli.command import Ended, end, run, start
from tests.store.raw_sql import execute
from tests.support.builders import a_run, a_start_transition, a_task
from tests.support.json_http import operator
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN, StartServer

PASS = "repair-pass"
DEDICATED = {
    "queue_wake_enabled": False,
    "shape": "dedicated",
    "wake_owner": "dedicated_repair_pass",
}


async def _leave_tasks(url: str, *queues: str) -> list[str]:
    """Tasks that nobody takes; ids of their runs."""
    store = open_store(url)
    await store.open()
    try:
        runs = [a_run(task_queue=queue) for queue in queues]
        for each in runs:
            tasks = (a_task(each),)
            assert await store.commit(a_start_transition(each, new_tasks=tasks))
        return [each.id for each in runs]
    finally:
        await store.close()


def leave_tasks(url: str, *queues: str) -> list[str]:
    ids: list[str] = run_in_thread(_leave_tasks(url, *queues))
    return ids


def reports(ended: Ended, *, status: int = 0) -> list[Any]:
    assert ended.status == status, ended
    return [orjson.loads(line) for line in ended.output.splitlines()]


def test_one_pass_looks_after_what_nobody_takes(store_url: str) -> None:
    leave_tasks(store_url, "orders", "bills")
    env = {"DW_DATABASE_URL": store_url}
    (report,) = reports(run(PASS, "--json", env=env))
    assert report["repaired_existing_tasks"] == 2
    assert (report["respect_throttle"], report["throttled"]) == (False, False)
    # Once more, without a word about JSON.
    ended = run(PASS, env=env)
    assert ended.status == 0
    assert ended.output.startswith("repaired 2 of 2 tasks, ")


def test_a_pass_about_some_tasks(store_url: str) -> None:
    ids = leave_tasks(store_url, "orders", "bills", "bills")
    env = {"DW_DATABASE_URL": store_url}
    for words, count in (
        (("--queue", "bills,none"), 2),
        (("--run-id", ids[0], "--run-id", "nope"), 1),
        (("--instance-id", "nope"), 0),
        (("--connection", "elsewhere"), 0),
        (("--connection", "default", "--queue", "orders"), 1),
    ):
        (report,) = reports(run(PASS, "--json", *words, env=env))
        assert report["repaired_existing_tasks"] == count, words
    assert report["connection"] == "default"
    assert report["queue"] == "orders"


def test_passes_of_a_loop_respect_the_throttle(store_url: str) -> None:
    leave_tasks(store_url, "orders")
    ended = run(
        *(PASS, "--loop", "--max-iterations", "3", "--sleep-seconds", "0.05", "--json"),
        env={
            "DW_DATABASE_URL": store_url,
            "DW_V2_TASK_REPAIR_LOOP_THROTTLE_SECONDS": "600",
        },
    )
    found = reports(ended)
    assert [report["throttled"] for report in found] == [False, True, True]
    assert [report["repaired_existing_tasks"] for report in found] == [1, 0, 0]
    throttled = run(PASS, "--respect-throttle", env={"DW_DATABASE_URL": store_url})
    assert throttled.output.startswith("throttled")


def test_a_loop_ends_when_it_is_told_to(sqlite_url: str) -> None:
    process = start(PASS, "--loop", "--json", env={"DW_DATABASE_URL": sqlite_url})
    assert process.stdout is not None
    assert orjson.loads(process.stdout.readline())["throttled"] is False
    process.send_signal(signal.SIGTERM)
    assert end(process).status == 0


def test_failures_show_in_the_status(store_url: str) -> None:
    leave_tasks(store_url, "orders")
    run_in_thread(execute(store_url, "drop table waits"))
    env = {"DW_DATABASE_URL": store_url}
    (report,) = reports(run(PASS, "--json", env=env), status=1)
    (failure,) = report["existing_task_failures"]
    assert failure["message"] == "backend_unavailable"
    ended = run(PASS, env=env)
    assert ended.status == 1
    assert f"failed: {failure['candidate_id']}: backend_unavailable" in ended.output


def test_an_unprepared_database_is_one_line(empty_store_url: str) -> None:
    complaint = run(PASS, env={"DW_DATABASE_URL": empty_store_url}).complaint
    assert "dwserver bootstrap" in complaint


def test_a_loop_outlives_a_database_that_fails(empty_store_url: str) -> None:
    words = (PASS, "--loop", "--max-iterations", "2", "--sleep-seconds", "0.05")
    ended = run(*words, env={"DW_DATABASE_URL": empty_store_url})
    assert ended.status == 1
    assert ended.errors.count("dwserver: ") == 2


def test_a_file_that_is_served_is_asked_for(
    sqlite_url: str, start_server: StartServer
) -> None:
    leave_tasks(sqlite_url, "orders")
    # The server's own deadline loops do not announce what nobody takes.
    server = start_server(sqlite_url, {"DW_V2_MATCHING_ROLE_QUEUE_WAKE": "0"})
    env = {"DW_DATABASE_URL": sqlite_url}
    assert "served" in run(PASS, env=env).complaint
    words = (PASS, "--json", "--server", server.base_url)
    (report,) = reports(run(*words, env={**env, "DW_AUTH_TOKEN": TEST_TOKEN}))
    assert report["repaired_existing_tasks"] == 1
    assert "401" in run(*words, env={**env, "DW_AUTH_TOKEN": "another"}).complaint
    nowhere = run(PASS, "--server", "http://127.0.0.1:9", env=env)
    assert "does not answer" in nowhere.complaint
    # What the node says about itself.
    client = operator(server.base_url, TEST_TOKEN)
    shown = [
        client.request("GET", path).expect(200)
        for path in ("/api/health", "/api/cluster/info", "/api/system/operator-metrics")
    ]
    for block in (
        shown[0]["topology"]["matching_role"],
        shown[1]["topology"]["matching_role"],
        shown[2]["operator_metrics"]["matching_role"],
    ):
        assert DEDICATED.items() <= block.items()


@pytest.mark.parametrize("word", ["--max-iterations=0", "--sleep-seconds=0"])
def test_nonsense_is_refused(word: str) -> None:
    assert run(PASS, "--loop", word).status == 2
