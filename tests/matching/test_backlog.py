"""Known ready tasks that nobody waited for."""

from __future__ import annotations

from dwserver.engine.words import TaskKind
from dwserver.matching.backlog import MAX_LOOK, Backlog
from dwserver.store.api import QueueKey, ReadyTask
from tests.matching.stage import ORDERS, a_poller
from tests.support.builders import NOON

OTHER = QueueKey("default", "other", TaskKind.WORKFLOW)
SHIPPING = frozenset({"orders.Ship"})


def ready(
    task_id: str,
    *,
    key: QueueKey = ORDERS,
    type_name: str = "orders.Ship",
    definition: str | None = None,
) -> ReadyTask:
    run_id = f"run-{task_id}"
    return ReadyTask(key, task_id, run_id, type_name, None, NOON, definition)


async def test_the_oldest_suitable_task_is_taken() -> None:
    backlog = Backlog(max_tasks=10)
    for task in (
        ready("t1", type_name="orders.Bill"),
        ready("t2"),
        ready("t3"),
        ready("t4", key=OTHER),
    ):
        assert backlog.add(task)
    shipper = a_poller(types=SHIPPING)
    taken = [backlog.take(shipper), backlog.take(shipper), backlog.take(shipper)]
    assert [task and task.task_id for task in taken] == ["t2", "t3", None]
    anything = backlog.take(a_poller())
    assert anything is not None
    assert anything.task_id == "t1"


async def test_it_takes_no_more_than_its_bound() -> None:
    backlog = Backlog(max_tasks=2)
    assert backlog.add(ready("t1"))
    assert backlog.add(ready("t2", key=OTHER))
    assert not backlog.add(ready("t3"))
    backlog.take(a_poller())
    assert backlog.add(ready("t4"))


async def test_forgetting_a_queue_makes_room() -> None:
    backlog = Backlog(max_tasks=2)
    backlog.add(ready("t1"))
    backlog.add(ready("t2"))
    backlog.forget(ORDERS)
    backlog.forget(OTHER)
    assert backlog.queues() == []
    assert backlog.take(a_poller()) is None
    assert backlog.add(ready("t3"))
    assert backlog.add(ready("t4"))


async def test_a_poll_looks_only_so_far_past_unsuitable_tasks() -> None:
    backlog = Backlog(max_tasks=1000)
    for number in range(MAX_LOOK):
        backlog.add(ready(f"bill-{number}", type_name="orders.Bill"))
    backlog.add(ready("ship"))
    shipper = a_poller(types=SHIPPING)
    assert backlog.take(shipper) is None
    assert backlog.take(a_poller()) is not None
    found = backlog.take(shipper)
    assert found is not None
    assert found.task_id == "ship"


async def test_what_the_database_has_comes_first_and_once() -> None:
    backlog = Backlog(max_tasks=3)
    backlog.add(ready("t3"))
    backlog.add(ready("t4"))
    backlog.put_in_front([ready("t1"), ready("t2"), ready("t3")])
    taken = [backlog.take(a_poller()) for _ in range(5)]
    assert [task and task.task_id for task in taken] == ["t1", "t2", "t3", "t4", None]
    assert all(backlog.add(ready(f"n{number}")) for number in range(3))


async def test_tasks_of_other_definitions_are_in_nobodys_way() -> None:
    backlog = Backlog(max_tasks=1000)
    for number in range(MAX_LOOK + 1):
        backlog.add(ready(f"stuck-{number}", definition="f1"))
    backlog.add(ready("free"))
    backlog.add(ready("new", definition="f2"))
    newer = a_poller(fingerprints={"orders.Ship": "f2"}, types=SHIPPING)
    taken = [backlog.take(newer) for _ in range(3)]
    assert [task and task.task_id for task in taken] == ["free", "new", None]
    oldest = backlog.take(a_poller())
    assert oldest is not None
    assert oldest.task_id == "stuck-0"


async def test_the_oldest_of_all_lanes_comes_first_and_all_are_counted() -> None:
    backlog = Backlog(max_tasks=4)
    backlog.add(ready("t3", definition="f1"))
    backlog.add(ready("t4"))
    backlog.put_in_front([ready("t1"), ready("t2", definition="f2")])
    assert not backlog.add(ready("t5"))
    taken = [backlog.take(a_poller()) for _ in range(5)]
    assert [task and task.task_id for task in taken] == ["t1", "t2", "t3", "t4", None]
    assert not backlog.holds(ORDERS)
    backlog.add(ready("t6", definition="f1"))
    backlog.forget(ORDERS)
    assert all(backlog.add(ready(f"n{number}")) for number in range(4))
