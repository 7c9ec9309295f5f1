"""PostgreSQL goes away under load and comes back; the server stays."""

from __future__ import annotations

import asyncio
import random

from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import running_load
from tests.support.databases import bootstrap
from tests.support.postgres_databases import PostgresDatabases
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.server_process import ServerProcess
from tests.support.stored_state import read_state
from tests.support.substrate import StoppablePostgres
from tests.support.waiting import eventually

END_SECONDS = 60.0
UNAVAILABLE = 503


async def ready_becomes(server: ServerProcess, status: int) -> None:
    await eventually(
        lambda: asyncio.to_thread(lambda: server.ready_status() == status),
        deadline_seconds=30.0,
        what=f"/api/ready with {status}",
    )


async def test_database_stop_and_crash_under_load(
    start_server: StartServer,
    own_postgres: StoppablePostgres,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    url = PostgresDatabases(own_postgres.admin_dsn).create()
    await asyncio.to_thread(bootstrap, url)
    server = await asyncio.to_thread(start_server, url, SHORT_LEASES)
    pid = server.pid
    async with running_load(server.base_url, TEST_TOKEN, client_log, choice) as load:
        for leave in (own_postgres.stop, own_postgres.crash):
            await load.after_requests(choice.randint(100, 300))
            await asyncio.to_thread(leave)
            await ready_becomes(server, UNAVAILABLE)
            await asyncio.to_thread(own_postgres.start)
            await ready_becomes(server, 200)
        await load.finish(END_SECONDS)
        assert load.repeated > 0, "no request met the missing database"
    assert server.is_running
    assert server.pid == pid
    assert check(read_state(url), client_log) == []
