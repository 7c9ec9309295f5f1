"""What operators want of cohorts, and how registrations take it over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.store.api import Store, WorkerRegistration
from dwserver.store.rollouts import CohortKey, CohortWorkers, QueueName, Rollout
from tests.support.builders import NOON, SECOND, a_worker

B1 = CohortKey("default", "orders", "b1")
NONE = CohortKey("default", "orders", None)
ORDERS = QueueName("default", "orders")
ROWS = 1_000


async def statuses(store: Store, *worker_ids: str) -> list[str]:
    found = [await store.find_worker("default", each) for each in worker_ids]
    return [worker.status for worker in found if worker]


@pytest.mark.parametrize("cohort", [B1, NONE])
async def test_a_repeated_drain_keeps_its_time(store: Store, cohort: CohortKey) -> None:
    first = await store.put_rollout(cohort, is_draining=True, at=NOON)
    assert first == Rollout(cohort=cohort, is_draining=True, drained_at=NOON)
    assert await store.put_rollout(cohort, is_draining=True, at=NOON + 1) == first
    for _ in range(2):
        resumed = await store.put_rollout(cohort, is_draining=False, at=NOON + 2)
        assert resumed == Rollout(cohort=cohort, is_draining=False, drained_at=None)
    again = await store.put_rollout(cohort, is_draining=True, at=NOON + 3)
    assert again.drained_at == NOON + 3
    assert await store.list_rollouts([ORDERS], limit=ROWS) == [again]


async def test_registrations_take_the_intent_over_when_they_are_written(
    store: Store,
) -> None:
    for worker_id, build_id in (("old", "b1"), ("new", "b2"), ("plain", None)):
        worker = a_worker(worker_id, task_queue="orders", build_id=build_id)
        assert await store.put_worker(worker) == replace(worker, status="active")
    elsewhere = a_worker("bill", task_queue="bills", build_id="b1")
    await store.put_worker(elsewhere)
    await store.put_rollout(B1, is_draining=True, at=NOON)
    assert await statuses(store, "old") == ["active"]
    touched = await store.touch_workers(
        [("default", each) for each in ("old", "new", "plain", "bill")], at=NOON
    )
    assert {worker.worker_id: worker.status for worker in touched} == {
        "old": "draining",
        "new": "active",
        "plain": "active",
        "bill": "active",
    }
    late = a_worker("late", task_queue="orders", build_id="b1")
    assert (await store.put_worker(late)).status == "draining"
    assert await statuses(store, "old", "late") == ["draining", "draining"]

    await store.put_rollout(NONE, is_draining=True, at=NOON)
    plain = a_worker("plain", task_queue="orders", build_id=None)
    assert (await store.put_worker(plain)).status == "draining"
    await store.put_rollout(B1, is_draining=False, at=NOON)
    assert sorted(await store.resume_workers(B1)) == ["late", "old"]
    assert await store.resume_workers(B1) == []
    assert await statuses(store, "old", "late", "plain") == [
        "active",
        "active",
        "draining",
    ]
    await store.put_rollout(NONE, is_draining=False, at=NOON)
    assert await store.resume_workers(NONE) == ["plain"]


async def test_workers_are_added_up_by_cohort(store: Store) -> None:
    def worker(name: str, heard_at: int, **fields: object) -> WorkerRegistration:
        values = {"registered_at": heard_at - 5, **fields}
        return a_worker(name, last_heartbeat_at=heard_at, **values)

    for each in (
        worker("a", NOON, build_id="b1", sdk_version="2.0"),
        worker("b", NOON + 1, build_id="b1", sdk_version="2.0"),
        worker("c", NOON + 2, build_id="b1", sdk_version="2.1"),
        worker("d", NOON, runtime="go", sdk_version=None),
        worker("e", NOON, task_queue="bills"),
        worker("f", NOON, namespace="other"),
    ):
        await store.put_worker(each)
    await store.put_rollout(NONE, is_draining=True, at=NOON)
    await store.touch_workers([("default", "d")], at=NOON + 9)
    found = await store.list_cohort_workers([ORDERS], silent_since=NOON, rows=ROWS)
    assert sorted(found, key=lambda each: (each.runtime, each.sdk_version or "")) == [
        CohortWorkers(
            cohort=NONE,
            runtime="go",
            sdk_version=None,
            active=0,
            draining=1,
            stale=0,
            first_seen_at=NOON - 5,
            last_heartbeat_at=NOON + 9,
        ),
        CohortWorkers(
            cohort=B1,
            runtime="python",
            sdk_version="2.0",
            active=1,
            draining=0,
            stale=1,
            first_seen_at=NOON - 5,
            last_heartbeat_at=NOON + 1,
        ),
        CohortWorkers(
            cohort=B1,
            runtime="python",
            sdk_version="2.1",
            active=1,
            draining=0,
            stale=0,
            first_seen_at=NOON - 3,
            last_heartbeat_at=NOON + 2,
        ),
    ]
    (only,) = await store.list_cohort_workers([ORDERS], silent_since=0, rows=1)
    assert only.active + only.draining == 1


async def test_queues_with_drains_are_listed_latest_first(store: Store) -> None:
    for namespace, queue, build_id, at in (
        ("default", "orders", "b1", NOON),
        ("default", "orders", "b2", NOON + 9 * SECOND),
        ("default", "bills", None, NOON + SECOND),
        ("other", "orders", "b1", NOON + SECOND),
    ):
        cohort = CohortKey(namespace, queue, build_id)
        await store.put_rollout(cohort, is_draining=True, at=at)
    resumed = CohortKey("default", "done", "b1")
    await store.put_rollout(resumed, is_draining=False, at=NOON)
    bills, other = QueueName("default", "bills"), QueueName("other", "orders")
    every = await store.list_draining_queues(None, rows=ROWS, limit=ROWS)
    assert every == [ORDERS, bills, other]
    own = await store.list_draining_queues("default", rows=ROWS, limit=ROWS)
    assert own == [ORDERS, bills]
    assert await store.list_draining_queues(None, rows=ROWS, limit=1) == [ORDERS]
    assert len(await store.list_draining_queues(None, rows=1, limit=ROWS)) == 1
