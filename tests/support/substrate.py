"""Fixtures: one PostgreSQL and one Redis for the session, started when first asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import containers, substrate_choice
from tests.support.local_servers import LocalPostgres, LocalRedis
from tests.support.substrate_choice import NoSubstrate, Substrate


@pytest.fixture(scope="session")
def substrate() -> Substrate:
    """Where PostgreSQL and Redis of this session come from."""
    try:
        return substrate_choice.choose()
    except NoSubstrate as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def postgres_admin_dsn(substrate: Substrate) -> Iterator[str]:
    """Superuser DSN of the session's PostgreSQL."""
    if substrate is Substrate.CONTAINERS:
        with containers.postgres_container() as dsn:
            yield dsn
    else:
        with LocalPostgres() as server:
            yield server.admin_dsn


@pytest.fixture(scope="session")
def redis_url(substrate: Substrate) -> Iterator[str]:
    """URL of the session's Redis, shared by tests: use keys of your own."""
    if substrate is Substrate.CONTAINERS:
        with containers.redis_container() as url:
            yield url
    else:
        with LocalRedis() as server:
            yield server.url
