"""``dwserver schedule-pass``: it fires as the leader, or not at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.engine.wire_time import MICROS
from dwserver.store.opening import open_store
from tests.cli.command import Ended, end, run, start
from tests.cli.left_undone import broken_schedule, due_schedules, leave
from tests.support.json_http import operator
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.waiting import wait_until

PASS = "schedule-pass"


def report_of(ended: Ended, *, status: int = 0) -> Any:
    assert ended.status == status, ended
    return orjson.loads(ended.output)


def leadership(url: str) -> tuple[int, bool]:
    """Term of the last leader, and whether it still leads."""
    ended = run("scheduler", "status", "--json", env={"DW_DATABASE_URL": url})
    leader = orjson.loads(ended.output)["leader"]
    return leader["term"], leader["is_held"]


def test_what_is_due_is_fired_once(store_url: str) -> None:
    leave(store_url, lambda node: due_schedules(node, "hourly", "other"))
    env = {"DW_DATABASE_URL": store_url, "DW_SERVER_ID": "cron"}
    report = report_of(run(PASS, "--json", "--limit", "1", env=env))
    assert (report["leader"], report["term"]) == (None, 1)
    assert (report["processed"], report["fired"], report["failed"]) == (1, 1, 0)
    (row,) = report["results"]
    assert (row["namespace"], row["outcome"]) == ("default", "triggered")
    assert row["instance_id"].startswith(f"schedule:{row['schedule_id']}:")
    assert row["run_id"]
    assert leadership(store_url) == (1, False)
    text = run(PASS, env=env).output
    assert text == "fired 1 of 1 due schedules, skipped 0, failed 0\n"
    assert report_of(run(PASS, "--json", env=env))["processed"] == 0
    assert leadership(store_url) == (3, False)


@pytest.mark.full
def test_several_at_once_fire_each_once(postgres_url: str) -> None:
    names = [f"s-{n}" for n in range(20)]
    leave(postgres_url, lambda node: due_schedules(node, *names))
    env = {"DW_DATABASE_URL": postgres_url}
    processes = [start(PASS, "--json", env=env) for _ in range(3)]
    found = [report_of(end(process)) for process in processes]
    fired = [row["schedule_id"] for report in found for row in report["results"]]
    assert sorted(fired) == sorted(names)
    assert all(r["term"] or r["leader"]["term"] for r in found)


@pytest.mark.full
def test_while_another_leads_nothing_is_fired(postgres_url: str) -> None:
    leave(postgres_url, lambda node: due_schedules(node, "hourly"))

    async def lead() -> None:
        store = open_store(postgres_url)
        await store.open()
        hour = 3600 * MICROS
        assert await store.acquire_leadership("scheduler", "node-a/1", duration=hour)
        await store.close()

    run_in_thread(lead())
    env = {"DW_DATABASE_URL": postgres_url}
    report = report_of(run(PASS, "--json", env=env))
    assert report["leader"]["holder"] == "node-a/1"
    assert (report["term"], report["processed"], report["results"]) == (None, 0, [])
    assert run(PASS, env=env).output == ("nothing fired: node-a/1 leads in term 1\n")
    assert leadership(postgres_url) == (1, True)


def test_beside_a_node_that_leads(postgres_url: str, start_server: StartServer) -> None:
    leave(postgres_url, lambda node: due_schedules(node, "hourly"))
    env = {"DW_SCHEDULER_IN_PROCESS": "1", "DW_SERVER_ID": "node-a"}
    server = start_server(postgres_url, env)
    client = operator(server.base_url, TEST_TOKEN)

    def fires() -> int:
        shown = client.request("GET", "/api/schedules/hourly").expect(200)
        return int(shown["fires_count"])

    wait_until(lambda: fires() == 1, deadline_seconds=30, what="the node to fire")
    report = report_of(run(PASS, "--json", env={"DW_DATABASE_URL": postgres_url}))
    assert report["leader"]["holder"].startswith("node-a/")
    assert fires() == 1


def test_failures_show_in_the_status(sqlite_url: str) -> None:
    leave(sqlite_url, broken_schedule)
    ended = run(PASS, env={"DW_DATABASE_URL": sqlite_url})
    assert ended.status == 1
    counts, failed = ended.output.splitlines()
    assert counts == "fired 0 of 1 due schedules, skipped 0, failed 1"
    assert failed.startswith("failed: default/broken: ")


@pytest.mark.full
def test_a_file_that_is_served_has_its_leader(
    sqlite_url: str, start_server: StartServer
) -> None:
    start_server(sqlite_url)
    assert "served" in run(PASS, env={"DW_DATABASE_URL": sqlite_url}).complaint


def test_an_unprepared_database_is_one_line(empty_postgres_url: str) -> None:
    complaint = run(PASS, env={"DW_DATABASE_URL": empty_postgres_url}).complaint
    assert "dwserver bootstrap" in complaint
