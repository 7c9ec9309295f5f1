"""The ingress is cut off from the matching node, or from the control plane.

Both still reach the database, and say so: the membership holds them for alive. Only the
link between the ingress and the node fails, by breaking connections or by swallowing
what is sent over them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster, Report
from tests.cluster.rehearsal import (
    ask,
    checks_of,
    operator_of,
    seconds_until,
    work,
)
from tests.durability.checker import check
from tests.durability.client_log import ClientLog, Started
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import IN_FLIGHT, running_load
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.ports import LOOPBACK, free_port
from tests.support.stored_state import read_state

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

INGRESS = ProcessClass.INGRESS_NODE
MATCHING = ProcessClass.MATCHING_NODE
CONTROL = ProcessClass.CONTROL_PLANE_NODE
STARTS = "workflows"

WARM = 200
END_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Parted:
    """A cluster with a link between the ingress and one node."""

    cluster: Cluster
    link: FaultyLink

    async def break_link(self, how: str) -> None:
        if how == "cut":
            await self.link.cut()
        else:
            self.link.freeze(there=how != "answers lost")


@asynccontextmanager
async def parted(
    new_cluster: NewCluster, process_class: ProcessClass
) -> AsyncIterator[Parted]:
    port = free_port()
    async with faulty_link(LOOPBACK, port) as link:
        address = f"http://{LOOPBACK}:{link.port}"
        cluster = await asyncio.to_thread(
            lambda: new_cluster(
                environment=SHORT_LEASES,
                ports={process_class: port},
                of_class={process_class: {"DW_INTERNAL_ADDRESS": address}},
            )
        )
        yield Parted(cluster, link)
        link.mend()


WAYS = pytest.mark.parametrize("how", ["cut", "black hole", "answers lost"])


@WAYS
async def test_the_control_plane_stands_in_for_a_matching_node_out_of_reach(
    new_cluster: NewCluster,
    how: str,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    async with parted(new_cluster, MATCHING) as site:
        cluster = site.cluster
        matching = cluster.node(MATCHING)

        async def holds_polls() -> bool:
            polls = (await checks_of(matching))["matching"]["polls_waiting"]
            return bool(polls["workflow"] + polls["activity"])

        async def is_left_alone() -> bool:
            return not await holds_polls()

        async with running_load(cluster.base_url, TOKEN, client_log, choice) as load:
            await load.after_acknowledged(WARM)
            began = time.monotonic()
            await site.break_link(how)
            await load.after_acknowledged(WARM)
            report(f"matching {how}, work goes on", time.monotonic() - began)
            # Polls from before the partition end as well.
            await seconds_until(is_left_alone, what="no polls at the matching node")
            site.link.mend()
            took = await seconds_until(holds_polls, what="polls at the matching node")
            report(f"matching {how} and mended, polls are back", took)
            await load.after_acknowledged(WARM)
            await load.finish(END_SECONDS)
        assert all(operation != STARTS for operation, _ in load.troubles)
        assert '"peer_unreachable"' in cluster.node(INGRESS).log_text()
        assert check(read_state(cluster.settings.database_url), client_log) == []


@WAYS
async def test_workers_go_on_while_the_control_plane_is_out_of_reach(
    new_cluster: NewCluster,
    how: str,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    async with parted(new_cluster, CONTROL) as site:
        cluster = site.cluster
        async with running_load(cluster.base_url, TOKEN, client_log, choice) as load:
            await load.after_acknowledged(WARM)
            await site.break_link(how)
            took = await seconds_until(
                lambda: load.troubles[STARTS, "503"] >= IN_FLIGHT,
                what="a refusal of every start",
            )
            report(f"control plane {how}, told to clients", took)
            site.link.mend()
            before = sum(isinstance(entry, Started) for entry in client_log)
            took = await seconds_until(
                lambda: (
                    sum(isinstance(entry, Started) for entry in client_log) > before
                ),
                what="a workflow is started",
            )
            report(f"control plane {how} and mended, starts again", took)
            await load.after_acknowledged(WARM)
            await load.finish(END_SECONDS)
        assert {operation for operation, _ in load.troubles} == {STARTS}
        assert check(read_state(cluster.settings.database_url), client_log) == []


async def test_a_task_leased_into_a_black_hole_comes_back_after_its_lease(
    new_cluster: NewCluster, report: Report
) -> None:
    """The only poll is held by a matching node whose answers are lost."""
    async with parted(new_cluster, MATCHING) as site:
        edge = site.cluster.node(INGRESS)
        worker = {"worker_id": "w", "task_queue": "q"}
        body = {**worker, "runtime": "python"}
        (await work(edge, "register", body)).expect(201)

        async def polled() -> object:
            poll = {**worker, "timeout_seconds": 20}
            answer = await work(edge, "workflow-tasks/poll", poll)
            return answer.expect(200)["task"]

        async def is_held() -> bool:
            checks = await checks_of(site.cluster.node(MATCHING))
            return bool(checks["matching"]["polls_waiting"]["workflow"])

        polling = asyncio.create_task(polled())
        await seconds_until(is_held, what="a held poll")
        await site.break_link("answers lost")
        began = time.monotonic()
        start = {"workflow_id": "wf", "workflow_type": "any", "task_queue": "q"}
        control = operator_of(edge)
        (await ask(control, "POST", "/api/workflows", start)).expect(201)
        task = await polling or await polled()
        report("task leased into a black hole, delivered", time.monotonic() - began)
        assert isinstance(task, dict)
        assert task["workflow_id"] == "wf"
        assert task["workflow_task_attempt"] == 2
