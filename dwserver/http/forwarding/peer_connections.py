"""The nodes that this one may pass requests to, each with its connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dwserver.http.forwarding.breaker import BreakerState
from dwserver.http.forwarding.choice import Choice
from dwserver.http.forwarding.peer_pool import PeerPool, PoolLimits
from dwserver.topology.gate import RouteFamily
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import Bundle

LOOK_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 1.5
"""A late answer is better than none, while nodes come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The view of the cluster: all live nodes with this one, and where to report that
    one of them cannot be reached. ``own_roles`` are those of this node. ``look`` brings
    the view up to date, as far as that is possible now."""

    own_id: str
    own_roles: Bundle
    live: Callable[[], Sequence[Peer]]
    report_unreachable: Callable[[str], None]
    look: Callable[[], Awaitable[None]]


class PeerConnections:
    """Follows the view of the cluster from one :meth:`refresh` to the next."""

    def __init__(self, neighbours: Neighbours, limits: PoolLimits) -> None:
        self._neighbours = neighbours
        self._limits = limits
        # A node that comes back under another address is another one.
        self._pools: dict[tuple[str, str], PeerPool] = {}
        self._choice = Choice()
        # Some node is silent or has an open breaker.
        self._is_troubled = False
        self._next_look_at = 0.0

    def in_order(self, family: RouteFamily, key: str | None) -> Iterator[PeerPool]:
        """The nodes to try for a request, one after the other. Those that have been
        silent for too long come last; those that cannot be reached are left out."""
        if not self._choice.serves(family):
            # Perhaps one has joined since.
            self.refresh()
        return self._pools_of(self._choice.order(family, key))

    async def look(self, *, until: float) -> bool:
        """Bring the view of the cluster up to date, for a request that nobody could be
        asked: a node may have joined since the last heartbeat of this one. However many
        requests wait, this happens once in ``LOOK_SECONDS``. False when it is too late
        (``until``, of the loop's clock) to try again."""
        now = asyncio.get_running_loop().time()
        if now >= until:
            return False
        if now < self._next_look_at:
            await asyncio.sleep(self._next_look_at - now)
            return True
        self._next_look_at = now + LOOK_SECONDS
        try:
            async with asyncio.timeout_at(until):
                await self._neighbours.look()
        except TimeoutError:
            return False
        self.refresh()
        return True

    def _pools_of(self, order: Sequence[Peer]) -> Iterator[PeerPool]:
        pools = map(self._pool_of, order)
        return self._admitted(pools) if self._is_troubled else pools

    def _admitted(self, pools: Iterable[PeerPool]) -> Iterator[PeerPool]:
        now = asyncio.get_running_loop().time()
        # Sorting keeps the order of equals.
        for pool in sorted(pools, key=lambda pool: pool.is_silent):
            if pool.breaker.admits(now):
                yield pool

    def _pool_of(self, peer: Peer) -> PeerPool:
        return self._pools[_place(peer)]

    def refresh(self) -> None:
        """Look at the cluster again, and tidy up."""
        now = asyncio.get_running_loop().time()
        self._follow(now)
        for place, pool in tuple(self._pools.items()):
            pool.tidy(now)
            if pool.departed_at is not None and not pool.busy:
                del self._pools[place]
        self._is_troubled = any(
            pool.is_silent or not pool.breaker.is_closed
            for pool in self._pools.values()
        )

    def to_probe(self) -> list[PeerPool]:
        """Those that have to show that they are still there."""
        now = asyncio.get_running_loop().time()
        return [pool for pool in self._pools.values() if pool.needs_probe(now)]

    def out_of_reach(self) -> set[str]:
        """Ids of nodes whose breaker is open."""
        pools = self._pools.values()
        return {pool.peer.node_id for pool in pools if not pool.breaker.is_closed}

    def release_polls(self, error: Exception, *, others_end_in: float) -> None:
        """Cut what holds a long poll, and give the rest so many seconds."""
        until = asyncio.get_running_loop().time() + others_end_in
        for pool in self._pools.values():
            for connection, is_held in tuple(pool.busy.items()):
                if is_held:
                    connection.abort(error)
                else:
                    connection.deadline = min(connection.deadline, until)

    def close(self, error: Exception) -> None:
        """Cut every connection."""
        for pool in self._pools.values():
            pool.abort(error)

    def counts(self) -> tuple[int, int]:
        """Connections with a request, and those without."""
        pools = self._pools.values()
        return sum(len(each.busy) for each in pools), sum(
            len(each.idle) for each in pools
        )

    def breaker_states(self) -> Counter[BreakerState]:
        now = asyncio.get_running_loop().time()
        return Counter(pool.breaker.state(now) for pool in self._pools.values())

    def _follow(self, now: float) -> None:
        own_id = self._neighbours.own_id
        peers = tuple(
            peer for peer in self._neighbours.live() if peer.node_id != own_id
        )
        if peers == self._choice.peers:
            return
        self._choice = Choice(peers, own=self._neighbours.own_roles)
        live = {_place(peer): peer for peer in peers}
        for place, pool in self._pools.items():
            if place in live:
                pool.departed_at = None
            elif pool.departed_at is None:
                pool.departed_at = now
        for place, peer in live.items():
            if place not in self._pools:
                self._pools[place] = self._pool(peer)

    def _pool(self, peer: Peer) -> PeerPool:
        def report() -> None:
            self._is_troubled = True
            self._neighbours.report_unreachable(peer.node_id)

        return PeerPool(peer, self._limits, on_breaker_opened=report)


def _place(peer: Peer) -> tuple[str, str]:
    return peer.node_id, peer.address
