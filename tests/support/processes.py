"""Fixtures: server processes that end with the test, or that tests share."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.databases import ENGINES, sqlite_url_of
from tests.support.json_http import operator
from tests.support.server_process import ServerProcess

TEST_TOKEN = "test-token"


class StartServer(Protocol):
    def __call__(
        self,
        database_url: str,
        env: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] = ("serve",),
    ) -> ServerProcess:
        """Start a node on a bootstrapped database and wait until it is ready.

        Its shared token is ``TEST_TOKEN``; ``env`` adds to its configuration.
        """
        ...


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers; they are killed when the test ends. Logs: ``server-N.log``."""
    with ExitStack() as servers:
        count = 0

        def start(
            database_url: str,
            env: Mapping[str, str] | None = None,
            *,
            command: Sequence[str] = ("serve",),
        ) -> ServerProcess:
            nonlocal count
            count += 1
            configuration = {
                "DW_DATABASE_URL": database_url,
                "DW_AUTH_TOKEN": TEST_TOKEN,
                **(env or {}),
            }
            return servers.enter_context(
                ServerProcess(
                    configuration,
                    log_path=tmp_path / f"server-{count}.log",
                    command=command,
                )
            )

        yield start


class CommonServers:
    """One server for each engine and configuration, for tests that keep to a namespace
    of their own (:func:`new_namespace`): to start one takes longer than most tests."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._life = ExitStack()
        self._servers: dict[tuple[str, frozenset[tuple[str, str]]], ServerProcess] = {}

    def on(self, engine: str, env: Mapping[str, str] | None = None) -> ServerProcess:
        """The server on SQLite or PostgreSQL (``ENGINES``) with these settings."""
        key = (engine, frozenset((env or {}).items()))
        if key not in self._servers:
            number = len(self._servers) + 1
            configuration = {
                "DW_DATABASE_URL": self._database(engine, number),
                "DW_AUTH_TOKEN": TEST_TOKEN,
                **(env or {}),
            }
            log = self._folder / f"server-{number}.log"
            server = ServerProcess(configuration, log_path=log)
            self._servers[key] = self._life.enter_context(server)
        return self._servers[key]

    def end(self) -> None:
        self._life.close()

    def _database(self, engine: str, number: int) -> str:
        template = self._request.getfixturevalue(f"{engine}_template")
        if engine == "sqlite":
            folder = shutil.copytree(template, self._folder / f"sqlite-{number}")
            return sqlite_url_of(folder / "dw.sqlite")
        databases = self._request.getfixturevalue("postgres_databases")
        # Gone with the session's PostgreSQL.
        url: str = databases.create(template=template)
        return url


@pytest.fixture(scope="session")
def common_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommonServers]:
    servers = CommonServers(request, tmp_path_factory.mktemp("common"))
    yield servers
    servers.end()


@pytest.fixture(params=ENGINES)
def common_server(
    request: pytest.FixtureRequest, common_servers: CommonServers
) -> ServerProcess:
    """A server that others use, too, once on each engine."""
    return common_servers.on(request.param)


def new_namespace(server: ServerProcess) -> str:
    """A namespace that nobody else uses."""
    name = f"test-{uuid.uuid4().hex}"
    administrator = operator(server.base_url, TEST_TOKEN)
    administrator.request("POST", "/api/namespaces", {"name": name}).expect(201)
    return name
