"""Renewing leases: only for who holds them, and without touching the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine.model import Activity, Run, Task
from dwserver.engine.transition import NewActivity
from dwserver.engine.words import ActivityStatus
from dwserver.store.api import DueActivity, LeaseRenewal, Store
from tests.store.reading import loaded
from tests.support.builders import (
    NOON,
    SECOND,
    a_renewal,
    a_run,
    a_start_transition,
    a_task,
    a_transition,
    an_activity,
    an_activity_task,
    closed,
    leased,
)

LATER = NOON + 60 * SECOND


async def with_leases(store: Store) -> tuple[Run, Task, Task, Activity]:
    """A run with a leased workflow task and a leased activity task."""
    run = a_run()
    activity = an_activity(run, step=1)
    task = leased(a_task(run, attempt=1))
    activity_task = replace(
        leased(an_activity_task(activity, run)), attempt_id="attempt-1"
    )
    start = a_start_transition(
        run,
        new_tasks=(task, activity_task),
        new_activities=(NewActivity(activity, None),),
    )
    assert await store.commit(start)
    return run, task, activity_task, activity


async def test_renewal_moves_the_expiry_and_nothing_else(store: Store) -> None:
    run, task, activity_task, activity = await with_leases(store)
    assert await store.renew_leases([a_renewal(task)]) == [True]
    state = await loaded(store, run.id)
    assert state.run == run
    assert state.tasks == {
        task.id: replace(task, lease_expires_at=LATER),
        activity_task.id: activity_task,
    }
    assert state.activities == {1: activity}


async def test_renewal_of_an_activity_moves_its_heartbeat(store: Store) -> None:
    run, task, activity_task, activity = await with_leases(store)
    renewal = LeaseRenewal(
        task_id=activity_task.id,
        owner="worker-1",
        lease_expires_at=LATER,
        attempt_id="attempt-1",
        activity_id=activity.id,
        heartbeat_deadline_at=NOON + 5,
        last_heartbeat_at=NOON + 4,
    )
    assert await store.renew_leases([renewal]) == [True]
    state = await loaded(store, run.id)
    assert state.run == run
    assert state.tasks[activity_task.id].lease_expires_at == LATER
    assert state.tasks[task.id] == task
    moved = replace(
        activity, heartbeat_deadline_at=NOON + 5, last_heartbeat_at=NOON + 4
    )
    assert state.activities == {1: moved}


async def test_renewal_without_a_heartbeat_timeout_leaves_no_deadline(
    store: Store,
) -> None:
    run, _, activity_task, activity = await with_leases(store)
    renewal = a_renewal(
        activity_task,
        attempt=None,
        attempt_id="attempt-1",
        activity_id=activity.id,
        last_heartbeat_at=NOON + 4,
    )
    assert await store.renew_leases([renewal]) == [True]
    moved = (await loaded(store, run.id)).activities[1]
    assert (moved.heartbeat_deadline_at, moved.last_heartbeat_at) == (None, NOON + 4)


@pytest.mark.parametrize(
    "wrong", [{"owner": "worker-2"}, {"attempt": 1}, {"attempt_id": "attempt-2"}]
)
async def test_renewal_by_who_does_not_hold_the_lease_changes_nothing(
    store: Store, wrong: dict[str, object]
) -> None:
    run, task, activity_task, activity = await with_leases(store)
    before = await loaded(store, run.id)
    asked = activity_task if "attempt_id" in wrong else task
    fields = {"activity_id": activity.id, "last_heartbeat_at": NOON, **wrong}
    assert await store.renew_leases([a_renewal(asked, **fields)]) == [False]
    assert await loaded(store, run.id) == before


async def test_renewal_of_a_closed_or_unknown_task_is_refused(store: Store) -> None:
    run, task, _, _ = await with_leases(store)
    done = replace(closed(task), lease_owner=task.lease_owner)
    await store.commit(a_transition(run, tasks=(done,)))
    renewals = [a_renewal(task), replace(a_renewal(task), task_id="no-such-task")]
    assert await store.renew_leases(renewals) == [False, False]
    assert await store.find_task("default", task.id) == done


async def test_renewals_answer_in_the_order_of_the_question(store: Store) -> None:
    leases = [await with_leases(store) for _ in range(3)]
    renewals = []
    for position, (_, task, activity_task, _) in enumerate(leases):
        renewals.append(a_renewal(task, lease_expires_at=LATER + position))
        renewals.append(replace(a_renewal(activity_task), owner="somebody"))
    assert await store.renew_leases(renewals) == [True, False] * 3
    for position, (run, task, activity_task, _) in enumerate(leases):
        state = await loaded(store, run.id)
        assert state.tasks[task.id].lease_expires_at == LATER + position
        assert state.tasks[activity_task.id] == activity_task
    assert await store.renew_leases([]) == []


async def test_renewed_lease_expires_later(store: Store) -> None:
    _, task, activity_task, _ = await with_leases(store)
    await store.renew_leases([a_renewal(task)])
    expired = await store.expired_leases(now=NOON + SECOND, limit=10)
    assert [lease.task_id for lease in expired] == [activity_task.id]


async def test_renewal_leaves_the_indexed_deadline_behind(store: Store) -> None:
    """The sweep finds the activity although it is alive, until it is written again."""
    run, _, activity_task, activity = await with_leases(store)
    running = replace(
        activity, status=ActivityStatus.RUNNING, heartbeat_deadline_at=NOON + 1
    )
    assert await store.commit(a_transition(run, activities=(running,)))
    renewal = a_renewal(
        activity_task,
        attempt=None,
        attempt_id="attempt-1",
        activity_id=activity.id,
        heartbeat_deadline_at=NOON + 9,
        last_heartbeat_at=NOON + 4,
    )
    assert await store.renew_leases([renewal]) == [True]
    due = DueActivity(run.id, 1, NOON + 1)
    assert (await store.overdue(now=NOON + 5, limit=10)).activities == [due]
    state = await loaded(store, run.id)
    alive = state.activities[1]
    assert alive.deadline_at == NOON + 9
    assert await store.commit(a_transition(state.run, activities=(alive,)))
    assert (await store.overdue(now=NOON + 5, limit=10)).activities == []
    later = [DueActivity(run.id, 1, NOON + 9)]
    assert (await store.overdue(now=NOON + 9, limit=10)).activities == later
