"""Set operations: what is ready, due or expired, in order and within limits."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from dwserver.engine.model import Activity, Run, Task, Timer
from dwserver.engine.transition import NewActivity
from dwserver.engine.words import (
    ActivityStatus,
    RunStatus,
    TaskKind,
    TaskStatus,
    TimerStatus,
)
from dwserver.store.api import (
    ActivityPlace,
    Definitions,
    DueActivity,
    DueRun,
    DueTimer,
    ExpiredLease,
    QueueKey,
    ReadyTask,
    Store,
)
from tests.store.reading import loaded
from tests.support.builders import (
    NOON,
    SECOND,
    a_run,
    a_start_transition,
    a_task,
    a_timer,
    a_transition,
    an_activity,
    an_activity_task,
    an_id,
    closed,
    leased,
)

ORDERS = QueueKey("default", "orders", TaskKind.WORKFLOW)
FAR = NOON + 10**9 * SECOND


async def with_tasks(store: Store, *tasks: Task, namespace: str = "default") -> None:
    run = a_run(namespace=namespace)
    rows = tuple(replace(task, run_id=run.id, namespace=namespace) for task in tasks)
    assert await store.commit(a_start_transition(run, new_tasks=rows))


async def with_timers(store: Store, *timers: Timer) -> None:
    run = a_run()
    rows = tuple(
        replace(timer, run_id=run.id, step=step)
        for step, timer in enumerate(timers, start=1)
    )
    assert await store.commit(a_start_transition(run, new_tasks=(), new_timers=rows))


def some_task(**fields: object) -> Task:
    return a_task(a_run(), **fields)


def some_timer(**fields: object) -> Timer:
    return a_timer(a_run(), step=1, **fields)


async def ready_ids(
    store: Store, *keys: QueueKey, now: int = NOON, limit: int = 100
) -> list[str]:
    found = await store.ready_tasks(keys, now=now, limit=limit)
    return [task.task_id for task in found]


# ready tasks ------------------------------------------------------------------------
async def test_ready_task_tells_what_choosing_a_poller_needs(store: Store) -> None:
    run = a_run()
    task = a_task(
        run,
        compatibility="build-7",
        available_at=NOON - 5,
        definition_fingerprint="sha256:1f",
    )
    await store.commit(a_start_transition(run, new_tasks=(task,)))
    assert await store.ready_tasks([ORDERS], now=NOON, limit=5) == [
        ReadyTask(
            key=ORDERS,
            task_id=task.id,
            run_id=run.id,
            type_name=task.type_name,
            compatibility="build-7",
            available_at=NOON - 5,
            definition_fingerprint="sha256:1f",
        )
    ]


async def test_ready_tasks_are_ordered_by_priority_age_and_id(store: Store) -> None:
    tasks = [
        some_task(id=f"task-{name}", priority=priority, available_at=available_at)
        for name, priority, available_at in [
            ("a", 5, NOON - 1),
            ("b", 5, NOON - 2),
            ("c", 0, NOON),
            ("e", 5, NOON - 2),
            ("d", 9, NOON - 9),
        ]
    ]
    await with_tasks(store, *tasks)
    expected = [f"task-{name}" for name in "cbead"]
    assert await ready_ids(store, ORDERS) == expected
    assert await ready_ids(store, ORDERS, limit=2) == expected[:2]


async def test_ready_tasks_of_other_definitions_are_read_past(store: Store) -> None:
    stuck = [some_task(definition_fingerprint="f1") for _ in range(3)]
    bill = some_task(definition_fingerprint="f3", type_name="orders.Bill")
    fits, free = some_task(definition_fingerprint="f2"), some_task()
    other = some_task(definition_fingerprint="f1", queue="billing")
    bills = ORDERS._replace(queue="billing")
    await with_tasks(store, *stuck, bill, fits, free, other)

    async def found(fingerprints: set[str], types: set[str]) -> set[str]:
        wanted = {ORDERS: Definitions(frozenset(fingerprints), frozenset(types))}
        ready = await store.ready_tasks(
            [bills, ORDERS], now=NOON, limit=3, wanted=wanted
        )
        # Each queue has its own.
        assert next(task for task in ready).task_id == other.id
        return {task.task_id for task in ready if task.key == ORDERS}

    assert await found({"f2"}, set()) == {fits.id, free.id}
    assert await found({"f2"}, {"orders.Bill"}) == {fits.id, free.id, bill.id}
    assert await found(set(), set()) == {free.id}


async def test_ready_tasks_of_the_future_wait(store: Store) -> None:
    early, late = some_task(), some_task(available_at=NOON + 1, priority=0)
    await with_tasks(store, early, late)
    assert await ready_ids(store, ORDERS) == [early.id]
    assert await ready_ids(store, ORDERS, now=NOON - 1) == []
    assert await ready_ids(store, ORDERS, now=NOON + 1) == [late.id, early.id]


async def test_ready_tasks_are_of_the_keys_that_were_asked_for(store: Store) -> None:
    run = a_run()
    activity_task = an_activity_task(an_activity(run, step=1), run)
    workflow, elsewhere = some_task(), some_task(queue="billing")
    abroad = some_task()
    await with_tasks(store, workflow, elsewhere, activity_task)
    await with_tasks(store, abroad, namespace="other")
    keys = {
        workflow.id: ORDERS,
        elsewhere.id: ORDERS._replace(queue="billing"),
        activity_task.id: ORDERS._replace(kind=TaskKind.ACTIVITY),
        abroad.id: ORDERS._replace(namespace="other"),
    }
    for task_id, key in keys.items():
        assert await ready_ids(store, key) == [task_id]
    assert await ready_ids(store, ORDERS._replace(queue="nobody")) == []
    assert await ready_ids(store) == []


async def test_limit_of_ready_tasks_is_for_each_key(store: Store) -> None:
    billing = ORDERS._replace(queue="billing")
    first = [some_task() for _ in range(3)]
    second = [some_task(queue="billing") for _ in range(3)]
    await with_tasks(store, *second, *first)
    found = await store.ready_tasks([ORDERS, billing], now=NOON, limit=2)
    assert [task.task_id for task in found if task.key == ORDERS] == [
        task.id for task in first[:2]
    ]
    assert [task.task_id for task in found if task.key == billing] == [
        task.id for task in second[:2]
    ]
    assert len(found) == 4


async def test_leased_and_closed_tasks_are_not_ready(store: Store) -> None:
    run = a_run()
    tasks = [a_task(run) for _ in range(3)]
    await store.commit(a_start_transition(run, new_tasks=tuple(tasks)))
    taken = leased(tasks[0])
    await store.commit(a_transition(run, tasks=(taken, closed(tasks[1]))))
    assert await ready_ids(store, ORDERS) == [tasks[2].id]
    requeued = replace(
        taken, status=TaskStatus.READY, available_at=NOON + 3, lease_owner=None
    )
    await store.commit(a_transition(replace(run, version=2), tasks=(requeued,)))
    assert await ready_ids(store, ORDERS) == [tasks[2].id]
    assert await ready_ids(store, ORDERS, now=FAR) == [tasks[2].id, tasks[0].id]


async def test_task_that_is_handed_off_at_its_creation_is_never_ready(
    store: Store,
) -> None:
    await with_tasks(store, leased(some_task()))
    assert await ready_ids(store, ORDERS, now=FAR) == []


# timers -----------------------------------------------------------------------------
async def test_due_timers_come_oldest_first_within_the_limit(store: Store) -> None:
    instants = [NOON + 2, NOON, NOON + 1, NOON + 3]
    await with_timers(store, *(some_timer(fire_at=at) for at in instants))
    due = await store.due_timers(now=NOON + 2, limit=10)
    assert [timer.fire_at for timer in due] == [NOON, NOON + 1, NOON + 2]
    assert [timer.step for timer in due] == [2, 3, 1]
    assert await store.due_timers(now=NOON + 2, limit=2) == due[:2]
    assert await store.due_timers(now=NOON - 1, limit=10) == []


async def test_timers_that_are_not_pending_are_not_due(store: Store) -> None:
    run = a_run()
    timers = [a_timer(run, step=step, fire_at=NOON + step) for step in (1, 2, 3)]
    await store.commit(a_start_transition(run, new_timers=tuple(timers)))
    fired = replace(timers[0], status=TimerStatus.FIRED, is_held=True)
    cancelled = replace(timers[1], status=TimerStatus.CANCELLED)
    await store.commit(a_transition(run, timers=(fired, cancelled)))
    assert await store.due_timers(now=FAR, limit=10) == [DueTimer(run.id, 3, NOON + 3)]


async def test_timers_that_wait_for_a_leased_task_are_not_due(store: Store) -> None:
    run = a_run()
    timer = a_timer(run, step=1, fire_at=NOON)
    await store.commit(a_start_transition(run, new_timers=(timer,)))
    waiting = replace(timer, is_held=True)
    await store.commit(a_transition(run, timers=(waiting,)))
    assert await store.due_timers(now=FAR, limit=10) == []
    assert (await loaded(store, run.id)).timers == {1: waiting}
    await store.commit(a_transition(replace(run, version=2), timers=(timer,)))
    assert await store.due_timers(now=FAR, limit=10) == [DueTimer(run.id, 1, NOON)]


# activities that time out -----------------------------------------------------------
async def with_activities(store: Store, *activities: Activity) -> Run:
    run = a_run()
    rows = tuple(
        NewActivity(replace(activity, run_id=run.id, step=step), None)
        for step, activity in enumerate(activities, start=1)
    )
    assert await store.commit(a_start_transition(run, new_activities=rows))
    return run


async def test_due_activities_come_oldest_first_within_the_limit(
    store: Store,
) -> None:
    ends = (NOON + 2, NOON, None, NOON + 1, NOON + 3)
    some = [an_activity(a_run(), step=1, schedule_deadline_at=at) for at in ends]
    run = await with_activities(store, *some)
    due = (await store.overdue(now=NOON + 2, limit=10)).activities
    assert due == [
        DueActivity(run.id, 2, NOON),
        DueActivity(run.id, 4, NOON + 1),
        DueActivity(run.id, 1, NOON + 2),
    ]
    assert (await store.overdue(now=NOON + 2, limit=2)).activities == due[:2]
    assert (await store.overdue(now=NOON - 1, limit=10)).activities == []


async def test_expired_activities_are_found_by_deadline_and_by_id(
    store: Store,
) -> None:
    ends = (NOON + 2, NOON, None, NOON + 1)
    some = [an_activity(a_run(), step=1, schedule_deadline_at=at) for at in ends]
    run = await with_activities(store, *some)
    rows = (await loaded(store, run.id)).activities
    places = {step: ActivityPlace(row.id, run.id, step) for step, row in rows.items()}
    expired = await store.expired_activities(now=NOON + 1, limit=10)
    assert expired == [places[2], places[4]]
    assert await store.expired_activities(now=NOON + 1, limit=1) == expired[:1]
    found = await store.find_activities([rows[1].id, rows[3].id, "unknown"])
    assert {place.step: place for place in found} == {1: places[1], 3: places[3]}


@pytest.mark.parametrize("status", ActivityStatus)
async def test_activity_is_due_at_the_deadline_of_its_status(
    store: Store, status: ActivityStatus
) -> None:
    """Whether it was made so or has become so."""
    fields = {
        "schedule_deadline_at": NOON + 1,
        "close_deadline_at": NOON + 3,
        "schedule_to_close_deadline_at": NOON + 4,
        "heartbeat_deadline_at": NOON + 2,
    }
    first = an_activity(a_run(), step=1)
    run = await with_activities(store, first)
    then = replace(first, run_id=run.id, status=status, **fields)
    await store.commit(a_transition(run, activities=(then,)))
    other = await with_activities(store, an_activity(run, step=1, **fields))
    await with_activities(store, replace(then, id=an_id("activity")))
    expected = {ActivityStatus.PENDING: NOON + 1, ActivityStatus.RUNNING: NOON + 2}
    found = (await store.overdue(now=FAR, limit=10)).activities
    assert [due.deadline_at for due in found if due.run_id != other.id] == (
        [expected[status]] * 2 if status in expected else []
    )
    assert then.deadline_at == expected.get(status)


async def test_activity_without_time_outs_is_never_due(store: Store) -> None:
    run = await with_activities(store, an_activity(a_run(), step=1))
    timed = an_activity(run, step=1, schedule_deadline_at=NOON)
    timed = replace((await loaded(store, run.id)).activities[1], **deadline_of(timed))
    await store.commit(a_transition(run, activities=(timed,)))
    assert len((await store.overdue(now=FAR, limit=10)).activities) == 1
    untimed = replace(timed, schedule_deadline_at=None)
    await store.commit(a_transition(replace(run, version=2), activities=(untimed,)))
    assert (await store.overdue(now=FAR, limit=10)).activities == []


def deadline_of(activity: Activity) -> dict[str, int | None]:
    return {"schedule_deadline_at": activity.schedule_deadline_at}


# runs that time out -----------------------------------------------------------------
async def test_due_runs_come_oldest_first_within_the_limit(store: Store) -> None:
    ends = (NOON + 2, NOON, None, NOON + 1, NOON + 3)
    runs = [a_run(run_deadline_at=at) for at in ends]
    for run in runs:
        await store.commit(a_start_transition(run))
    due = await store.due_runs(now=NOON + 2, limit=10)
    assert due == [DueRun(runs[n].id, ends[n]) for n in (1, 3, 0)]
    assert await store.due_runs(now=NOON + 2, limit=2) == due[:2]
    assert await store.due_runs(now=NOON - 1, limit=10) == []


@pytest.mark.parametrize(
    ("run_ends_at", "execution_ends_at", "due_at"),
    [
        (NOON, None, NOON),
        (NOON + 2, NOON + 1, NOON + 1),
        (NOON + 1, NOON + 2, NOON + 1),
    ],
)
async def test_run_is_due_at_its_first_deadline(
    store: Store, run_ends_at: int, execution_ends_at: int | None, due_at: int
) -> None:
    """Whether it was made so or has become so."""
    ends = {
        "run_deadline_at": run_ends_at,
        "execution_deadline_at": execution_ends_at,
    }
    made, changed = a_run(**ends), a_run()
    for run in (made, changed):
        await store.commit(a_start_transition(run))
    await store.commit(a_transition(changed, run_fields=ends))
    due = await store.due_runs(now=FAR, limit=10)
    assert due == [DueRun(made.id, due_at), DueRun(changed.id, due_at)]


@pytest.mark.parametrize("status", RunStatus)
async def test_only_open_runs_are_due(store: Store, status: RunStatus) -> None:
    run = a_run(run_deadline_at=NOON)
    await store.commit(a_start_transition(run))
    await store.commit(a_transition(run, run_fields={"status": status}))
    due = await store.due_runs(now=FAR, limit=10)
    assert due == ([] if status.is_terminal else [DueRun(run.id, NOON)])


# expired leases ---------------------------------------------------------------------
async def test_expired_leases_come_oldest_first_within_the_limit(
    store: Store,
) -> None:
    tasks = [leased(some_task(), until=NOON + at) for at in (3, 1, 2, 9)]
    await with_tasks(store, *tasks, some_task())
    expired = await store.expired_leases(now=NOON + 3, limit=10)
    assert [lease.task_id for lease in expired] == [
        tasks[1].id,
        tasks[2].id,
        tasks[0].id,
    ]
    assert await store.expired_leases(now=NOON + 3, limit=1) == expired[:1]
    assert await store.expired_leases(now=NOON, limit=10) == []


async def test_expired_lease_tells_its_run_and_kind(store: Store) -> None:
    run = a_run()
    task = leased(an_activity_task(an_activity(run, step=1), run), until=NOON)
    await store.commit(a_start_transition(run, new_tasks=(task,)))
    assert await store.expired_leases(now=NOON, limit=10) == [
        ExpiredLease(task.id, run.id, TaskKind.ACTIVITY, NOON)
    ]
    await store.commit(a_transition(run, tasks=(closed(task),)))
    assert await store.expired_leases(now=FAR, limit=10) == []


# queues that wait --------------------------------------------------------------------
async def test_a_task_that_waits_behind_others_shows_its_queue(store: Store) -> None:
    fresh = [replace(some_task(queue=name), available_at=FAR) for name in "abc"]
    late = replace(some_task(queue="b"), priority=9, available_at=NOON)
    await with_tasks(store, *fresh, late)
    assert await store.waiting_queue(due_before=NOON) is None
    waiting = await store.waiting_queue(due_before=NOON + 1)
    assert waiting == QueueKey(late.namespace, "b", late.kind)


async def test_queues_without_tasks_do_not_wait(store: Store) -> None:
    assert await store.waiting_queue(due_before=FAR) is None
    await with_tasks(store, leased(some_task(), until=FAR))
    assert await store.waiting_queue(due_before=FAR) is None


async def test_set_operations_hold_among_many_rows(store: Store) -> None:
    """Against a plain sort of the same rows."""
    random = Random(7)
    tasks = [
        some_task(
            priority=random.randrange(3),
            available_at=NOON + random.randrange(-20, 20),
            queue=random.choice(["orders", "billing"]),
        )
        for _ in range(120)
    ]
    random.shuffle(tasks)
    for start in range(0, len(tasks), 10):
        await with_tasks(store, *tasks[start : start + 10])
    ready = sorted(
        (t for t in tasks if t.queue == "orders" and t.available_at <= NOON),
        key=lambda t: (t.priority, t.available_at, t.id),
    )
    assert await ready_ids(store, ORDERS, limit=200) == [task.id for task in ready]
    assert await ready_ids(store, ORDERS, limit=7) == [task.id for task in ready[:7]]
