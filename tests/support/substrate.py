"""Fixtures: PostgreSQL and Redis, of the session or of one test, on any substrate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from tests.support import containers, substrate_choice
from tests.support.local_servers import LocalPostgres, LocalRedis
from tests.support.substrate_choice import NoSubstrate, Substrate


class StoppablePostgres(Protocol):
    """A running server whose data and address outlive its stops."""

    @property
    def admin_dsn(self) -> str:
        """Superuser on the maintenance database."""
        ...

    def stop(self) -> None:
        """Orderly shutdown."""
        ...

    def crash(self) -> None:
        """End it at once; what was committed is still there after ``start``."""
        ...

    def start(self) -> None:
        """Run it again and wait until it answers."""
        ...

    def dispose(self) -> None:
        """Stop it and delete its data; nothing when that has been done."""
        ...

    def standby(self) -> AbstractContextManager[StoppablePostgres]:
        """A server that begins as a copy of this one and follows it by streaming; see
        :mod:`tests.support.replication`."""
        ...


def running_postgres(
    substrate: Substrate,
) -> AbstractContextManager[StoppablePostgres]:
    """A fresh PostgreSQL, gone at the end."""
    if substrate is Substrate.CONTAINERS:
        return containers.PostgresContainer()
    return LocalPostgres()


class StoppableRedis(Protocol):
    """A running server that keeps nothing, but its address."""

    @property
    def url(self) -> str: ...

    def crash(self) -> None:
        """End it at once."""
        ...

    def start(self) -> None:
        """Run it again, empty, and wait until it answers."""
        ...

    def suspend(self) -> None:
        """Keep its connections and answer nothing."""
        ...

    def resume(self) -> None: ...


def running_redis(substrate: Substrate) -> AbstractContextManager[StoppableRedis]:
    """A fresh Redis, gone at the end."""
    if substrate is Substrate.CONTAINERS:
        return containers.RedisContainer()
    return LocalRedis()


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
    with running_postgres(substrate) as server:
        yield server.admin_dsn


@pytest.fixture
def own_postgres(substrate: Substrate) -> Iterator[StoppablePostgres]:
    """A PostgreSQL for one test, which it may stop and crash."""
    with running_postgres(substrate) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(substrate: Substrate) -> Iterator[str]:
    """URL of the session's Redis, shared by tests: use keys of your own."""
    with running_redis(substrate) as server:
        yield server.url


@pytest.fixture
def own_redis(substrate: Substrate) -> Iterator[StoppableRedis]:
    """A Redis for one test, which it may stop, freeze and empty."""
    with running_redis(substrate) as server:
        yield server
