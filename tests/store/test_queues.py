"""What lies in a task queue: counted by kind, the oldest first, leases in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Task
from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.store.api import MAX_LEASES_LISTED, QueueBacklog, QueueLoad, Store
from tests.support.builders import (
    NOON,
    SECOND,
    a_run,
    a_start_transition,
    a_task,
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


async def backlog(
    store: Store, queue: str = "orders", namespace: str = "default"
) -> QueueBacklog:
    return await store.queue_backlog(
        namespace, queue, now=NOON, overdue_before=NOON - 3 * SECOND
    )


def a_workflow_task(**fields: Any) -> Task:
    return a_task(a_run(), **{"queue": "orders", "available_at": NOON, **fields})


def an_activity_of(**fields: Any) -> Task:
    run = a_run()
    values = {"queue": "orders", "available_at": NOON, **fields}
    return an_activity_task(an_activity(run, step=1), run, **values)


async def test_a_queue_that_nobody_uses_is_empty(store: Store) -> None:
    assert await backlog(store) == QueueBacklog(
        loads={kind: QueueLoad(kind=kind) for kind in TaskKind}, oldest=None, leases=()
    )


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
    found = await backlog(store)
    assert [lease.id for lease in found.leases] == ["b", "c", "a"]
    first = found.leases[0]
    assert (first.lease_owner, first.lease_expires_at) == ("w3", LONG_AGO)
    assert (first.kind, first.attempt) == (TaskKind.WORKFLOW, later.attempt)
    workflow = found.loads[TaskKind.WORKFLOW]
    assert (workflow.leased, workflow.expired) == (2, 1)
    assert workflow.oldest_expiry == LONG_AGO
    assert found.loads[TaskKind.ACTIVITY].expired == 1
    assert found.loads[TaskKind.ACTIVITY].ready == 0


async def test_no_more_leases_are_listed_than_the_limit(store: Store) -> None:
    tasks = [
        leased(a_workflow_task(), owner="w", until=NOON + SECOND)
        for _ in range(MAX_LEASES_LISTED + 1)
    ]
    await with_tasks(store, *tasks)
    found = await backlog(store)
    assert len(found.leases) == MAX_LEASES_LISTED
    assert found.loads[TaskKind.WORKFLOW].leased == MAX_LEASES_LISTED + 1


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.CANCELLED])
async def test_closed_tasks_do_not_count(store: Store, status: TaskStatus) -> None:
    await with_tasks(store, replace(a_workflow_task(), status=status, closed_at=NOON))
    found = await backlog(store)
    assert found.oldest is None
    assert not any(load.ready or load.leased for load in found.loads.values())
