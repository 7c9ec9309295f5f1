"""A node among the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from dwserver.services.membership import Membership
from dwserver.store.api import ClusterNode, LiveNode, Store, StoreUnavailable
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass, Role, Shape
from tests.support.faulty_store import FaultyStore

BEAT_SECONDS = 20.0
LOAD = {"requests_in_flight": 2}
STALE_SECONDS = 3 * BEAT_SECONDS


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def a_peer(name: str) -> Peer:
    return Peer(
        node_id=name,
        process_class=ProcessClass.MATCHING_NODE,
        roles=(Role.MATCHING,),
        address=f"http://{name}:1",
        version="1",
    )


def a_member(store: Store | None, name: str, clock: Clock | None = None) -> Membership:
    return Membership(
        store,
        a_peer(name),
        shape=Shape.SPLIT_CONTROL_EXECUTION,
        started_at=1,
        heartbeat_seconds=BEAT_SECONDS,
        monotonic=clock or Clock(),
    )


def others(member: Membership) -> set[str]:
    return {peer.node_id for peer in member.live()[1:]}


async def test_nodes_see_each_other_from_their_second_heartbeat_on(
    any_store: Store,
) -> None:
    ann, ben = a_member(any_store, "ann"), a_member(any_store, "ben")
    await ann.beat(LOAD)
    await ben.beat(LOAD)
    assert (others(ann), others(ben)) == (set(), {"ann"})
    await ann.beat(LOAD)
    assert ann.live() == (a_peer("ann"), a_peer("ben"))
    ben.listen_at("http://ben:2")
    await ben.beat(LOAD)
    await ann.beat(LOAD)
    assert ann.live()[1] == replace(a_peer("ben"), address="http://ben:2")
    [first, _] = await ann.nodes()
    assert first.node.details == {
        "shape": "split_control_execution",
        "load": LOAD,
    }


async def test_a_node_may_look_before_its_next_heartbeat(any_store: Store) -> None:
    ann, ben = a_member(any_store, "ann"), a_member(any_store, "ben")
    await ann.beat(LOAD)
    await ben.beat(LOAD)
    await ann.look()
    assert others(ann) == {"ben"}
    await ben.leave()
    await ann.look()
    assert others(ann) == set()


async def test_a_node_that_leaves_is_gone_and_still_sees_the_others(
    any_store: Store,
) -> None:
    ann, ben = a_member(any_store, "ann"), a_member(any_store, "ben")
    await ann.beat(LOAD)
    await ben.beat(LOAD)
    await ben.leave()
    await ben.leave()
    await ben.beat(LOAD)
    await ann.beat(LOAD)
    assert (others(ann), others(ben)) == (set(), {"ann"})


async def test_a_heartbeat_under_way_does_not_outlive_the_farewell(
    any_store: Store,
) -> None:
    faults = FaultyStore(any_store)
    ann = a_member(faults.store, "ann")
    async with faults.holding("heartbeat_node") as hold:
        beat = asyncio.create_task(ann.beat(LOAD))
        await hold.reached()
        farewell = asyncio.create_task(ann.leave())
        await asyncio.sleep(0)
    await asyncio.gather(beat, farewell)
    assert await ann.nodes() == []


async def test_an_unreachable_node_is_left_out_until_its_next_heartbeat(
    any_store: Store,
) -> None:
    ann, ben = a_member(any_store, "ann"), a_member(any_store, "ben")
    await ben.beat(LOAD)
    await ann.beat(LOAD)
    ann.report_unreachable("ben")
    ann.report_unreachable("nobody")
    assert others(ann) == set()
    await ann.beat(LOAD)
    assert others(ann) == set()
    await ben.beat(LOAD)
    await ann.beat(LOAD)
    assert others(ann) == {"ben"}


async def test_the_view_outlives_the_database(any_store: Store) -> None:
    """After an outage the first node to come back must not think itself alone."""
    clock, faults = Clock(), FaultyStore(any_store)
    ann, ben = a_member(faults.store, "ann", clock), a_member(any_store, "ben")
    await ben.beat(LOAD)
    await ann.beat(LOAD)
    faults.fail_next("heartbeat_node", StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        await ann.beat(LOAD)
    assert others(ann) == {"ben"}
    clock.seconds += STALE_SECONDS + 1
    # As if its row had grown old meanwhile.
    await ben.leave()
    await ann.beat(LOAD)
    assert others(ann) == {"ben"}
    clock.seconds += STALE_SECONDS
    await ann.beat(LOAD)
    assert others(ann) == set()


class OtherClock:
    """A database whose clock is not ours: answers heartbeats with given rows."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []

    async def heartbeat_node(self, node: ClusterNode, **_: int) -> list[LiveNode]:
        return [LiveNode(replace(node, node_id=name), at, 0) for name, at in self.rows]


async def test_the_view_outlives_a_database_whose_clock_is_ahead() -> None:
    """The rows of the others are old to it until they have renewed them there."""
    clock, database = Clock(), OtherClock()
    ann = a_member(cast(Store, database), "ann", clock)
    database.rows = [("ann", 1_000_000), ("ben", 900_000)]
    await ann.beat(LOAD)
    clock.seconds += BEAT_SECONDS
    jump = round((STALE_SECONDS + BEAT_SECONDS) * 1_000_000)
    database.rows = [("ann", 1_000_000 + jump)]
    await ann.beat(LOAD)
    assert others(ann) == {"ben"}
    clock.seconds += STALE_SECONDS
    database.rows = [("ann", 1_000_000 + jump + round(STALE_SECONDS * 1_000_000))]
    await ann.beat(LOAD)
    assert others(ann) == set()


async def test_words_of_another_version_are_no_peers(any_store: Store) -> None:
    ann, ben = a_member(any_store, "ann"), a_member(any_store, "ben")
    await ben.beat(LOAD)
    [row] = await ben.nodes()
    for name, process_class, roles in (
        ("x", "gateway_node", ("gateway",)),
        ("y", "matching_node", ("gateway", "matching")),
    ):
        node = replace(row.node, node_id=name, process_class=process_class, roles=roles)
        await any_store.heartbeat_node(node, live_within=10**9, forget_after=10**9)
    await ann.beat(LOAD)
    assert others(ann) == {"ben", "y"}
    assert {each.node.node_id for each in await ann.nodes()} == {"ann", "ben", "x", "y"}
    assert {peer.roles for peer in ann.live()} == {(Role.MATCHING,)}


async def test_a_node_without_a_cluster_is_alone() -> None:
    alone = a_member(None, "alone")
    await alone.beat(LOAD)
    [row] = await alone.nodes()
    assert (alone.live(), row.node.node_id) == ((a_peer("alone"),), "alone")
    await alone.leave()
    assert row.heartbeat_age == 0
