"""Cohorts as operators see them: brought together, in order."""

from __future__ import annotations

from typing import Any

from dwserver.services.build_rollouts import cohorts, in_order
from dwserver.store.rollouts import CohortKey, CohortWorkers, Rollout
from tests.support.builders import NOON
from tests.support.small_server import SmallServer


def workers(build_id: str | None, **fields: Any) -> CohortWorkers:
    values: dict[str, Any] = {
        "runtime": "python",
        "sdk_version": None,
        "active": 0,
        "draining": 0,
        "stale": 0,
        "first_seen_at": NOON,
        "last_heartbeat_at": NOON,
        **fields,
    }
    return CohortWorkers(cohort=CohortKey("default", "orders", build_id), **values)


def drained(build_id: str | None) -> Rollout:
    cohort = CohortKey("default", "orders", build_id)
    return Rollout(cohort=cohort, is_draining=True, drained_at=NOON)


def test_cohorts_stand_in_the_order_of_their_service() -> None:
    found = cohorts(
        [drained("late"), drained("gone"), drained("mixed")],
        [
            workers("silent", stale=1),
            workers("late", draining=1),
            workers(None, active=1, last_heartbeat_at=NOON + 9),
            workers("new", active=1, last_heartbeat_at=NOON + 1),
            workers("newer", active=1, last_heartbeat_at=NOON + 2),
            workers("mixed", active=1),
        ],
    )
    assert [cohort.key.build_id for cohort in in_order(found)] == [
        *("newer", "new", None),
        "mixed",
        *("late", "gone"),
        "silent",
    ]


def test_workers_of_one_build_are_one_cohort() -> None:
    (cohort,) = cohorts(
        [],
        [
            workers("b1", active=1, sdk_version="2.1", last_heartbeat_at=NOON + 5),
            workers("b1", draining=2, runtime="go", sdk_version="2.0"),
            workers("b1", stale=3, first_seen_at=NOON - 5),
        ],
    )
    assert (cohort.active, cohort.draining, cohort.stale) == (1, 2, 3)
    assert (cohort.runtimes, cohort.sdk_versions) == (("go", "python"), ("2.0", "2.1"))
    assert (cohort.first_seen_at, cohort.last_heartbeat_at) == (NOON - 5, NOON + 5)
    assert not cohort.is_draining


async def test_an_intent_waits_for_workers_that_are_still_to_come(
    node: SmallServer, second_node: SmallServer
) -> None:
    """It is kept without workers, and heard of in every process."""
    await node.drain("b1")
    await second_node.register("late", build_id="b1")
    found = await node.services.rollouts.of_queue("default", "orders")
    (cohort,) = (each for each in found if each.key.build_id == "b1")
    assert (cohort.status, cohort.draining) == ("draining", 1)
    (queue,) = await second_node.services.rollouts.drained_queues()
    assert queue == ("default", "orders")
    assert await second_node.services.rollouts.drained_queues("other") == {}
    await second_node.resume("b1")
    assert await node.services.rollouts.drained_queues() == {}
