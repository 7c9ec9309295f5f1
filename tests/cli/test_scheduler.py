"""``dwserver scheduler status``, and the hand-over between two real nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.store.leadership import LeaderLease
from dwserver.store.opening import open_store
from tests.cli.command import run
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until


def status(url: str) -> Any:
    ended = run("scheduler", "status", "--json", env={"DW_DATABASE_URL": url})
    assert ended.status == 0, ended
    return orjson.loads(ended.output)


async def _lease(url: str) -> LeaderLease | None:
    store = open_store(url)
    await store.open()
    try:
        return await store.find_leader("scheduler")
    finally:
        await store.close()


def leader(url: str) -> str | None:
    lease: LeaderLease | None = run_in_thread(_lease(url))
    return lease.holder.split("/")[0] if lease and lease.is_held else None


def wait_for_leader(url: str, name: str) -> None:
    wait_until(lambda: leader(url) == name, deadline_seconds=20, what=f"{name} to lead")


def a_node(
    url: str, name: str, folder: Path, *, lease_seconds: int = 300
) -> ServerProcess:
    env = {
        "DW_DATABASE_URL": url,
        "DW_AUTH_TOKEN": TEST_TOKEN,
        "DW_SERVER_ID": name,
        "DW_SCHEDULER_IN_PROCESS": "1",
        "DW_SCHEDULER_LEASE_SECONDS": str(lease_seconds),
    }
    return ServerProcess(env, log_path=folder / f"{name}.log")


def test_nobody_has_led_yet(store_url: str) -> None:
    assert status(store_url) == {
        "leader": None,
        "schedules": {
            "active": 0,
            "paused": 0,
            "missed": 0,
            "oldest_overdue_at": None,
            "fires_total": 0,
            "failures_total": 0,
        },
    }
    text = run("scheduler", "status", env={"DW_DATABASE_URL": store_url}).output
    assert "nobody has led yet" in text


def test_an_unprepared_database_is_one_line(empty_store_url: str) -> None:
    ended = run("scheduler", "status", env={"DW_DATABASE_URL": empty_store_url})
    is_missing = "no database file" in ended.complaint
    assert is_missing or "dwserver bootstrap" in ended.complaint


def test_a_file_that_is_served_is_read(sqlite_url: str, tmp_path: Path) -> None:
    with a_node(sqlite_url, "only", tmp_path) as node:
        wait_until(
            lambda: status(sqlite_url)["leader"] is not None,
            deadline_seconds=20,
            what="the node to lead",
        )
        leads = status(sqlite_url)["leader"]
        assert leads["holder"].startswith("only/")
        assert (leads["term"], leads["is_held"]) == (1, True)
        node.terminate()
    assert status(sqlite_url)["leader"]["is_held"] is False


@pytest.mark.full
def test_a_node_that_stops_hands_over_at_once(
    postgres_url: str, tmp_path: Path
) -> None:
    # The lease is long: what follows sooner was handed over.
    with a_node(postgres_url, "first", tmp_path) as first:
        wait_for_leader(postgres_url, "first")
        with a_node(postgres_url, "second", tmp_path) as second:
            assert leader(postgres_url) == "first"
            first.terminate()
            wait_for_leader(postgres_url, "second")
            second.terminate()
    released = status(postgres_url)["leader"]
    assert released["term"] == 2
    assert (released["is_held"], released["expires_at"]) == (False, None)
    text = run("scheduler", "status", env={"DW_DATABASE_URL": postgres_url}).output
    assert "second/" in text


@pytest.mark.full
def test_a_node_that_is_killed_is_followed_when_its_lease_ends(
    postgres_url: str, tmp_path: Path
) -> None:
    with a_node(postgres_url, "first", tmp_path, lease_seconds=2) as first:
        wait_for_leader(postgres_url, "first")
        with a_node(postgres_url, "second", tmp_path, lease_seconds=2):
            first.kill()
            wait_for_leader(postgres_url, "second")
            first.start()
            first.wait_ready()
            assert leader(postgres_url) == "second"
