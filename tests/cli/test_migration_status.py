"""``dwserver migration-status``: what the database has and what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from dwserver.store.migrations import load_migrations
from tests.cli.command import Ended, run
from tests.store.raw_sql import execute, forget_migration
from tests.support.ports import LOOPBACK, free_port
from tests.support.probes import run_in_thread
from tests.support.processes import StartServer

STATUS = "migration-status"
NAMES = [migration.name for migration in load_migrations("dwserver.store.sqlite")]
NEWER = "insert into schema_migrations values ('9999_pre_later', 0)"
PASSWORD = "hunter2secret"


def status(url: str, *words: str) -> Ended:
    return run(STATUS, *words, env={"DW_DATABASE_URL": url})


def report_of(ended: Ended, *, exits: int) -> Any:
    assert ended.status == exits, ended
    return orjson.loads(ended.output)


def test_all_are_there(store_url: str) -> None:
    report = report_of(status(store_url, "--json"), exits=0)
    assert report["is_current"] is True
    assert report["missing_tables"] == []
    assert report["migrations"] == [
        {"name": name, "state": "applied"} for name in NAMES
    ]
    assert "@" not in report["database"]
    text = status(store_url).output.splitlines()
    assert text[-1] == "the schema is up to date"
    assert [line.split() for line in text[1:-1]] == [["applied", n] for n in NAMES]


def test_what_is_missing_and_what_is_newer(store_url: str) -> None:
    run_in_thread(forget_migration(store_url, NAMES[-1]))
    run_in_thread(execute(store_url, NEWER))
    report = report_of(status(store_url, "--json"), exits=1)
    assert report["is_current"] is False
    states = {row["name"]: row["state"] for row in report["migrations"]}
    assert list(states) == [*NAMES, "9999_pre_later"]
    assert states["9999_pre_later"] == "unknown"
    assert states[NAMES[-1]] in ("adoptable", "pending")
    ended = status(store_url)
    assert ended.status == 1
    assert "newer release" in ended.output


def test_a_newer_one_alone(sqlite_url: str) -> None:
    run_in_thread(execute(sqlite_url, NEWER))
    assert report_of(status(sqlite_url, "--json"), exits=1)["is_current"] is False


def test_a_table_that_is_gone(sqlite_url: str) -> None:
    run_in_thread(execute(sqlite_url, "drop table failures"))
    ended = status(sqlite_url)
    assert ended.status == 1
    assert "failures" in ended.output


def test_a_database_without_tables(empty_postgres_url: str) -> None:
    report = report_of(status(empty_postgres_url, "--json"), exits=1)
    assert {row["state"] for row in report["migrations"]} == {"pending"}


def test_a_file_that_is_served_is_read(
    sqlite_url: str, start_server: StartServer
) -> None:
    start_server(sqlite_url)
    assert status(sqlite_url).status == 0


def test_a_database_that_cannot_be_read(postgres_url: str, tmp_path: Path) -> None:
    missing = status(f"sqlite:///{tmp_path}/none.sqlite")
    assert "no database file" in missing.complaint
    away = status(f"postgresql://dw:{PASSWORD}@{LOOPBACK}:{free_port()}/dw")
    address = postgres_url.rpartition("@")[2]
    refused = status(f"postgresql://nobody:{PASSWORD}@{address}")
    for ended in (away, refused):
        assert PASSWORD not in ended.complaint
