"""A definition is replaced under running workflows: R8 of
``spec/topology-and-operations.md`` §7.2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http.client import HTTPException
from typing import Any

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster, Report
from tests.cluster.rehearsal import seconds_until
from tests.durability.checker import check_standing
from tests.durability.conftest import SHORT_LEASES
from tests.support.definition_workers import CLOSE, WAIT, Shop
from tests.support.json_http import operator
from tests.support.stored_state import read_state

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

MATCHING = ProcessClass.MATCHING_NODE
OLD, NEW = "sha256:old", "sha256:new"
# More than a look for tasks finds at a time.
RUNS = 12
BOUND_SECONDS = 10.0
# A node that is down fails its requests at once: not to be asked all the time.
PAUSE_SECONDS = 0.2


class Shift:
    """Workers of one definition and the workflow ids that they were given."""

    def __init__(self, shop: Shop, fingerprint: str) -> None:
        self.shop = shop
        self.fingerprint = fingerprint
        self.given: list[str] = []

    @asynccontextmanager
    async def at_work(self, command: dict[str, Any]) -> AsyncIterator[None]:
        """Two workers complete every task with the command; at the end they finish
        what they have and go."""
        is_over = asyncio.Event()
        names = [f"{self.fingerprint}-{number}" for number in (1, 2)]
        async with asyncio.TaskGroup() as workers:
            for name in names:
                workers.create_task(self._work(name, command, is_over))
            try:
                yield
            finally:
                is_over.set()

    async def _work(
        self, name: str, command: dict[str, Any], is_over: asyncio.Event
    ) -> None:
        worker = await asyncio.to_thread(self.shop.worker, name, self.fingerprint)
        while not is_over.is_set():
            try:
                task = await asyncio.to_thread(worker.poll, seconds=1)
                if task is not None:
                    self.given.append(task["workflow_id"])
                    await asyncio.to_thread(worker.complete, task, command)
            except (AssertionError, HTTPException, OSError):
                await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.to_thread(worker.leave)

    def has_had(self, workflow_ids: Iterable[str]) -> bool:
        return set(workflow_ids) <= set(self.given)


@pytest.fixture
def split(new_cluster: NewCluster) -> Cluster:
    counts = {
        ProcessClass.INGRESS_NODE: 1,
        ProcessClass.CONTROL_PLANE_NODE: 1,
        ProcessClass.SCHEDULER_NODE: 1,
        MATCHING: 2,
    }
    return new_cluster(counts=counts, environment=SHORT_LEASES)


@pytest.fixture
def shop(split: Cluster) -> Shop:
    return Shop(operator(split.base_url, TOKEN), "definitions")


async def started(shop: Shop, count: int) -> list[str]:
    return [await asyncio.to_thread(shop.start) for _ in range(count)]


async def wake(shop: Shop, workflow_ids: Iterable[str]) -> None:
    for workflow_id in workflow_ids:
        await asyncio.to_thread(shop.wake, workflow_id)


async def test_r8_runs_stay_with_their_definition_until_they_close(
    split: Cluster, shop: Shop, report: Report
) -> None:
    """Through hand-offs, claims, leases that end, and nodes that are killed."""
    old, new = Shift(shop, OLD), Shift(shop, NEW)
    running: list[str] = []

    async def end_of(workflow_ids: Iterable[str]) -> float:
        """Seconds until all of them have been completed."""

        def is_done() -> bool:
            runs = read_state(split.settings.database_url).runs
            closed = {each.workflow_id for each in runs if each.status == "completed"}
            return closed.issuperset(workflow_ids)

        return await seconds_until(is_done, what="the end of runs")

    async with old.at_work(WAIT):
        running = await started(shop, RUNS)
        await seconds_until(lambda: old.has_had(running), what="runs that have begun")
        async with new.at_work(CLOSE):
            old.given.clear()
            await wake(shop, running)
            await seconds_until(lambda: old.has_had(running), what="their next tasks")
            lost = await asyncio.to_thread(shop.worker, "lost", OLD)
    # Its lease ends while nobody of its definition is there.
    await wake(shop, running[:1])
    task = await asyncio.to_thread(lost.poll, seconds=10)
    assert task["workflow_id"] == running[0]

    async with new.at_work(CLOSE):
        await wake(shop, running)
        for node in split.of_class(MATCHING):
            node.kill()
            await end_of(await started(shop, 2))
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(node.wait_ready)
        await asyncio.to_thread(lost.leave)
        shown = await asyncio.to_thread(shop.debug, running[1])
        codes = {each["code"] for each in shown["findings"]}
        assert "no_compatible_worker_for_task" in codes
        [waiting] = shown["pending_workflow_tasks"]
        assert (waiting["status"], waiting["repair_count"]) == ("ready", 0)

        async with old.at_work(CLOSE):
            took = await end_of(running)
            report("old definition back", took, bound_seconds=BOUND_SECONDS)
    async with new.at_work(CLOSE):
        again = await started(shop, 2)
        await end_of(again)
        assert new.has_had(again)
    assert set(new.given).isdisjoint(running)
    assert check_standing(read_state(split.settings.database_url)) == []
