"""WX: a node of each class is killed under load and started again at once."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cluster.places import SERVING, Places, Variant
from benchmarks.cluster.recovery import Recovery, recovery
from benchmarks.load.order import Order, Phase
from benchmarks.measure import GRACE_SECONDS, LoadFailed, follow, load_process
from benchmarks.workloads import WX
from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import Cluster

CONCURRENCY = 64
# Tasks that were lost with a node come back soon.
ENVIRONMENT = {"DW_WORKFLOW_TASK_TIMEOUT": "5", "DW_ACTIVITY_TASK_TIMEOUT": "5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTimes:
    """The rate before a loss is taken over ``before_seconds``; then the cluster is
    watched for ``watched_seconds``."""

    warmup_seconds: float
    before_seconds: float
    watched_seconds: float

    @property
    def window_seconds(self) -> float:
        # The beginning of a node is awaited, however long it takes.
        return len(SERVING) * (self.before_seconds + self.watched_seconds) + 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """``ready_seconds``: from the kill until the new process said that it is ready."""

    process_class: ProcessClass
    nodes: int
    ready_seconds: float
    recovery: Recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """One cluster, one class after the other. ``counts`` and ``errors``: of the load,
    with what was lost and what was completed twice."""

    nodes: int
    losses: tuple[Loss, ...]
    counts: Mapping[str, int]
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Kill:
    process_class: ProcessClass
    before: tuple[float, float]
    killed_at: float
    ready_at: float
    until: float


async def measure_losses(places: Places, times: LossTimes, *, nodes: int) -> Losses:
    """LoadFailed when there is no result."""
    variant = Variant.of(f"{nodes} of each", count=nodes, environment=ENVIRONMENT)
    with places.running_cluster(variant) as (cluster, server):
        order = Order(
            workload=WX.name,
            urls=server.urls,
            token=server.token,
            concurrency=CONCURRENCY,
            warmup_seconds=times.warmup_seconds,
            window_seconds=times.window_seconds,
            tag=secrets.token_hex(4),
        )
        deadline = times.warmup_seconds + times.window_seconds + GRACE_SECONDS
        killing: list[asyncio.Task[list[_Kill]]] = []

        async def reached(phase: Phase) -> None:
            if phase is Phase.WINDOW_OPENED:
                killing.append(asyncio.create_task(_kill_each(cluster, times)))

        try:
            async with asyncio.timeout(deadline), load_process(order) as process:
                result = await follow(process, reached)
                kills = await killing[0]
        except TimeoutError:
            raise LoadFailed(f"wx: no result in {deadline:.0f} s") from None
    completed_at = sorted(result.completed_at)
    return Losses(
        nodes=nodes,
        losses=tuple(
            Loss(
                process_class=kill.process_class,
                nodes=nodes,
                ready_seconds=kill.ready_at - kill.killed_at,
                recovery=recovery(
                    completed_at,
                    before=kill.before,
                    killed_at=kill.killed_at,
                    until=kill.until,
                ),
            )
            for kill in kills
        ),
        counts=result.counts,
        errors=result.errors,
    )


async def _kill_each(cluster: Cluster, times: LossTimes) -> list[_Kill]:
    kills = []
    for process_class in SERVING:
        began_at = time.monotonic()
        await asyncio.sleep(times.before_seconds)
        node = cluster.node(process_class)
        killed_at = time.monotonic()
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(node.wait_ready)
        ready_at = time.monotonic()
        until = killed_at + times.watched_seconds
        await asyncio.sleep(until - ready_at)
        kills.append(
            _Kill(process_class, (began_at, killed_at), killed_at, ready_at, until)
        )
    return kills
