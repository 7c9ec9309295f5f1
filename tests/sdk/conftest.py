"""Fixtures: a server and a worker for each SDK release and each database engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sdk.environments import (
    RELEASES,
    SdkEnvironment,
    SdkRelease,
    SdkUnavailable,
    provide,
)
from tests.sdk.matrix import Site, Sites
from tests.support.databases import ENGINES, sqlite_url_of
from tests.support.postgres_databases import PostgresDatabases

pytest.register_assert_rewrite("tests.sdk.verdict")


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


@pytest.fixture(scope="session")
def selected(request: pytest.FixtureRequest) -> frozenset[str]:
    """Scenarios of all selected tests that are parametrized with one."""
    calls = (getattr(item, "callspec", None) for item in request.session.items)
    return frozenset(
        call.params["scenario"] for call in calls if call and "scenario" in call.params
    )
