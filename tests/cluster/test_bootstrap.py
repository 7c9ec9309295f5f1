"""``dwserver bootstrap`` beside nodes that run: R1 and R2 of
``spec/topology-and-operations.md`` §7.2."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dwserver.topology.shapes import ProcessClass, Shape
from tests.cli.command import run
from tests.cluster.cluster import TOKEN, Cluster, ClusterSettings
from tests.cluster.conftest import NewCluster
from tests.cluster.rehearsal import ask, operator_of, seconds_until, work
from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import running_load
from tests.store.raw_sql import execute
from tests.support.json_http import JsonHttp
from tests.support.stored_state import read_state

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

REQUESTS = 100
READY_SECONDS = 30.0
END_SECONDS = 60.0


async def bootstrap(url: str) -> list[str]:
    """What it says."""
    ended = await asyncio.to_thread(run, "bootstrap", env={"DW_DATABASE_URL": url})
    assert ended.status == 0, ended
    return ended.output.splitlines()


async def test_r1_bootstrap_is_repeated_beside_nodes_that_serve(
    new_cluster: NewCluster, client_log: ClientLog, choice: random.Random
) -> None:
    """Also after its ledger was lost: what exists is adopted."""
    small = await asyncio.to_thread(
        lambda: new_cluster(
            shape=Shape.STANDALONE_SERVER,
            counts={ProcessClass.SERVER_HTTP_NODE: 1},
            environment=SHORT_LEASES,
        )
    )
    url = small.settings.database_url
    node = small.node(ProcessClass.SERVER_HTTP_NODE)
    async with running_load(small.base_url, TOKEN, client_log, choice) as load:
        await load.after_requests(REQUESTS)
        unchanged = await bootstrap(url)
        assert unchanged == ["the schema is up to date", "the namespace default exists"]
        await execute(url, "delete from schema_migrations")
        adopted = await bootstrap(url)
        assert adopted[-2:] == unchanged
        assert adopted[:-2]
        assert all(line.startswith("adopted ") for line in adopted[:-2])
        assert await bootstrap(url) == unchanged
        await load.after_requests(REQUESTS)
        assert await asyncio.to_thread(node.ready_status) == 200
        await load.finish(END_SECONDS)
        assert load.repeated == 0, "a request failed because of the bootstrap"
    assert check(read_state(url), client_log) == []


@pytest.fixture
def early(empty_postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Cluster]:
    """Nodes that were started before anybody prepared their database."""
    settings = ClusterSettings(
        database_url=empty_postgres_url,
        redis_url=redis_url,
        shape=Shape.STANDALONE_SERVER,
        counts={ProcessClass.SERVER_HTTP_NODE: 2, ProcessClass.SCHEDULER_NODE: 1},
        environment=SHORT_LEASES,
    )
    cluster = Cluster(settings, folder=tmp_path)
    try:
        for node in cluster.nodes.values():
            node.start()
        yield cluster
    finally:
        cluster.kill()


async def test_r2_nodes_that_start_too_early_wait_for_the_bootstrap(
    early: Cluster, client_log: ClientLog, choice: random.Random
) -> None:
    async def all_say(status: int) -> float:
        def agreed() -> bool:
            return all(node.ready_status() == status for node in early.nodes.values())

        return await seconds_until(
            lambda: asyncio.to_thread(agreed),
            what=f"readiness {status} of all",
            deadline_seconds=READY_SECONDS,
        )

    await all_say(503)
    api = early.node(ProcessClass.SERVER_HTTP_NODE)
    for node in early.nodes.values():
        (await ask(JsonHttp(node.base_url), "GET", "/api/health")).expect(200)
    body = {"worker_id": "w", "task_queue": "q", "runtime": "python"}
    for refused in (
        await ask(operator_of(api), "GET", "/api/workflows"),
        await ask(operator_of(api), "POST", "/api/workflows", {"workflow_type": "t"}),
        await work(api, "register", body),
    ):
        assert refused.expect(503)["reason"] == "workflow_v2_blocked"
    pids = {name: node.pid for name, node in early.nodes.items()}
    await bootstrap(early.settings.database_url)
    await all_say(200)
    async with running_load(early.base_url, TOKEN, client_log, choice) as load:
        await load.after_requests(REQUESTS)
        await load.finish(END_SECONDS)
    assert check(read_state(early.settings.database_url), client_log) == []
    assert {name: node.pid for name, node in early.nodes.items()} == pids
    assert all(node.is_running for node in early.nodes.values())
