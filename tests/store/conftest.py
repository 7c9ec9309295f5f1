"""Every test that asks for ``store`` runs once on each database.

The templates are prepared by the Store itself here, so that this suite can find its
faults without the command line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dwserver.store.api import Store
from dwserver.store.opening import bootstrap, open_store
from tests.support.databases import sqlite_url_of
from tests.support.postgres_databases import PostgresDatabases
from tests.support.probes import run_in_thread


@pytest.fixture(scope="session")
def postgres_template(postgres_databases: PostgresDatabases) -> str:
    """URL of the bootstrapped database that tests copy; never connect to it."""
    url = postgres_databases.create()
    run_in_thread(bootstrap(url))
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the bootstrapped database file that tests copy."""
    folder = tmp_path_factory.mktemp("sqlite-template")
    run_in_thread(bootstrap(sqlite_url_of(folder / "dw.sqlite")))
    return folder


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store on a fresh database."""
    store = open_store(store_url)
    await store.open()
    yield store
    await store.close()
