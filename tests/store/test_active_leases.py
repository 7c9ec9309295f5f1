"""Leases that admission caps are compared with."""

from __future__ import annotations

import pytest

from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.store.api import QueueKey, Store
from tests.support.builders import (
    NOON,
    SECOND,
    a_run,
    a_start_transition,
    a_task,
    leased,
)

ORDERS = QueueKey("default", "orders", TaskKind.WORKFLOW)


@pytest.mark.parametrize(
    ("key", "at", "counts"),
    [
        (ORDERS, NOON, (2, 3)),
        (ORDERS._replace(queue="bills"), NOON, (1, 3)),
        (ORDERS._replace(queue="none"), NOON, (0, 3)),
        (ORDERS._replace(kind=TaskKind.ACTIVITY), NOON, (0, 0)),
        (ORDERS._replace(namespace="other"), NOON, (1, 1)),
        # The end of the lease is not part of it.
        (ORDERS, NOON + 3600 * SECOND, (0, 0)),
    ],
)
async def test_good_leases_of_a_queue_and_its_namespace(
    store: Store, key: QueueKey, at: int, counts: tuple[int, int]
) -> None:
    for namespace, queue, is_leased in (
        ("default", "orders", True),
        ("default", "orders", True),
        ("default", "orders", False),
        ("default", "bills", True),
        ("other", "orders", True),
    ):
        run = a_run(namespace=namespace, task_queue=queue)
        task = a_task(run, queue=queue)
        if is_leased:
            task = leased(task, owner="worker-1")
            assert task.status is TaskStatus.LEASED
        await store.commit(a_start_transition(run, new_tasks=(task,)))
    assert await store.count_active_leases(key, now=at) == counts
