"""Fixtures: an open store on a fresh SQLite file, and the services of a node on it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dwserver.store.api import Store
from dwserver.store.opening import bootstrap, open_store
from tests.support.builders import a_namespace
from tests.support.databases import sqlite_url_of
from tests.support.probes import run_in_thread
from tests.support.small_server import SmallServer, small_server

FILE = "dw.sqlite"


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema and the default namespace, to be copied."""
    path = tmp_path_factory.mktemp("sqlite-file") / FILE
    run_in_thread(bootstrap(sqlite_url_of(path), namespace=a_namespace("default")))
    return path


@pytest.fixture
async def sqlite_store(sqlite_file: Path, tmp_path: Path) -> AsyncIterator[Store]:
    path = Path(shutil.copy(sqlite_file, tmp_path / FILE))
    store = open_store(sqlite_url_of(path))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def server(sqlite_store: Store) -> AsyncIterator[SmallServer]:
    """The services of a node, with one registered worker for every type."""
    async with small_server(sqlite_store) as server:
        await server.register()
        yield server
