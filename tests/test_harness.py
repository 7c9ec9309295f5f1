"""The harness itself: databases that survive a crash, isolation, honest failures."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.support import substrate_choice
from tests.support.environment import SUBSTRATE_VARIABLE, forget_configuration
from tests.support.faulty_link import faulty_link
from tests.support.ports import LOOPBACK, free_port
from tests.support.postgres_databases import PostgresDatabases
from tests.support.probes import postgres_answers
from tests.support.server_process import ServerDied, ServerProcess
from tests.support.source_tree import ROOT
from tests.support.substrate import StoppablePostgres
from tests.support.substrate_choice import NoSubstrate
from tests.support.waiting import PATIENCE_SECONDS, eventually, wait_until


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


# What a session does: servers of the substrate, and a node on one of them.
A_RUN = """
import sys
from pathlib import Path
from tests.support.databases import bootstrap
from tests.support.server_process import ServerProcess
from tests.support.substrate import running_postgres, running_redis
from tests.support.substrate_choice import choose

substrate = choose()
with running_postgres(substrate) as postgres, running_redis(substrate) as redis:
    bootstrap(postgres.admin_dsn)
    configuration = {"DW_DATABASE_URL": postgres.admin_dsn, "DW_AUTH_DRIVER": "none"}
    with ServerProcess(configuration, log_path=Path(sys.argv[1])) as node:
        print(postgres.admin_dsn, redis.url, node.base_url, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def temp_folder() -> Iterator[Path]:
    """For a run's temp folders; unlike ``tmp_path`` open to other system users."""
    with TemporaryDirectory(prefix="dwserver-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "ended"])
def test_servers_end_with_the_run_that_started_them(
    temp_folder: Path, tmp_path: Path, is_killed: bool
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", A_RUN, tmp_path / "node.log"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temp_folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout is not None
        dsn, *urls = run.stdout.readline().split()
        addresses = [(url.hostname, url.port) for url in map(urlsplit, (dsn, *urls))]
        assert all(map(_accepts, addresses))
        if is_killed:
            run.kill()
        run.communicate()
    wait_until(
        lambda: not any(map(_accepts, addresses)) and not list(temp_folder.iterdir()),
        deadline_seconds=30.0,
        what="the end of PostgreSQL, Redis and the node",
    )


def _accepts(address: tuple[str | None, int | None]) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection(address, timeout=5.0):
            return True
    except ConnectionRefusedError:
        return False


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


# More turns of the event loop than it takes to let a client in.
TURNS = 12


async def test_faulty_link_lets_no_client_wait_whenever_it_drops() -> None:
    """Above all one that it has let in and has done nothing about yet."""
    clients = []
    with socket.create_server((LOOPBACK, 0)) as silent:
        async with faulty_link(LOOPBACK, silent.getsockname()[1]) as link:
            for turns in range(TURNS):
                clients.append(socket.create_connection((LOOPBACK, link.port)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                await link.drop()
    for client in clients:
        with client:
            client.settimeout(PATIENCE_SECONDS)
            assert client.recv(1) == b""


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
        "from dwserver.cli.local_cluster import binaries\n"
        "from tests.support import substrate_choice\n"
        f"binaries.POSTGRES_FOLDERS = {str(tmp_path / '*')!r}\n"
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
