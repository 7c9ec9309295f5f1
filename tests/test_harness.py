"""The harness itself: databases that survive a crash, isolation, honest failures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.support import substrate_choice
from tests.support.environment import SUBSTRATE_VARIABLE, forget_configuration
from tests.support.ports import free_port
from tests.support.postgres_databases import PostgresDatabases
from tests.support.probes import postgres_answers
from tests.support.server_process import ServerDied, ServerProcess
from tests.support.source_tree import ROOT
from tests.support.substrate import StoppablePostgres
from tests.support.substrate_choice import NoSubstrate
from tests.support.waiting import eventually, wait_until


async def _execute(dsn: str, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        rows: list[asyncpg.Record] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


@pytest.mark.parametrize("way", ["stop", "crash"])
async def test_own_postgres_keeps_address_and_data(
    own_postgres: StoppablePostgres, way: str
) -> None:
    dsn = own_postgres.admin_dsn
    await _execute(dsn, "create table kept (id int)", "insert into kept values (7)")
    getattr(own_postgres, way)()
    assert not postgres_answers(dsn)
    own_postgres.start()
    rows = await _execute(dsn, "select id from kept")
    assert [row["id"] for row in rows] == [7]


def test_own_postgres_is_gone_after_dispose(own_postgres: StoppablePostgres) -> None:
    own_postgres.dispose()
    assert not postgres_answers(own_postgres.admin_dsn)
    own_postgres.dispose()


async def test_postgres_is_durable_and_recent(postgres_admin_dsn: str) -> None:
    rows = await _execute(
        postgres_admin_dsn,
        "select current_setting('fsync') as fsync,"
        " current_setting('server_version_num')::int as version",
    )
    assert rows[0]["fsync"] == "on"
    assert rows[0]["version"] >= 130000


async def test_postgres_databases_copies_are_independent(
    postgres_databases: PostgresDatabases,
) -> None:
    template = postgres_databases.create()
    await _execute(template, "create table t (id int)", "insert into t values (1)")
    copy = postgres_databases.create(template=template)
    await _execute(copy, "insert into t values (2)")
    assert len(await _execute(copy, "select id from t")) == 2
    assert len(await _execute(template, "select id from t")) == 1
    for url in (template, copy):
        postgres_databases.drop(url)
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(url)


async def test_redis_is_recent(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        info = await client.info("server")
    assert int(str(info["redis_version"]).split(".")[0]) >= 6


def test_free_port_never_repeats() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)


async def test_eventually_returns_the_first_true_value() -> None:
    answers = iter([0, None, 3])
    assert await eventually(lambda: next(answers)) == 3


async def test_eventually_reports_the_last_value() -> None:
    async def still_empty() -> list[int]:
        return []

    with pytest.raises(AssertionError, match=r"queue filled .* last value: \[\]"):
        await eventually(still_empty, deadline_seconds=0.0, what="queue filled")


def test_wait_until_reports_the_last_value() -> None:
    with pytest.raises(AssertionError, match="last value: 0"):
        wait_until(lambda: 0, deadline_seconds=0.0)


def test_server_process_that_dies_shows_its_log(tmp_path: Path) -> None:
    server = ServerProcess(
        {}, log_path=tmp_path / "server.log", command=("no-such-command",)
    )
    with pytest.raises(ServerDied) as caught, server:
        pytest.fail("a server that cannot start became ready")
    assert server.log_text().strip() in str(caught.value)
    assert not server.is_running


def test_substrate_choice_unknown_word_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SUBSTRATE_VARIABLE, "cloud")
    with pytest.raises(NoSubstrate, match="auto, local or containers"):
        substrate_choice.choose()


def test_substrate_choice_names_everything_missing(tmp_path: Path) -> None:
    code = (
        "from tests.support import local_servers, substrate_choice\n"
        f"local_servers.POSTGRES_FOLDERS = {str(tmp_path / '*')!r}\n"
        "substrate_choice.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    for wanted in ("PostgreSQL >= 13", "Redis >= 6", "Docker engine"):
        assert wanted in result.stderr


def test_forget_configuration_spares_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DW_AUTH_TOKEN", "DB_HOST", "SERVER_PORT", "UNRELATED"):
        monkeypatch.setenv(name, "value")
    forget_configuration()
    assert "UNRELATED" in os.environ
    assert not {"DW_AUTH_TOKEN", "DB_HOST", "SERVER_PORT"} & set(os.environ)
