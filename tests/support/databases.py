"""Fixtures: a fresh database for each test, on SQLite and on PostgreSQL.

``empty_store_url`` has no schema, ``store_url`` is a copy of a template that
``dwserver bootstrap`` has prepared once in the session. Both run a test once for each
engine. ``sqlite_url`` and ``postgres_url`` are bootstrapped databases of one engine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import clean_environment
from tests.support.postgres_databases import PostgresDatabases
from tests.support.source_tree import ROOT

ENGINES = ("sqlite", "postgres")
BOOTSTRAP_SECONDS = 90


def sqlite_url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def bootstrap(url: str) -> None:
    """Run ``dwserver bootstrap`` on a database; AssertionError with its output."""
    result = subprocess.run(
        [sys.executable, "-m", "dwserver", "bootstrap"],
        cwd=ROOT,
        env=clean_environment({"DW_DATABASE_URL": url}),
        capture_output=True,
        text=True,
        timeout=BOOTSTRAP_SECONDS,
        check=False,
    )
    assert result.returncode == 0, f"bootstrap failed:\n{result.stdout}{result.stderr}"


@pytest.fixture(scope="session")
def postgres_databases(postgres_admin_dsn: str) -> PostgresDatabases:
    """Maker of databases on the session's PostgreSQL."""
    return PostgresDatabases(postgres_admin_dsn)


@pytest.fixture(scope="session")
def postgres_template(postgres_databases: PostgresDatabases) -> str:
    """URL of the bootstrapped database that tests copy; never connect to it."""
    url = postgres_databases.create()
    bootstrap(url)
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the bootstrapped database file that tests copy."""
    folder = tmp_path_factory.mktemp("sqlite-template")
    bootstrap(sqlite_url_of(folder / "dw.sqlite"))
    return folder


@pytest.fixture
def postgres_url(
    postgres_databases: PostgresDatabases, postgres_template: str
) -> Iterator[str]:
    """A bootstrapped PostgreSQL database, dropped afterwards."""
    url = postgres_databases.create(template=postgres_template)
    yield url
    postgres_databases.drop(url)


@pytest.fixture
def empty_postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A PostgreSQL database without tables, dropped afterwards."""
    url = postgres_databases.create()
    yield url
    postgres_databases.drop(url)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A bootstrapped SQLite file."""
    folder = shutil.copytree(sqlite_template, tmp_path / "sqlite")
    return sqlite_url_of(folder / "dw.sqlite")


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return sqlite_url_of(tmp_path / "dw.sqlite")


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest) -> str:
    """A bootstrapped database, once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=ENGINES)
def empty_store_url(request: pytest.FixtureRequest) -> str:
    """A database without tables, once on each engine."""
    return str(request.getfixturevalue(f"empty_{request.param}_url"))
