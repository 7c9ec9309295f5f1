"""An orderly stop under load: everything acknowledged is kept, polls are let go."""

from __future__ import annotations

import asyncio
import random

import aiohttp

from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import running_load
from tests.support.json_http import WORKER_HEADER
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.stored_state import read_state
from tests.support.waiting import eventually

IDLE_QUEUE = "idle"
IDLE_POLLS = 10
# Far longer than a stop may take: a poll that is answered was let go.
HOLD_SECONDS = 60
STOP_SECONDS = 45.0
END_SECONDS = 60.0
LONG_POLLS = {**SHORT_LEASES, "DW_WORKER_POLL_TIMEOUT": str(HOLD_SECONDS)}


async def hold_polls(session: aiohttp.ClientSession) -> list[tuple[int, object]]:
    """Status and task of polls on a queue where nothing happens."""
    body = {"worker_id": "idle", "task_queue": IDLE_QUEUE, "runtime": "python"}
    async with session.post("/api/worker/register", json=body) as response:
        assert response.status == 201

    async def poll(kind: str) -> tuple[int, object]:
        path = f"/api/worker/{kind}-tasks/poll"
        async with session.post(path, json=body) as response:
            return response.status, (await response.json())["task"]

    kinds = ("workflow", "activity")
    return await asyncio.gather(*(poll(kinds[n % 2]) for n in range(IDLE_POLLS)))


async def test_orderly_stop_under_load(
    start_server: StartServer,
    store_url: str,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    server = await asyncio.to_thread(start_server, store_url, LONG_POLLS)
    idle_session = aiohttp.ClientSession(
        server.base_url,
        headers={"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"},
    )
    async with (
        idle_session,
        running_load(server.base_url, TEST_TOKEN, client_log, choice) as load,
    ):
        polls = asyncio.create_task(hold_polls(idle_session))
        await load.after_requests(200)
        assert not polls.done()
        exit_code = await asyncio.to_thread(server.terminate, STOP_SECONDS)
        assert exit_code == 0, server.log_text()[-4000:]
        released = await eventually(
            lambda: polls.done() and polls.result(), what="end of the idle polls"
        )
        assert released == [(200, None)] * IDLE_POLLS
        server.start()
        await asyncio.to_thread(server.wait_ready)
        await load.finish(END_SECONDS)
    assert check(read_state(store_url), client_log) == []
