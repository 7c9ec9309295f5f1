"""Redis under a working cluster goes away, forgets everything, or says nothing.

HA row "Redis failover" (``spec/topology-and-operations.md`` §7.3): only wake signals
are lost. No request fails because of it, readiness stays 200 with warnings, queues with
caps report ``unavailable``, queries are refused, everything else goes on by looking.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster, Report
from tests.cluster.rehearsal import (
    ask,
    operator_of,
    seconds_until,
    warnings_of,
    watching_readiness,
    work,
)
from tests.coordination.stage import CountingRedis
from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import running_load
from tests.durability.plans import PLANS, decide
from tests.support.json_http import Answer
from tests.support.stored_state import read_state
from tests.support.substrate import StoppableRedis
from tests.support.waiting import eventually
from tests.support.wrapper_payloads import wrapper_blob

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

WARM_REQUESTS = 300
END_SECONDS = 60.0
# The pauses of the reconnects end within 2 s; the rest is for a busy machine.
BOUND_SECONDS = 10.0
CAPPED = "capped"
CAPS = '{"capped": {"workflow_tasks": {"max_active_leases": 1}}}'
DEGRADED = {
    "cache",
    "backend_capabilities",
    "long_poll_wake_acceleration",
}
"""The checks of readiness that warn without Redis."""


@pytest.fixture
def cluster(new_cluster: NewCluster, own_redis: StoppableRedis) -> Cluster:
    """One node of each class on a Redis that may fail."""
    return new_cluster(
        redis_url=own_redis.url,
        environment={**SHORT_LEASES, "DW_TASK_QUEUE_ADMISSION_OVERRIDES": CAPS},
    )


@dataclass(frozen=True, slots=True)
class Sideline:
    """What a cluster does on the queue that has caps, apart from the load."""

    cluster: Cluster

    async def prepare(self) -> None:
        """A worker and a run, whose first task is not polled yet."""
        body = {"worker_id": "w", "task_queue": CAPPED, "runtime": "python"}
        (await work(self.cluster.base_url, "register", body)).expect(201)
        run = {
            "workflow_id": "asked",
            "workflow_type": "durability.direct",
            "task_queue": CAPPED,
        }
        (await self._control("POST", "/api/workflows", run)).expect(201)

    async def poll(self, kind: str = "workflow") -> Any:
        """The answer of a short poll."""
        body = {"worker_id": "w", "task_queue": CAPPED, "timeout_seconds": 1}
        answer = await work(self.cluster.base_url, f"{kind}-tasks/poll", body)
        return answer.expect(200)

    async def finish(self) -> None:
        """The only task is admitted to its queue, and completed."""
        polled = await self.poll()
        assert polled["poll_status"] == "leased", polled
        task = polled["task"]
        completion = {
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": decide(PLANS["durability.direct"], []).commands,
        }
        path = f"workflow-tasks/{task['task_id']}/complete"
        (await work(self.cluster.base_url, path, completion)).expect(200)

    async def query(self) -> Answer:
        return await self._control("POST", "/api/workflows/asked/query/state", {})

    async def answered_query(self, asked: asyncio.Task[Answer]) -> None:
        """Its task is polled until it comes, and answered."""
        while (task := (await self.poll("query"))["task"]) is None:
            assert not asked.done(), asked.result()
        result = {
            "lease_owner": task["lease_owner"],
            "query_task_attempt": task["query_task_attempt"],
            "result": "open",
            "result_envelope": {"codec": "avro", "blob": wrapper_blob("open")},
        }
        path = f"query-tasks/{task['query_task_id']}/complete"
        (await work(self.cluster.base_url, path, result)).expect(200)
        assert (await asked).expect(200)["result"] == "open"

    async def _control(self, method: str, path: str, body: object) -> Answer:
        edge = self.cluster.of_class(ProcessClass.INGRESS_NODE)[0]
        return await ask(operator_of(edge), method, path, body)


Act = Callable[[StoppableRedis], None]
OUTAGES: dict[str, tuple[Act, Act]] = {
    "killed": (lambda redis: redis.crash(), lambda redis: redis.start()),
    "frozen": (lambda redis: redis.suspend(), lambda redis: redis.resume()),
}


@pytest.mark.parametrize("how", OUTAGES)
async def test_ha_redis_failover_costs_latency_only(
    cluster: Cluster,
    own_redis: StoppableRedis,
    how: str,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """Redis is away for some seconds, then back and empty (killed) or not (frozen)."""
    leave, return_ = OUTAGES[how]
    nodes = [*cluster.nodes.values()]
    sideline = Sideline(cluster)

    async def all_warn(expected: set[str]) -> bool:
        return all([await warnings_of(node) == expected for node in nodes])

    async with (
        watching_readiness(nodes) as seen,
        running_load(cluster.base_url, TOKEN, client_log, choice) as load,
    ):
        await sideline.prepare()
        await load.after_requests(WARM_REQUESTS)
        assert await all_warn(set())
        leave(own_redis)
        try:
            took = await seconds_until(lambda: all_warn(DEGRADED), what="warnings")
            report(f"redis {how}, noticed by every node", took)
            assert (await sideline.poll())["poll_status"] == "unavailable"
            refused = (await sideline.query()).expect(503)
            assert refused["reason"] == "query_task_queue_unavailable"
            await load.after_requests(WARM_REQUESTS)
        finally:
            return_(own_redis)
        took = await seconds_until(lambda: all_warn(set()), what="an end of warnings")
        report(f"redis {how} and back, whole again", took, bound_seconds=BOUND_SECONDS)
        await sideline.answered_query(asyncio.create_task(sideline.query()))
        await sideline.finish()
        await load.after_requests(WARM_REQUESTS)
        await load.finish(END_SECONDS)
    assert not load.troubles, "a request met the outage"
    assert {status for _, status in seen} == {200}
    for node in nodes:
        assert node.log_text().count('"redis_lost"') == 1, node.log_path
    assert check(read_state(cluster.settings.database_url), client_log) == []


async def test_a_redis_that_forgets_everything_is_not_missed(
    cluster: Cluster,
    own_redis: StoppableRedis,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """FLUSHALL again and again; also while a query waits for its worker."""
    sideline, nodes = Sideline(cluster), [*cluster.nodes.values()]
    redis = CountingRedis(own_redis.url)
    async with (
        watching_readiness(nodes) as seen,
        running_load(cluster.base_url, TOKEN, client_log, choice) as load,
    ):
        await sideline.prepare()
        for _ in range(5):
            await load.after_requests(WARM_REQUESTS // 2)
            await redis.execute("FLUSHALL")
        asked = asyncio.create_task(sideline.query())
        await eventually(lambda: redis.execute("DBSIZE"))
        await redis.execute("FLUSHALL")
        began = time.monotonic()
        await sideline.answered_query(asked)
        report("query forgotten by redis, answered", time.monotonic() - began)
        await sideline.finish()
        await load.finish(END_SECONDS)
    await redis.close()
    assert not load.troubles, "a request met the loss"
    assert {status for _, status in seen} == {200}
    assert [await warnings_of(node) for node in nodes] == [set()] * len(nodes)
    assert check(read_state(cluster.settings.database_url), client_log) == []
