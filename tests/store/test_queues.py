"""What lies in a task queue: counted by kind, the oldest first, leases in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Task
from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.store.api import Store
from dwserver.store.queues import (
    MAX_LEASES_LISTED,
    QueueBacklog,
    QueueBacklogs,
    QueueLoad,
    QueueWorkers,
)
from dwserver.store.rollouts import CohortKey
from tests.support.builders import (
    NOON,
    SECOND,
    a_run,
    a_start_transition,
    a_task,
    a_worker,
    an_activity,
    an_activity_task,
    closed,
    leased,
)

LONG_AGO = NOON - 10 * SECOND


async def with_tasks(store: Store, *tasks: Task, namespace: str = "default") -> str:
    run = a_run(namespace=namespace)
    rows = tuple(replace(task, run_id=run.id, namespace=namespace) for task in tasks)
    assert await store.commit(a_start_transition(run, new_tasks=rows))
    return run.id


async def backlogs(store: Store, *queues: str, rows: int = 1_000) -> QueueBacklogs:
    return await store.queue_backlogs(
        "default", queues, now=NOON, overdue_before=NOON - 3 * SECOND, rows=rows
    )


async def backlog(store: Store, queue: str = "orders") -> QueueBacklog:
    return (await backlogs(store, queue)).queues[queue]


def a_workflow_task(**fields: Any) -> Task:
    return a_task(a_run(), **{"queue": "orders", "available_at": NOON, **fields})


def an_activity_of(**fields: Any) -> Task:
    run = a_run()
    values = {"queue": "orders", "available_at": NOON, **fields}
    return an_activity_task(an_activity(run, step=1), run, **values)


async def test_a_queue_that_nobody_uses_is_empty(store: Store) -> None:
    assert await backlog(store) == QueueBacklog(
        loads={kind: QueueLoad(kind=kind) for kind in TaskKind}
    )
    assert await store.queue_leases("default", "orders", now=NOON) == []
    found = await store.queue_workers("default", ["orders"], silent_since=0, rows=1)
    assert found == {}
    assert await store.list_queues("default", rows=10, limit=10) == []


async def test_due_tasks_are_counted_by_kind(store: Store) -> None:
    old = an_activity_of(available_at=LONG_AGO, priority=9)
    run_id = await with_tasks(
        store,
        a_workflow_task(),
        a_workflow_task(available_at=NOON - 4 * SECOND),
        a_workflow_task(available_at=NOON + 1),
        a_workflow_task(queue="bills"),
        closed(a_workflow_task()),
        old,
    )
    await with_tasks(store, a_workflow_task(), namespace="other")
    found = await backlog(store)
    workflow, activity = found.loads[TaskKind.WORKFLOW], found.loads[TaskKind.ACTIVITY]
    assert (workflow.ready, workflow.overdue) == (2, 1)
    assert workflow.oldest_ready_at == NOON - 4 * SECOND
    assert (activity.ready, activity.overdue) == (1, 1)
    assert found.oldest is not None
    assert found.oldest.id == old.id
    assert (found.oldest.kind, found.oldest.run_id) == (TaskKind.ACTIVITY, run_id)
    assert found.oldest.ready_at == LONG_AGO
    assert found.oldest.workflow_id


async def test_leases_that_are_over_come_first(store: Store) -> None:
    held = leased(a_workflow_task(id="a"), owner="w1", until=NOON + SECOND)
    late = leased(an_activity_of(id="c"), owner="w2", until=NOON)
    later = leased(a_workflow_task(id="b"), owner="w3", until=LONG_AGO)
    elsewhere = leased(a_workflow_task(queue="bills"), owner="w4", until=NOON)
    await with_tasks(store, held, late, later, elsewhere)
    leases = await store.queue_leases("default", "orders", now=NOON)
    assert [lease.id for lease in leases] == ["b", "c", "a"]
    first = leases[0]
    assert (first.lease_owner, first.lease_expires_at) == ("w3", LONG_AGO)
    assert (first.kind, first.attempt) == (TaskKind.WORKFLOW, later.attempt)
    found = await backlog(store)
    workflow = found.loads[TaskKind.WORKFLOW]
    assert (workflow.leased, workflow.expired, workflow.active) == (2, 1, 1)
    assert workflow.oldest_expiry == LONG_AGO
    assert found.loads[TaskKind.ACTIVITY].expired == 1
    assert found.loads[TaskKind.ACTIVITY].ready == 0


async def test_no_more_leases_are_listed_than_the_limit(store: Store) -> None:
    tasks = [
        leased(a_workflow_task(), owner="w", until=NOON + SECOND)
        for _ in range(MAX_LEASES_LISTED + 1)
    ]
    await with_tasks(store, *tasks)
    leases = await store.queue_leases("default", "orders", now=NOON)
    assert len(leases) == MAX_LEASES_LISTED
    found = await backlog(store)
    assert found.loads[TaskKind.WORKFLOW].leased == MAX_LEASES_LISTED + 1


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.CANCELLED])
async def test_closed_tasks_do_not_count(store: Store, status: TaskStatus) -> None:
    await with_tasks(store, replace(a_workflow_task(), status=status, closed_at=NOON))
    found = await backlog(store)
    assert found.oldest is None
    assert not any(load.ready or load.leased for load in found.loads.values())


async def test_several_queues_are_read_at_once(store: Store) -> None:
    await with_tasks(
        store,
        a_workflow_task(id="a", available_at=LONG_AGO),
        a_workflow_task(id="b", queue="bills"),
        leased(a_workflow_task(queue="bills"), owner="w", until=NOON + SECOND),
        leased(a_workflow_task(queue="more"), owner="w", until=NOON + SECOND),
        leased(an_activity_of(queue="more"), owner="w", until=NOON),
    )
    found = await backlogs(store, "orders", "bills", "none")
    assert list(found.queues) == ["orders", "bills", "none"]
    counts = {
        name: (queue.loads[TaskKind.WORKFLOW].ready, queue.oldest and queue.oldest.id)
        for name, queue in found.queues.items()
    }
    assert counts == {"orders": (1, "a"), "bills": (1, "b"), "none": (0, None)}
    assert found.queues["bills"].loads[TaskKind.WORKFLOW].active == 1
    # Those of queues that were not asked for too: a namespace may have a cap.
    assert found.active_leases == {TaskKind.WORKFLOW: 2, TaskKind.ACTIVITY: 0}


async def test_what_lies_behind_the_bound_is_not_counted(store: Store) -> None:
    """Each queue has its part of the rows, so that none hides another."""
    many = [a_workflow_task(queue="a") for _ in range(9)]
    await with_tasks(
        store, *many, a_workflow_task(queue="b"), an_activity_of(queue="b")
    )

    async def counted(rows: int) -> list[int]:
        found = await backlogs(store, "a", "b", rows=rows)
        return [
            sum(load.ready for load in queue.loads.values())
            for queue in found.queues.values()
        ]

    assert await counted(11) == [9, 2]
    assert await counted(10) == [2, 2]
    assert await counted(1) == [1, 2]


async def test_a_delayed_task_does_not_hide_a_due_one(store: Store) -> None:
    later = [a_workflow_task(available_at=NOON + SECOND) for _ in range(5)]
    await with_tasks(store, *later, a_workflow_task(id="due"))
    found = (await backlogs(store, "orders", rows=4)).queues["orders"]
    assert found.loads[TaskKind.WORKFLOW].ready == 1
    assert found.oldest is not None
    assert found.oldest.id == "due"


async def test_queues_are_those_with_tasks_or_workers(store: Store) -> None:
    await with_tasks(
        store,
        a_workflow_task(queue="ready"),
        an_activity_of(queue="delayed", available_at=NOON + SECOND),
        leased(a_workflow_task(queue="leased"), owner="w", until=NOON),
        closed(a_workflow_task(queue="closed")),
        a_workflow_task(queue="Zwölf/%"),
    )
    await with_tasks(store, a_workflow_task(queue="elsewhere"), namespace="other")
    for name, queue in (("w1", "served"), ("w2", "served"), ("w3", "ready")):
        await store.put_worker(a_worker(name, task_queue=queue))
    await store.put_worker(a_worker("w", task_queue="afar", namespace="other"))
    names = ["Zwölf/%", "closed", "delayed", "leased", "ready", "served"]
    assert await store.list_queues("default", rows=100, limit=100) == names
    assert await store.list_queues("default", rows=100, limit=2) == names[:2]
    assert await store.list_queues("other", rows=100, limit=100) == [
        "afar",
        "elsewhere",
    ]


async def test_workers_are_counted_by_what_they_can_do(store: Store) -> None:
    for name, heard_at, queue in (
        ("a", NOON + 1, "orders"),
        ("b", NOON + 2, "orders"),
        ("c", NOON, "orders"),
        ("d", NOON + 1, "bills"),
        ("e", NOON + 1, "more"),
    ):
        worker = a_worker(name, task_queue=queue, last_heartbeat_at=heard_at)
        await store.put_worker(worker)
    drained = CohortKey("default", "bills", None)
    await store.put_rollout(drained, is_draining=True, at=NOON)
    await store.touch_workers([("default", "d")], at=NOON)
    found = await store.queue_workers(
        "default", ["orders", "bills", "none"], silent_since=NOON, rows=100
    )
    slots = {TaskKind.WORKFLOW: 20, TaskKind.ACTIVITY: 40}
    assert found == {
        "orders": QueueWorkers(active=2, stale=1, slots=slots),
        "bills": QueueWorkers(draining=1),
    }
    (first,) = await store.list_workers_of_queue(
        "default", "orders", silent_since=NOON, limit=1
    )
    assert first.worker_id == "a"
    every = await store.list_workers_of_queue(
        "default", "orders", silent_since=NOON + 1, limit=9
    )
    assert [worker.worker_id for worker in every] == ["b", "a", "c"]
