"""Which nodes are asked for which request, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dwserver.http.forwarding.choice import Choice, QueuesOfWorkers, key_of
from dwserver.topology.gate import RouteFamily
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass, Role, Shape, roles_of

CONTROL, WORKER, HISTORY = RouteFamily
SPLIT = Shape.SPLIT_CONTROL_EXECUTION
OF_FAMILY = {
    CONTROL: ("control",),
    WORKER: ("matching", "control"),
    # A control-plane node projects as well, and is as good.
    HISTORY: ("control", "history"),
}
CLASSES = {
    "control": ProcessClass.CONTROL_PLANE_NODE,
    "matching": ProcessClass.MATCHING_NODE,
    "history": ProcessClass.HISTORY_PROJECTION_NODE,
    "scheduler": ProcessClass.SCHEDULER_NODE,
    "ingress": ProcessClass.INGRESS_NODE,
}


def peer(node_id: str) -> Peer:
    """``matching-2`` is a matching node."""
    process_class = CLASSES[node_id.partition("-")[0]]
    return Peer(
        node_id=node_id,
        process_class=process_class,
        roles=roles_of(SPLIT, process_class),
        address=f"http://{node_id}:8080",
        version="1",
    )


def cluster(**counts: int) -> list[Peer]:
    return [peer(f"{kind}-{i}") for kind, count in counts.items() for i in range(count)]


def kinds(order: tuple[Peer, ...]) -> list[str]:
    return [each.node_id.partition("-")[0] for each in order]


@pytest.mark.parametrize("family", RouteFamily)
def test_preferred_nodes_come_first_then_their_substitutes(family: RouteFamily) -> None:
    peers = cluster(control=2, matching=2, history=2, scheduler=1, ingress=1)
    expected = [kind for kind in OF_FAMILY[family] for _ in range(2)]
    for key in (None, "a", "b"):
        found = kinds(Choice(peers).order(family, key))
        assert (sorted(found) if family is HISTORY else found) == expected


@pytest.mark.parametrize("family", [WORKER, HISTORY])
def test_the_control_plane_stands_in_for_nodes_that_are_not_there(
    family: RouteFamily,
) -> None:
    peers = cluster(control=1, scheduler=1, ingress=1)
    assert kinds(Choice(peers).order(family, "key")) == ["control"]


@pytest.mark.parametrize(
    ("present", "family"),
    [
        ({"matching": 1, "history": 1, "scheduler": 1, "ingress": 2}, CONTROL),
        ({"history": 1}, WORKER),
        ({"matching": 1}, HISTORY),
        ({}, WORKER),
    ],
)
def test_nobody_is_asked_who_could_not_answer(
    present: dict[str, int], family: RouteFamily
) -> None:
    assert Choice(cluster(**present)).order(family, None) == ()


@pytest.mark.parametrize(
    ("family", "expected"), [(CONTROL, []), (WORKER, ["matching"]), (HISTORY, [])]
)
def test_a_node_asks_nobody_for_what_it_hosts(
    family: RouteFamily, expected: list[str]
) -> None:
    own = roles_of(SPLIT, ProcessClass.CONTROL_PLANE_NODE)
    assert Role.HISTORY_PROJECTION in own
    choice = Choice(cluster(control=1, matching=1, history=1), own=own)
    assert kinds(choice.order(family, None)) == expected


def test_requests_with_a_key_keep_their_node_and_spread_over_all() -> None:
    peers = cluster(matching=3)
    choice, other_view = Choice(peers), Choice(list(reversed(peers)))
    first = Counter[str]()
    for i in range(300):
        order = choice.order(WORKER, f"orders\0queue-{i}")
        assert order == choice.order(WORKER, f"orders\0queue-{i}")
        assert order == other_view.order(WORKER, f"orders\0queue-{i}")
        first[order[0].node_id] += 1
    assert len(first) == 3
    assert min(first.values()) > 50


def test_a_node_that_leaves_moves_only_its_own_keys() -> None:
    peers = cluster(matching=4)
    before, after = Choice(peers), Choice(peers[1:])
    for i in range(200):
        order = before.order(WORKER, str(i))
        rest = tuple(each for each in order if each != peers[0])
        assert after.order(WORKER, str(i)) == rest


def test_requests_without_a_key_take_turns() -> None:
    choice = Choice(cluster(control=3))
    turns = Counter(choice.order(CONTROL, None)[0].node_id for _ in range(9))
    assert set(turns.values()) == {3}


def test_the_order_of_many_keys_is_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dwserver.http.forwarding.choice.MAX_REMEMBERED", 8)
    choice = Choice(cluster(matching=2))
    orders = {str(i): choice.order(WORKER, str(i)) for i in range(100)}
    assert len(choice._ranked) <= 8
    assert {key: choice.order(WORKER, key) for key in orders} == orders


def worker_key(
    queues: QueuesOfWorkers, body: Any, namespace: str = "orders", **params: str
) -> str | None:
    return key_of(WORKER, namespace, params, body=body, queues=queues)


def test_what_a_worker_does_follows_its_polls() -> None:
    queues = QueuesOfWorkers()
    polled = worker_key(queues, {"worker_id": "w1", "task_queue": "q"})
    assert polled == "orders\0q"
    for body, params in [
        ({"lease_owner": "w1", "commands": []}, {"task_id": "t1"}),
        ({"worker_id": "w1"}, {}),
        ({}, {"worker_id": "w1"}),
        ({"lease_owner": "w1"}, {"query_task_id": "q1"}),
    ]:
        assert worker_key(queues, body, **params) == polled
    # The same name in another namespace is another worker.
    assert worker_key(queues, {"worker_id": "w1"}, namespace="billing") is None


def test_a_worker_of_two_queues_is_followed_to_the_last_one() -> None:
    queues = QueuesOfWorkers()
    worker_key(queues, {"worker_id": "w1", "task_queue": "q"})
    worker_key(queues, {"worker_id": "w1", "task_queue": "r"})
    assert worker_key(queues, {"lease_owner": "w1"}) == "orders\0r"


def test_a_task_of_an_unknown_worker_keeps_its_node() -> None:
    queues = QueuesOfWorkers()
    body = {"lease_owner": "who?"}
    assert worker_key(queues, body, task_id="t1") == "orders\0t1"
    assert worker_key(queues, body, query_task_id="q1") == "orders\0q1"
    assert worker_key(queues, body) is None


@pytest.mark.parametrize(
    "body",
    [{}, [], None, "text", {"task_queue": 7, "worker_id": {}}, {"worker_id": ""}],
)
def test_bodies_that_will_be_refused_have_no_key(body: Any) -> None:
    assert worker_key(QueuesOfWorkers(), body) is None


def test_workers_are_forgotten_oldest_first() -> None:
    queues = QueuesOfWorkers(max_workers=2)
    for name in ("a", "b", "c"):
        worker_key(queues, {"worker_id": name, "task_queue": name})
    known = [worker_key(queues, {"worker_id": name}) for name in ("a", "b", "c")]
    assert known == [None, "orders\0b", "orders\0c"]


@pytest.mark.parametrize("family", [CONTROL, HISTORY])
@pytest.mark.parametrize(
    ("params", "body", "expected"),
    [
        ({"workflow_id": "w", "run_id": "r"}, {}, "orders\0w"),
        ({}, {"workflow_id": "w"}, "orders\0w"),
        ({}, {"workflow_id": 7}, None),
        ({}, {}, None),
        ({"workflow_id": "\udcff"}, {}, "orders\0\udcff"),
    ],
)
def test_requests_about_one_workflow_meet(
    family: RouteFamily, params: dict[str, str], body: Any, expected: str | None
) -> None:
    key = key_of(family, "orders", params, body=body, queues=QueuesOfWorkers())
    assert key == expected
    assert Choice(cluster(control=2)).order(family, key)
