"""Which peer a key leads to."""

from __future__ import annotations

from collections import Counter

from dwserver.topology.peers import Peer, peers_hosting, ranked
from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape

SPLIT = BUNDLES[Shape.SPLIT_CONTROL_EXECUTION]
KEYS = [b"default\0queue-%d" % number for number in range(4000)]


def a_peer(name: str, process_class: ProcessClass = ProcessClass.MATCHING_NODE) -> Peer:
    return Peer(
        node_id=name,
        process_class=process_class,
        roles=SPLIT[process_class],
        address=f"http://{name}:8080",
        version="1.0",
    )


PEERS = [a_peer(f"node-{number}") for number in range(4)]


def test_peers_are_told_apart_by_their_roles() -> None:
    peers = [a_peer(name.value, name) for name in SPLIT]
    hosting = {role: {p.node_id for p in peers_hosting(role, peers)} for role in Role}
    assert hosting == {
        Role.API_INGRESS: {"ingress_node", "control_plane_node"},
        Role.CONTROL_PLANE: {"control_plane_node"},
        Role.HISTORY_PROJECTION: {"control_plane_node", "history_projection_node"},
        Role.MATCHING: {"matching_node"},
        Role.SCHEDULER: {"scheduler_node"},
        Role.EXECUTION_PLANE: {"execution_node"},
    }


def test_the_order_is_a_permutation_that_depends_on_the_key_alone() -> None:
    for key in KEYS[:200]:
        order = ranked(key, PEERS)
        assert sorted(p.node_id for p in order) == [p.node_id for p in PEERS]
        assert ranked(key, PEERS[::-1]) == order
    assert ranked(b"key", []) == []


def test_keys_spread_evenly_over_first_and_second_choices() -> None:
    for place in (0, 1):
        counts = Counter(ranked(key, PEERS)[place].node_id for key in KEYS)
        assert len(counts) == len(PEERS)
        assert max(counts.values()) < 1.15 * len(KEYS) / len(PEERS)
        assert min(counts.values()) > 0.85 * len(KEYS) / len(PEERS)


def test_a_leaving_node_moves_only_its_own_keys() -> None:
    gone, left = PEERS[2], [*PEERS[:2], *PEERS[3:]]
    for key in KEYS:
        before = ranked(key, PEERS)
        assert ranked(key, left) == [peer for peer in before if peer != gone]


def test_a_joining_node_takes_its_share_from_everybody() -> None:
    new = a_peer("node-new")
    moved = Counter()
    for key in KEYS:
        old, now = ranked(key, PEERS)[0], ranked(key, [new, *PEERS])[0]
        if now != old:
            assert now == new
            moved[old.node_id] += 1
    assert set(moved) == {peer.node_id for peer in PEERS}
    assert 0.15 < moved.total() / len(KEYS) < 0.25
