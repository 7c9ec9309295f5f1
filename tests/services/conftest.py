"""Two processes on one database, on every kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dwserver.store.api import Store
from dwserver.store.opening import open_store
from tests.support.small_server import SmallServer, small_server


@pytest.fixture
async def any_store(store_url: str) -> AsyncIterator[Store]:
    """An open store on a fresh database."""
    store = open_store(store_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def node(any_store: Store) -> AsyncIterator[SmallServer]:
    """The services of a node, with one registered worker for every type."""
    async with small_server(any_store) as server:
        await server.register()
        yield server


@pytest.fixture
async def second_node(any_store: Store) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    async with small_server(any_store, first_id=10**9) as server:
        yield server
