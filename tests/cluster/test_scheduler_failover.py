"""The leader of the schedulers stops, dies or freezes while schedules fire under load.

Every occurrence is fired once, by the leader of its time, in a term of its own. The row
"scheduler loss" of ``spec/topology-and-operations.md`` §7.3, and R9 of §7.2.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from dwserver.topology.shapes import ProcessClass, Shape
from tests.cli.command import run
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster, Report
from tests.cluster.leader_audit import LeaderAudit, Lease, leader_audit
from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import QUEUE, Load, running_load
from tests.support.json_http import JsonHttp, operator
from tests.support.server_process import ServerProcess
from tests.support.stored_state import count_open_runs, read_state
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

LEASE_SECONDS = 3
TICK_SECONDS = 0.5
TAKE_OVER_SECONDS = LEASE_SECONDS + TICK_SECONDS
HAND_OVER_SECONDS = 1.0
END_SECONDS = 60.0
SCHEDULES = 12
POLICIES = ("skip", "allow_all")


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster with two schedulers, at work."""

    cluster: Cluster
    audit: LeaderAudit
    load: Load

    def node(self, lease: Lease) -> ServerProcess:
        return self.cluster.nodes[lease.holder]


def create_schedules(client: JsonHttp) -> None:
    for number in range(SCHEDULES):
        body = {
            "schedule_id": f"every-second-{number}",
            "spec": {"intervals": [{"every": f"PT{1 + number % 2}S"}]},
            "action": {"workflow_type": "durability.direct", "task_queue": QUEUE},
            "overlap_policy": POLICIES[number % len(POLICIES)],
        }
        client.request("POST", "/api/schedules", body).expect(201)


def pause_schedules(client: JsonHttp) -> None:
    for number in range(SCHEDULES):
        path = f"/api/schedules/every-second-{number}/pause"
        client.request("POST", path, {}).expect(200)


@pytest.fixture
def schedulers() -> int:
    return 2


@pytest.fixture
def cluster(new_cluster: NewCluster, schedulers: int) -> Cluster:
    return new_cluster(
        shape=Shape.STANDALONE_SERVER,
        counts={
            ProcessClass.SERVER_HTTP_NODE: 1,
            ProcessClass.SCHEDULER_NODE: schedulers,
        },
        environment={
            **SHORT_LEASES,
            "DW_SCHEDULER_LEASE_SECONDS": str(LEASE_SECONDS),
            "DW_SCHEDULER_TICK_MS": str(round(TICK_SECONDS * 1000)),
        },
    )


@asynccontextmanager
async def at_work(
    cluster: Cluster, log: ClientLog, choice: random.Random
) -> AsyncIterator[Stage]:
    """Schedules fire until the block ends; then everything started comes to its end
    and is checked."""
    url = cluster.settings.database_url
    client = operator(cluster.base_url, TOKEN)
    async with leader_audit(url) as audit:
        async with running_load(cluster.base_url, TOKEN, log, choice) as load:
            await asyncio.to_thread(create_schedules, client)
            yield Stage(cluster, audit, load)
            await asyncio.to_thread(pause_schedules, client)
            await load.finish(END_SECONDS)
            await eventually(
                lambda: not count_open_runs(url),
                deadline_seconds=END_SECONDS,
                what="end of the runs that schedules started",
            )
        assert await audit.problems() == []
    assert check(read_state(url), log) == []


async def test_ha_scheduler_loss_a_leader_that_stops_hands_over_within_a_second(
    cluster: Cluster, client_log: ClientLog, choice: random.Random, report: Report
) -> None:
    async with at_work(cluster, client_log, choice) as stage:
        first = await stage.audit.leader()
        await stage.audit.fires(first.term, count=SCHEDULES)
        asked_at = await stage.audit.now()
        ending = asyncio.create_task(asyncio.to_thread(stage.node(first).terminate))
        second = await stage.audit.term_after(first.term)
        fire, *_ = await stage.audit.fires(second.term)
        assert await ending == 0
    assert second.holder != first.holder
    report("scheduler hand-over, first fire", fire.at - asked_at)
    report("scheduler hand-over", second.at - asked_at, bound_seconds=HAND_OVER_SECONDS)


async def test_ha_scheduler_loss_a_leader_that_is_killed_is_followed_in_time(
    cluster: Cluster, client_log: ClientLog, choice: random.Random, report: Report
) -> None:
    async with at_work(cluster, client_log, choice) as stage:
        first = await stage.audit.leader()
        await stage.audit.fires(first.term, count=SCHEDULES)
        stage.node(first).kill()
        killed_at = await stage.audit.now()
        second = await stage.audit.term_after(first.term)
        fire, *_ = await stage.audit.fires(second.term)
        stage.node(first).start()
        await asyncio.to_thread(stage.node(first).wait_ready)
        # The one that has come back follows.
        await stage.audit.fires(second.term, count=SCHEDULES)
        assert (await stage.audit.leader()).term == second.term
    report("scheduler killed, first fire", fire.at - killed_at)
    report(
        "scheduler killed, take-over",
        second.at - killed_at,
        bound_seconds=TAKE_OVER_SECONDS,
    )


async def test_a_frozen_leader_that_wakes_writes_nothing_in_its_old_term(
    cluster: Cluster, client_log: ClientLog, choice: random.Random, report: Report
) -> None:
    async with at_work(cluster, client_log, choice) as stage:
        for _ in range(2):
            first = await stage.audit.leader()
            await freeze_while_it_fires(stage, first)
            frozen_at = await stage.audit.now()
            try:
                second = await stage.audit.term_after(first.term)
                await stage.audit.fires(second.term, count=SCHEDULES)
            finally:
                stage.node(first).resume()
            report(
                "scheduler frozen, take-over",
                second.at - frozen_at,
                bound_seconds=TAKE_OVER_SECONDS,
            )
            await knows_that_it_was_superseded(stage.node(first), first.term)
            await stage.audit.fires(second.term, count=3 * SCHEDULES)
            assert (await stage.audit.leader()).term == second.term


async def freeze_while_it_fires(stage: Stage, leader: Lease) -> None:
    """A fire has just been committed: its answer, or the next one, is on its way."""
    seen = len(await stage.audit.fires(leader.term))
    await stage.audit.fires(leader.term, count=seen + 1)
    stage.node(leader).suspend()


async def knows_that_it_was_superseded(node: ServerProcess, term: int) -> None:
    def superseded() -> bool:
        return any(
            line.get("event") == "leadership_ended"
            and line["term"] == term
            and line["cause"] == "superseded"
            for line in log_lines(node)
        )

    await eventually(superseded, what=f"the end of term {term} in the log")


def log_lines(node: ServerProcess) -> list[dict[str, Any]]:
    return [
        orjson.loads(line)
        for line in node.log_text().splitlines()
        if line.startswith("{") and line.endswith("}")
    ]


@pytest.mark.parametrize("schedulers", [1])
async def test_r9_schedules_are_missed_while_the_only_scheduler_is_down(
    cluster: Cluster, client_log: ClientLog, choice: random.Random, report: Report
) -> None:
    def figures() -> tuple[int, str | None]:
        ended = run(
            "scheduler",
            "status",
            "--json",
            env={"DW_DATABASE_URL": cluster.settings.database_url},
        )
        assert ended.status == 0, ended
        summary = orjson.loads(ended.output)["schedules"]
        return summary["missed"], summary["oldest_overdue_at"]

    async with at_work(cluster, client_log, choice) as stage:
        first = await stage.audit.leader()
        await stage.audit.fires(first.term, count=SCHEDULES)
        await asyncio.to_thread(stage.node(first).kill)

        async def all_missed() -> bool:
            missed, oldest = await asyncio.to_thread(figures)
            return missed == SCHEDULES and oldest is not None

        await eventually(all_missed, what="schedules that are missed")
        back_at = await stage.audit.now()
        stage.node(first).start()
        second = await stage.audit.term_after(first.term)
        await stage.audit.fires(second.term, count=SCHEDULES)
        report("scheduler restarted, take-over", second.at - back_at)

        async def none_missed() -> bool:
            return await asyncio.to_thread(figures) == (0, None)

        await eventually(
            none_missed, deadline_seconds=30.0, what="an end of missed schedules"
        )
