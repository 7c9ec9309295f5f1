"""``dwserver retention-pass``: old closed runs go, in all namespaces or in one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.cli.command import Ended, run
from tests.cli.left_undone import closed_run, leave
from tests.store.raw_sql import execute
from tests.support.json_http import operator
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.small_server import SmallServer

PASS = "retention-pass"


def reports(ended: Ended, *, status: int = 0) -> list[Any]:
    assert ended.status == status, ended
    return [orjson.loads(line) for line in ended.output.splitlines()]


async def two_namespaces(node: SmallServer) -> str:
    """A run of ``default`` that is old, and an empty namespace ``bills``."""
    await node.services.namespaces.create("bills", description=None, retention_days=1)
    return await closed_run(node)


def test_each_namespace_has_its_report(store_url: str) -> None:
    run_id = leave(store_url, two_namespaces)
    env = {"DW_DATABASE_URL": store_url}
    found = {row.pop("namespace"): row for row in reports(run(PASS, "--json", env=env))}
    assert found.keys() == {"bills", "default"}
    assert found["bills"]["processed"] == 0
    assert found["default"]["pruned"] == 1
    (row,) = found["default"]["results"]
    assert (row["run_id"], row["outcome"]) == (run_id, "pruned")
    assert row["history_events_deleted"] > 0
    # Nothing is left, and nothing counts it again.
    again = run(PASS, env=env)
    assert again.status == 0
    assert sorted(again.output.splitlines()) == [
        "bills: pruned 0 of 0 closed runs, skipped 0, failed 0",
        "default: pruned 0 of 0 closed runs, skipped 0, failed 0",
    ]


@pytest.mark.full
def test_a_pass_about_some_runs(postgres_url: str) -> None:
    ids = leave(postgres_url, some_runs)
    env = {"DW_DATABASE_URL": postgres_url}
    (report,) = reports(run(PASS, "--json", "--limit", "1", env=env))
    assert [row["run_id"] for row in report["results"]] == ids[:1]
    (report,) = reports(run(PASS, "--json", "--namespace", "Default", env=env))
    assert (report["namespace"], report["pruned"]) == ("default", 1)
    told = run(PASS, "--run-id", ids[2], "--run-id", "nope", env=env)
    assert told.output.splitlines() == [
        "default: pruned 0 of 2 closed runs, skipped 2, failed 0",
        f"skipped: {ids[2]}: run_not_terminal",
        "skipped: nope: run_not_found",
    ]
    complaint = run(PASS, "--namespace", "nowhere", env=env).complaint
    assert "'nowhere' does not exist" in complaint


async def some_runs(node: SmallServer) -> list[str]:
    """Two that closed long ago, and one that is open."""
    closed = []
    for name in ("first", "second"):
        closed.append(await closed_run(node, name))
        node.clock.advance(seconds=1)
    return [*closed, (await node.start("open")).run.id]


def test_failures_show_in_the_status(sqlite_url: str) -> None:
    run_id = leave(sqlite_url, closed_run)
    run_in_thread(execute(sqlite_url, "drop table waits"))
    ended = run(PASS, env={"DW_DATABASE_URL": sqlite_url})
    assert ended.status == 1
    assert f"failed: {run_id}: backend_unavailable" in ended.output


@pytest.mark.full
def test_a_file_that_is_served_is_asked_for(
    sqlite_url: str, start_server: StartServer
) -> None:
    server = start_server(sqlite_url)
    client = operator(server.base_url, TEST_TOKEN)
    client.request("POST", "/api/namespaces", {"name": "bills"}).expect(201)
    env = {"DW_DATABASE_URL": sqlite_url}
    assert "served" in run(PASS, env=env).complaint
    words = (PASS, "--json", "--server", server.base_url)
    allowed = {**env, "DW_ADMIN_TOKEN": TEST_TOKEN}
    found = reports(run(*words, "--run-id", "nope", env=allowed))
    assert [row["reason"] for row in found[0]["results"]] == ["run_not_found"]
    names = {report["namespace"] for report in reports(run(*words, env=allowed))}
    assert names == {"bills", "default"}
    assert "404" in run(*words, "--namespace", "nowhere", env=allowed).complaint
