"""Fixtures: a server and a worker for each SDK release and each database engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sdk.environments import (
    RELEASES,
    SdkEnvironment,
    SdkRelease,
    SdkUnavailable,
    provide,
)
from tests.sdk.processes import SdkPrograms, SdkWorker
from tests.support.databases import ENGINES, sqlite_url_of
from tests.support.json_http import JsonHttp, operator
from tests.support.postgres_databases import PostgresDatabases
from tests.support.server_process import ServerProcess

TOKEN = "sdk-token"


@dataclass(frozen=True, slots=True)
class Site:
    """A server with a worker of one SDK release on ``queue``."""

    sdk: SdkEnvironment
    programs: SdkPrograms
    worker: SdkWorker
    queue: str
    operator: JsonHttp


class Sites:
    """Starts servers and workers once in the session, when they are first asked for."""

    def __init__(
        self, databases: Callable[[str], str], folder: Path, running: ExitStack
    ) -> None:
        self._new_database = databases
        self._folder = folder
        self._running = running
        self._servers: dict[tuple[str, str | None], ServerProcess] = {}
        self._sites: dict[tuple[str, str], Site] = {}

    def site(self, engine: str, sdk: SdkEnvironment) -> Site:
        key = (engine, sdk.release.name)
        if key not in self._sites:
            self._sites[key] = self._make_site(engine, sdk)
        return self._sites[key]

    def _make_site(self, engine: str, sdk: SdkEnvironment) -> Site:
        base_url = self._server(engine, sdk.release.advertised).base_url
        programs = SdkPrograms(sdk, base_url=base_url, token=TOKEN)
        queue = f"sdk-{sdk.release.name}"
        log_path = self._folder / f"worker-{engine}-{sdk.release.name}.log"
        worker = programs.start_worker(queue, log_path)
        self._running.callback(worker.kill)
        return Site(sdk, programs, worker, queue, operator(base_url, TOKEN))

    def _server(self, engine: str, advertised: str | None) -> ServerProcess:
        key = (engine, advertised)
        if key not in self._servers:
            env = {
                "DW_DATABASE_URL": self._new_database(engine),
                "DW_AUTH_TOKEN": TOKEN,
            }
            if advertised is not None:
                env["DW_WORKER_PROTOCOL_VERSION"] = advertised
            log_path = self._folder / f"server-{engine}-{advertised}.log"
            server = ServerProcess(env, log_path=log_path)
            self._servers[key] = self._running.enter_context(server)
        return self._servers[key]


@pytest.fixture(scope="session")
def new_database(
    sqlite_template: Path,
    postgres_databases: PostgresDatabases,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], str]]:
    """URL of a new bootstrapped database of an engine, for the whole session."""
    with ExitStack() as dropping:

        def new(engine: str) -> str:
            if engine == "sqlite":
                copy = tmp_path_factory.mktemp("sdk-sqlite") / "database"
                return sqlite_url_of(
                    shutil.copytree(sqlite_template, copy) / "dw.sqlite"
                )
            url = postgres_databases.create(template=postgres_template)
            dropping.callback(postgres_databases.drop, url)
            return url

        yield new


@pytest.fixture(scope="session")
def sites(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sites]:
    with ExitStack() as running:
        yield Sites(new_database, tmp_path_factory.mktemp("sdk"), running)


def _marks(release: SdkRelease) -> list[pytest.MarkDecorator]:
    return [] if release.in_default_run else [pytest.mark.full]


@pytest.fixture(params=[pytest.param(r, id=r.name, marks=_marks(r)) for r in RELEASES])
def sdk(request: pytest.FixtureRequest) -> SdkEnvironment:
    """The environment of an SDK release, once for each of them."""
    release: SdkRelease = request.param
    try:
        return provide(release)
    except SdkUnavailable as error:
        pytest.fail(f"SDK {release.name} cannot be installed: {error}", pytrace=False)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(sites: Sites, engine: str, sdk: SdkEnvironment) -> Site:
    return sites.site(engine, sdk)
