"""The server is killed at random moments under load and started again.

Nothing that it acknowledged may be lost, nothing may be applied twice, and every
workflow must still come to its end.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import running_load
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.stored_state import read_state

KILLS = 3
KILLS_IN_FULL = 20
REQUESTS_BETWEEN_KILLS = (30, 400)
END_SECONDS = 90.0


@pytest.mark.timeout(600)
async def test_kill_under_load_loses_nothing(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    store_url: str,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    kills = KILLS_IN_FULL if request.config.getoption("--full") else KILLS
    server = await asyncio.to_thread(start_server, store_url, SHORT_LEASES)
    async with running_load(server.base_url, TEST_TOKEN, client_log, choice) as load:
        for _ in range(kills):
            await load.after_requests(choice.randint(*REQUESTS_BETWEEN_KILLS))
            await asyncio.to_thread(server.kill)
            server.start()
            await asyncio.to_thread(server.wait_ready)
        await load.finish(END_SECONDS)
        assert load.repeated > 0, "no request was lost: the kills hit nothing"
    assert check(read_state(store_url), client_log) == []
