"""A server that runs are taken from, and a fresh one that takes them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dwserver.store.opening import open_store
from tests.support.databases import sqlite_url_of
from tests.support.small_server import SmallServer, small_server


@pytest.fixture
async def source(sqlite_file: Path, tmp_path: Path) -> AsyncIterator[SmallServer]:
    """Where runs begin; its ids are those of the bundles."""
    path = Path(shutil.copy(sqlite_file, tmp_path / "source.sqlite"))
    store = open_store(sqlite_url_of(path))
    await store.open()
    async with small_server(store) as server:
        await server.register()
        yield server
    await store.close()


@pytest.fixture
async def target(store_url: str) -> AsyncIterator[SmallServer]:
    """Where they go on, on either database."""
    store = open_store(store_url)
    await store.open()
    async with small_server(store, first_id=10**9) as server:
        await server.register()
        yield server
    await store.close()


@pytest.fixture
async def taker(sqlite_file: Path, tmp_path: Path) -> AsyncIterator[SmallServer]:
    """A fresh one for what is decided before the database is asked."""
    path = Path(shutil.copy(sqlite_file, tmp_path / "taker.sqlite"))
    store = open_store(sqlite_url_of(path))
    await store.open()
    async with small_server(store, first_id=10**9) as server:
        await server.register()
        yield server
    await store.close()
