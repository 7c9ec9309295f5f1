"""The nodes of the cluster, judged by the clock of the database."""

from __future__ import annotations

from dataclasses import replace

from dwserver.store.api import ClusterNode, LiveNode, Store
from tests.store.raw_sql import execute

SECOND = 1_000_000
LIVE_WITHIN = 60 * SECOND
FORGET_AFTER = 3600 * SECOND


def a_node(name: str, *, started_at: int = 1_000) -> ClusterNode:
    return ClusterNode(
        node_id=name,
        process_class="matching_node",
        roles=("matching", "scheduler"),
        internal_address=f"http://{name}:8080",
        version="1.2.3",
        started_at=started_at,
        details={"load": {"polls": 3}},
    )


async def beat(store: Store, node: ClusterNode) -> list[LiveNode]:
    return await store.heartbeat_node(
        node, live_within=LIVE_WITHIN, forget_after=FORGET_AFTER
    )


async def set_back(url: str, name: str, *, seconds: int) -> None:
    """Let the last heartbeat of a node be older."""
    await execute(
        url,
        f"update cluster_nodes set heartbeat_at = heartbeat_at - {seconds * SECOND} "  # noqa: S608
        f"where node_id = '{name}'",
    )


async def rows(url: str) -> list[object]:
    found = await execute(url, "select node_id from cluster_nodes order by node_id")
    return [row[0] for row in found]


async def test_a_heartbeat_registers_and_lists_the_live_nodes(store: Store) -> None:
    first, second = a_node("a"), a_node("b")
    assert [each.node for each in await beat(store, second)] == [second]
    assert [each.node for each in await beat(store, first)] == [first, second]
    changed = replace(first, version="1.2.4", details={"load": {"polls": 0}})
    assert [each.node for each in await beat(store, changed)] == [changed, second]
    live = await store.live_nodes(within=LIVE_WITHIN)
    assert [each.node for each in live] == [changed, second]


async def test_the_age_of_a_heartbeat_is_the_databases(
    store: Store, store_url: str
) -> None:
    [own] = await beat(store, a_node("a"))
    assert own.heartbeat_age < 30 * SECOND
    await set_back(store_url, "a", seconds=40)
    [seen] = await store.live_nodes(within=LIVE_WITHIN)
    assert seen.heartbeat_at == own.heartbeat_at - 40 * SECOND
    assert 40 * SECOND <= seen.heartbeat_age < 60 * SECOND
    [again] = await beat(store, a_node("a"))
    assert again.heartbeat_at >= own.heartbeat_at


async def test_a_silent_node_is_gone_and_later_forgotten(
    store: Store, store_url: str
) -> None:
    for name in ("a", "b", "c"):
        await beat(store, a_node(name))
    await set_back(store_url, "a", seconds=61)
    await set_back(store_url, "b", seconds=3601)
    assert [each.node.node_id for each in await beat(store, a_node("c"))] == ["c"]
    live = await store.live_nodes(within=LIVE_WITHIN)
    assert [each.node.node_id for each in live] == ["c"]
    assert await rows(store_url) == ["a", "c"]
    # Silent for long, and alive after all.
    revived = await beat(store, a_node("a"))
    assert [each.node.node_id for each in revived] == ["a", "c"]


async def test_an_id_belongs_to_the_process_that_started_last(
    store: Store, store_url: str
) -> None:
    old, new = a_node("a", started_at=1), a_node("a", started_at=2)
    await beat(store, old)
    assert [each.node for each in await beat(store, new)] == [new]
    assert await beat(store, old) == []
    assert new in [each.node for each in await beat(store, a_node("b"))]
    assert not await store.delete_node("a", started_at=1)
    # The clock of another machine may lag: nobody waits for a process that is gone.
    await set_back(store_url, "a", seconds=61)
    assert old in [each.node for each in await beat(store, old)]


async def test_a_node_leaves_once(store: Store) -> None:
    await beat(store, a_node("a", started_at=7))
    assert await store.delete_node("a", started_at=7)
    assert not await store.delete_node("a", started_at=7)
    assert await store.live_nodes(within=LIVE_WITHIN) == []
