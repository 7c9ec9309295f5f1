"""The list of live nodes."""

from __future__ import annotations

from typing import Any

from dwserver.http.system.cluster_nodes import index
from dwserver.services.records import LiveNode
from dwserver.store.api import ClusterNode
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass, Role
from tests.http.handler_stage import Stage

NOON = 1_776_081_600_000_000
SECOND = 1_000_000
OWN = Peer(
    node_id="matching-1",
    process_class=ProcessClass.MATCHING_NODE,
    roles=(Role.MATCHING,),
    address="http://10.0.0.1:8080",
    version="1.0.0",
)


def a_row(name: str, *, age: int = 0, **details: Any) -> LiveNode:
    node = ClusterNode(
        node_id=name,
        process_class="matching_node",
        roles=("matching", "of-another-version"),
        internal_address=f"http://{name}:8080",
        version="1.0.0",
        started_at=NOON - 60 * SECOND,
        details=details,
    )
    return LiveNode(node, NOON - age, age)


async def rows_of(*nodes: LiveNode) -> list[dict[str, Any]]:
    stage = Stage({"membership.nodes": list(nodes)}, {"membership.own": OWN})
    answer = await stage.ask(index)
    assert answer.status == 200
    rows: list[dict[str, Any]] = answer.body["nodes"]
    return rows


async def test_a_node_shows_what_it_is_and_how_busy() -> None:
    load = {"requests_in_flight": 12, "polls_waiting": 9, "of_another_version": 1}
    details = {"shape": "split_control_execution", "load": load}
    [row] = await rows_of(a_row("matching-1", age=1_500_000, **details))
    assert row == {
        "node_id": "matching-1",
        "shape": "split_control_execution",
        "process_class": "matching_node",
        "roles": ["matching", "of-another-version"],
        "version": "1.0.0",
        "address": "http://matching-1:8080",
        "started_at": "2026-04-13T11:59:00.000000Z",
        "last_heartbeat_at": "2026-04-13T11:59:58.500000Z",
        "last_heartbeat_age_seconds": 1.5,
        "load": {"requests_in_flight": 12, "polls_waiting": 9},
        "is_answering": True,
    }


async def test_a_row_without_details_is_shown_as_well() -> None:
    [row] = await rows_of(a_row("other", age=-3))
    assert row["shape"] is None
    assert row["load"] == {"requests_in_flight": 0, "polls_waiting": 0}
    assert (row["last_heartbeat_age_seconds"], row["is_answering"]) == (0, False)
