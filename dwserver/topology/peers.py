"""The nodes that a node knows, and which of them to turn to.

Rendezvous hashing: every node has a weight for every key, and the heaviest one is the
choice. Nodes that know the same peers choose alike without asking each other, and one
that joins or leaves moves only the keys that are its own (``architecture.md`` §5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from dwserver.topology.shapes import Bundle, ProcessClass, Role

_WEIGHT_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A live node. ``address``: how the other nodes reach it, ``http://10.0.0.3:8080``,
    without a slash at the end."""

    node_id: str
    process_class: ProcessClass
    roles: Bundle
    address: str
    version: str


def peers_hosting(role: Role, peers: Sequence[Peer]) -> tuple[Peer, ...]:
    return tuple(peer for peer in peers if role in peer.roles)


def ranked(key: bytes, peers: Sequence[Peer]) -> list[Peer]:
    """The peers in the order in which to try them for ``key``, whatever order they
    come in."""

    def weight(peer: Peer) -> tuple[bytes, str]:
        hashed = blake2b(peer.node_id.encode(), digest_size=_WEIGHT_BYTES)
        hashed.update(b"\0")
        hashed.update(key)
        return hashed.digest(), peer.node_id

    return sorted(peers, key=weight, reverse=True)
