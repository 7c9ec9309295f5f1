"""``dwserver activity-timeout-pass``: overdue activities end, here or by a server."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.cli.command import Ended, run
from tests.cli.left_undone import leave, overdue_activity
from tests.store.raw_sql import execute
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN, StartServer

PASS = "activity-timeout-pass"


def report_of(ended: Ended, *, status: int = 0) -> Any:
    assert ended.status == status, ended
    return orjson.loads(ended.output)


def test_what_is_overdue_ends_once(store_url: str) -> None:
    execution_id = leave(store_url, overdue_activity)
    env = {"DW_DATABASE_URL": store_url}
    named = run(PASS, "--execution-id", "nope", env=env)
    assert named.status == 0
    assert named.output.splitlines() == [
        "enforced 0 of 1 overdue activities, skipped 1, failed 0",
        "skipped: nope: execution_not_found",
    ]
    report = report_of(run(PASS, "--json", env=env))
    assert report["enforced"] == 1
    assert report["results"] == [
        {"execution_id": execution_id, "outcome": "enforced", "has_retry": False}
    ]
    assert run(PASS, env=env).output == (
        "enforced 0 of 0 overdue activities, skipped 0, failed 0\n"
    )


def test_failures_show_in_the_status(sqlite_url: str) -> None:
    execution_id = leave(sqlite_url, overdue_activity)
    run_in_thread(execute(sqlite_url, "drop table waits"))
    report = report_of(
        run(PASS, "--json", env={"DW_DATABASE_URL": sqlite_url}), status=1
    )
    assert report["results"] == [
        {
            "execution_id": execution_id,
            "outcome": "error",
            "reason": "backend_unavailable",
        }
    ]


@pytest.mark.full
def test_a_server_is_asked(postgres_url: str, start_server: StartServer) -> None:
    server = start_server(postgres_url)
    words = (PASS, "--json", "--server", server.base_url, "--execution-id", "nope")
    report = report_of(run(*words, env={"DW_AUTH_TOKEN": TEST_TOKEN}))
    assert (report["processed"], report["skipped"]) == (1, 1)
    many = [word for n in range(101) for word in ("--execution-id", f"a-{n}")]
    complaint = run(*words, *many, env={"DW_AUTH_TOKEN": TEST_TOKEN}).complaint
    assert "422" in complaint
    # Without a server the same rule holds.
    here = run(PASS, *many, env={"DW_DATABASE_URL": postgres_url}).complaint
    assert "100 items" in here


def test_a_database_that_is_not_there() -> None:
    url = "postgresql://dw:hunter2secret@127.0.0.1:9/dw"
    complaint = run(PASS, env={"DW_DATABASE_URL": url}).complaint
    assert "database did not start" in complaint
    assert "hunter2secret" not in complaint


def test_an_unprepared_database_is_one_line(empty_sqlite_url: str) -> None:
    complaint = run(PASS, env={"DW_DATABASE_URL": empty_sqlite_url}).complaint
    assert "dwserver bootstrap" in complaint


def test_nonsense_is_refused() -> None:
    assert run(PASS, "--limit", "0").status == 2
