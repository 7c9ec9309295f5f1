"""Each class in turn is killed, frozen or restarted under load.

Nothing that was acknowledged may be lost, nothing may be applied twice, and every
workflow must still come to its end. The clients repeat what gets no answer or a 5xx, as
the official SDK does, without end.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster, Report
from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import IN_FLIGHT, Load, running_load
from tests.support.server_process import ServerProcess
from tests.support.stored_state import read_state

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(300)]

SERVING = (
    ProcessClass.INGRESS_NODE,
    ProcessClass.CONTROL_PLANE_NODE,
    ProcessClass.MATCHING_NODE,
    ProcessClass.HISTORY_PROJECTION_NODE,
    ProcessClass.SCHEDULER_NODE,
)
WARM_REQUESTS = 300
END_SECONDS = 120.0
# Longer than three heartbeats: the others take a frozen node for gone.
FROZEN_SECONDS = 8.0


async def recovery(load: Load, node: ServerProcess) -> float:
    """Seconds from the start of a killed node until it is ready and work goes on."""
    began = time.monotonic()
    await asyncio.to_thread(node.start)
    await asyncio.to_thread(node.wait_ready)
    await load.after_requests(WARM_REQUESTS)
    return time.monotonic() - began


@pytest.fixture
def lone(new_cluster: NewCluster) -> Cluster:
    """A cluster with a single node of each class: nobody can stand in for it."""
    return new_cluster(environment=SHORT_LEASES)


@pytest.mark.parametrize("process_class", SERVING)
async def test_kill_of_the_only_node_of_a_class_loses_nothing(
    lone: Cluster,
    process_class: ProcessClass,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    node = lone.node(process_class)
    async with running_load(lone.base_url, TOKEN, client_log, choice) as load:
        await load.after_requests(WARM_REQUESTS)
        await asyncio.to_thread(node.kill)
        report(f"{process_class} killed, started again", await recovery(load, node))
        await load.finish(END_SECONDS)
    assert check(read_state(lone.settings.database_url), client_log) == []


@pytest.mark.parametrize("process_class", SERVING[1:])
async def test_a_frozen_node_that_wakes_up_changes_nothing_twice(
    lone: Cluster,
    process_class: ProcessClass,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    node = lone.node(process_class)
    async with running_load(lone.base_url, TOKEN, client_log, choice) as load:
        await load.after_requests(WARM_REQUESTS)
        node.suspend()
        try:
            # The leases of its tasks end meanwhile, and so does its membership.
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            node.resume()
        await load.after_requests(WARM_REQUESTS)
        await load.finish(END_SECONDS)
    assert check(read_state(lone.settings.database_url), client_log) == []


async def test_r5_a_rolling_restart_of_every_class_loses_nothing(
    new_cluster: NewCluster, client_log: ClientLog, choice: random.Random
) -> None:
    """Two nodes of each class; one at a time is restarted while the rest serves.
    Clients know one ingress only: its absence is all that they notice."""
    pair = new_cluster(counts=dict.fromkeys(SERVING, 2), environment=SHORT_LEASES)
    async with running_load(pair.base_url, TOKEN, client_log, choice) as load:
        await load.after_requests(WARM_REQUESTS)
        for process_class in SERVING:
            await asyncio.to_thread(pair.restart, process_class)
            await load.after_requests(WARM_REQUESTS)
        await load.finish(END_SECONDS)
        print(load.troubles)
    refused = [why for _, why in load.troubles.elements() if why.isdecimal()]
    assert len(refused) <= IN_FLIGHT, load.troubles
    assert check(read_state(pair.settings.database_url), client_log) == []
