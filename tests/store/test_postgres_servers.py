"""A database that is on one of several servers, now on this one, then on that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from dwserver.store.api import StoreUnavailable
from dwserver.store.postgres import PostgresStore, bootstrap, servers
from dwserver.store.postgres.servers import Server, Servers, servers_of
from tests.support.builders import NOON, a_namespace
from tests.support.faulty_link import faulty_link
from tests.support.ports import LOOPBACK, free_port
from tests.support.postgres_databases import PostgresDatabases
from tests.support.replication import promote, wait_for_the_standby
from tests.support.substrate import StoppablePostgres
from tests.support.waiting import eventually

TIMEOUT = 30.0
CACHES = pytest.mark.parametrize("cache", [100, 0], ids=["sessions", "pooler"])


def address(dsn: str) -> str:
    return urlsplit(dsn).netloc.rpartition("@")[2]


def on(hosts: str, dsn: str) -> str:
    """The database of ``dsn`` on other hosts."""
    parts = urlsplit(dsn)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{hosts}"))


@asynccontextmanager
async def opened(
    dsn: str, *, cache: int = 100, timeout_seconds: float = TIMEOUT
) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(
        dsn,
        pool_size=2,
        writers=1,
        statement_cache_size=cache,
        command_timeout_seconds=timeout_seconds,
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def test_each_server_has_user_database_and_options_of_all() -> None:
    assert servers_of("postgresql://u:p%40@a,b:5433,[::1]/d?sslmode=disable") == (
        Server("a", "postgresql://u:p%40@a/d?sslmode=disable"),
        Server("b:5433", "postgresql://u:p%40@b:5433/d?sslmode=disable"),
        Server("[::1]", "postgresql://u:p%40@[::1]/d?sslmode=disable"),
    )


@pytest.mark.parametrize(
    "dsn", ["postgresql://a:1/d", "postgresql:///d?host=/run/pg", "postgresql://a/d"]
)
def test_a_server_alone_keeps_its_url(dsn: str) -> None:
    [server] = servers_of(dsn)
    assert server.dsn == dsn


@CACHES
async def test_servers_that_say_nothing_or_refuse_are_passed_by(
    empty_postgres_url: str, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "ATTEMPT_SECONDS", 0.5)
    arrived: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, w: arrived.append(w), LOOPBACK, 0)
    silent_port = silent.sockets[0].getsockname()[1]
    own = address(empty_postgres_url)
    hosts = f"{LOOPBACK}:{silent_port},{LOOPBACK}:{free_port()},{own}"
    url = on(hosts, empty_postgres_url)
    try:
        await bootstrap(url)
        async with opened(url, cache=cache) as store:
            await store.ping()
            assert await store.create_namespace(a_namespace("orders"))
            asked = len(arrived)
            # Those who connect later begin with the server that was found.
            await asyncio.gather(*(store.ping() for _ in range(8)))
            assert await store.find_namespace("orders") == a_namespace("orders")
        # Once by the bootstrap, once by the store.
        assert asked == len(arrived) == 2
    finally:
        silent.close()
        for writer in arrived:
            writer.close()


async def test_what_is_wrong_with_the_servers_is_told(empty_postgres_url: str) -> None:
    own = address(empty_postgres_url)
    missing = on(f"{LOOPBACK}:{free_port()},{own}", empty_postgres_url) + "_missing"
    with pytest.raises(ConnectionRefusedError):
        await Servers(missing).connect(timeout=TIMEOUT)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await Servers(on(f"{own},{own}", missing)).connect(timeout=TIMEOUT)
    async with opened(missing) as store:
        with pytest.raises(StoreUnavailable):
            await store.ping()


@CACHES
async def test_servers_that_take_no_writes_are_not_used(
    empty_postgres_url: str, cache: int
) -> None:
    await bootstrap(empty_postgres_url)
    connection = await asyncpg.connect(empty_postgres_url)
    name = urlsplit(empty_postgres_url).path.strip("/")
    await connection.execute(
        f'alter database "{name}" set default_transaction_read_only = on'
    )
    await connection.close()
    own = address(empty_postgres_url)
    url = on(f"{own},{own}", empty_postgres_url)
    async with opened(url, cache=cache) as store:
        with pytest.raises(StoreUnavailable) as caught:
            await store.list_namespaces()
    assert not caught.value.is_applied_unknown


@pytest.mark.full
@pytest.mark.parametrize(
    ("cache", "has_vanished"),
    [(100, False), (100, True), (0, False)],
    ids=["crashed", "vanished", "crashed-pooler"],
)
async def test_a_promoted_standby_is_found_without_a_changed_url(
    own_postgres: StoppablePostgres, cache: int, has_vanished: bool
) -> None:
    database = PostgresDatabases(own_postgres.admin_dsn).create()
    primary = urlsplit(database)
    assert primary.port is not None
    with own_postgres.standby() as standby:
        wait_for_the_standby(own_postgres.admin_dsn)
        async with faulty_link(LOOPBACK, primary.port) as link:
            hosts = f"{address(standby.admin_dsn)},{LOOPBACK}:{link.port}"
            url = on(hosts, database)
            await bootstrap(url)
            async with opened(url, cache=cache, timeout_seconds=3.0) as store:
                assert await store.create_namespace(a_namespace("before"))
                if has_vanished:
                    link.freeze()
                await asyncio.to_thread(own_postgres.crash)
                await asyncio.to_thread(promote, standby.admin_dsn)

                async def is_found() -> bool:
                    try:
                        await store.ping()
                    except StoreUnavailable:
                        return False
                    return True

                await eventually(is_found, what="the promoted standby")
                assert await store.find_namespace("before") is not None
                changed = await store.update_namespace(
                    "before", retention_days=9, at=NOON
                )
                assert changed is not None
            # Nothing is pending on a server with the schema.
            assert (await bootstrap(url)).applied == ()
