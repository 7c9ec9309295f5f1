"""Redis for tests: the session's, emptied, alone or behind a link that can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.coordination.stage import CountingRedis
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.ports import LOOPBACK


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[CountingRedis]:
    """A connection to an empty Redis."""
    connection = CountingRedis(redis_url)
    await connection.execute("FLUSHDB")
    yield connection
    await connection.close()


@pytest.fixture
async def link(redis: CountingRedis, redis_url: str) -> AsyncIterator[FaultyLink]:
    url = urlsplit(redis_url)
    assert url.hostname is not None
    assert url.port is not None
    async with faulty_link(url.hostname, url.port) as link:
        yield link


@pytest.fixture
def link_url(link: FaultyLink) -> str:
    return f"redis://{LOOPBACK}:{link.port}/0"
