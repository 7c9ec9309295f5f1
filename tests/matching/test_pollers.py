"""Who suits a task, and in which order pollers are served (protocol §5)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.words import TaskKind
from dwserver.matching.pollers import WaitingPollers
from dwserver.store.api import Definitions, QueueKey
from tests.matching.stage import ORDERS, a_poller, a_workflow_task

SHIP = frozenset({"orders.Ship"})
SHIPPING = a_workflow_task(type_name="orders.Ship")
BILLING = a_workflow_task(type_name="orders.Bill")
ACTIVITIES = QueueKey("default", "orders", TaskKind.ACTIVITY)


@pytest.mark.parametrize(
    ("worker", "task", "suits"),
    [
        ({}, ("orders.Ship", None), True),
        ({"types": SHIP}, ("orders.Ship", None), True),
        ({"types": SHIP}, ("orders.Bill", None), False),
        # A task without a type is for workers that take every type.
        ({"types": SHIP}, ("", None), False),
        ({}, ("", None), True),
        # Unmarked work suits any worker, marked work only that build.
        ({"build_id": "b1"}, ("orders.Ship", None), True),
        ({"build_id": "b1"}, ("orders.Ship", "b1"), True),
        ({"build_id": "b1"}, ("orders.Ship", "b2"), False),
        ({}, ("orders.Ship", "b1"), False),
        ({"build_id": "b1", "types": SHIP}, ("orders.Bill", "b1"), False),
    ],
)
async def test_build_ids_and_types(
    worker: dict[str, Any], task: tuple[str, str | None], suits: bool
) -> None:
    type_name, compatibility = task
    offered = a_workflow_task(type_name=type_name, compatibility=compatibility)
    assert a_poller(**worker).accepts(offered) is suits


OLD, NEW = {"orders.Ship": "f1"}, {"orders.Ship": "f2"}


@pytest.mark.parametrize(
    ("worker", "recorded", "suits"),
    [
        ({"fingerprints": OLD}, "f1", True),
        ({"fingerprints": NEW}, "f1", False),
        # A run that nobody has begun, or a worker that does not tell.
        ({"fingerprints": NEW}, None, True),
        ({}, "f1", True),
        ({"fingerprints": {"orders.Bill": "f2"}}, "f1", True),
        ({"fingerprints": NEW, "is_pinned": False}, "f1", True),
        # The other rules hold as well.
        ({"fingerprints": OLD, "build_id": "b1"}, "f1", True),
        ({"fingerprints": OLD, "types": frozenset({"orders.Bill"})}, "f1", False),
    ],
)
async def test_definitions(
    worker: dict[str, Any], recorded: str | None, suits: bool
) -> None:
    offered = a_workflow_task(type_name="orders.Ship", definition_fingerprint=recorded)
    assert a_poller(**worker).accepts(offered) is suits


def definitions(*workers: dict[str, Any]) -> Definitions | None:
    pollers = WaitingPollers()
    for worker in workers:
        pollers.add(a_poller(**worker))
    return pollers.definitions([ORDERS, ACTIVITIES]).get(ORDERS)


async def test_which_definitions_are_waited_for() -> None:
    ship, both = frozenset({"orders.Ship"}), frozenset({"orders.Ship", "orders.Bill"})
    old = {"fingerprints": OLD, "types": ship}
    new = {"fingerprints": NEW, "types": ship}
    f1, f2 = frozenset({"f1"}), frozenset({"f2"})
    assert definitions() is None
    assert definitions({"types": ship}) is None
    assert definitions(old) == (f1, frozenset())
    # Polls of one worker before and after it was replaced.
    assert definitions(old, old, new) == (f1 | f2, frozenset())
    some = {"fingerprints": NEW, "types": both}
    assert definitions(some) == (f2, frozenset({"orders.Bill"}))
    assert definitions(old, {"types": both}) == (f1, both)
    # Those that take whatever there is.
    assert definitions(old, {}) is None
    assert definitions({**old, "is_pinned": False}) is None


async def test_the_longest_waiting_poller_is_reserved_first() -> None:
    pollers = WaitingPollers()
    first, second = a_poller("w1"), a_poller("w2")
    pollers.add(first)
    pollers.add(second)
    assert pollers.reserve(ORDERS, SHIPPING) is first
    assert pollers.reserve(ORDERS, SHIPPING) is second
    assert pollers.reserve(ORDERS, SHIPPING) is None


async def test_an_unsuitable_poller_keeps_its_place() -> None:
    pollers = WaitingPollers()
    billing = a_poller("w1", types=frozenset({"orders.Bill"}))
    anything = a_poller("w2")
    pollers.add(billing)
    pollers.add(anything)
    assert pollers.reserve(ORDERS, SHIPPING) is anything
    assert pollers.reserve(ORDERS, BILLING) is billing


async def test_a_poller_that_is_put_back_is_the_first_again() -> None:
    pollers = WaitingPollers()
    first, second = a_poller("w1"), a_poller("w2")
    pollers.add(first)
    pollers.add(second)
    assert pollers.reserve(ORDERS, SHIPPING) is first
    pollers.put_back(first)
    assert pollers.reserve(ORDERS, SHIPPING) is first


async def test_clients_that_have_gone_are_skipped_and_answered_empty() -> None:
    pollers = WaitingPollers()
    gone, here = a_poller("w1", is_connected=lambda: False), a_poller("w2")
    pollers.add(gone)
    pollers.add(here)
    assert pollers.counts()[TaskKind.WORKFLOW] == 1
    assert pollers.reserve(ORDERS, SHIPPING) is here
    assert gone.answer.result() is None
    assert pollers.count(ORDERS) == 0


async def test_queues_and_kinds_are_apart() -> None:
    pollers = WaitingPollers()
    poller = a_poller("w1")
    pollers.add(poller)
    assert pollers.reserve(ACTIVITIES, SHIPPING) is None
    other = QueueKey("other", "orders", TaskKind.WORKFLOW)
    assert pollers.reserve(other, SHIPPING) is None
    assert pollers.queues() == [ORDERS]
    assert pollers.counts() == {TaskKind.WORKFLOW: 1, TaskKind.ACTIVITY: 0}


async def test_an_overdue_poller_is_not_put_back_but_answered() -> None:
    pollers = WaitingPollers()
    poller = a_poller()
    pollers.add(poller)
    assert pollers.reserve(ORDERS, SHIPPING) is poller
    poller.is_overdue = True
    pollers.put_back(poller)
    assert poller.answer.result() is None
    assert pollers.count(ORDERS) == 0


async def test_release_all_answers_every_waiting_poller() -> None:
    pollers = WaitingPollers()
    each = [a_poller("w1"), a_poller("w2"), a_poller("w3", key=ACTIVITIES)]
    for poller in each:
        pollers.add(poller)
    pollers.release_all()
    assert [poller.answer.result() for poller in each] == [None] * 3
    assert pollers.queues() == []
