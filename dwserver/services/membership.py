"""Which nodes make up the cluster, as this one sees it (``architecture.md`` §5).

Each node writes a row and renews it; the database says how old a row is. A node that
has missed three heartbeats is gone. Nodes that share no database server are alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from dwserver.engine.model import JsonMap
from dwserver.engine.wire_time import MICROS
from dwserver.store.api import ClusterNode, LiveNode, Store
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass, Role, Shape

MISSED_HEARTBEATS = 3
# Rows of nodes that ended without a farewell.
FORGET_AFTER = 3600 * MICROS

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    peer: Peer
    heartbeat_at: int


class Membership:
    """This node among the others.

    ``store`` None: the node is alone. ``started_at``: epoch microseconds.
    """

    def __init__(
        self,
        store: Store | None,
        own: Peer,
        *,
        shape: Shape,
        started_at: int,
        heartbeat_seconds: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.heartbeat_seconds = heartbeat_seconds
        self._store = store
        self._own = own
        self._shape = shape
        self._started_at = started_at
        self._load: JsonMap = {}
        self._monotonic = monotonic
        self._stale_seconds = MISSED_HEARTBEATS * heartbeat_seconds
        self._seen: dict[str, _Seen] = {}
        self._seen_at = monotonic()
        self._keeps_until = 0.0
        self._unreachable: dict[str, int] = {}
        self._live: tuple[Peer, ...] = (own,)
        self._beat_at: int | None = None
        self._is_displaced = False
        self._has_left = False
        # A heartbeat under way must not arrive after the farewell.
        self._writing = asyncio.Lock()

    @property
    def own(self) -> Peer:
        return self._own

    def live(self) -> tuple[Peer, ...]:
        """The live nodes as last seen, this one first; costs nothing."""
        return self._live

    def listen_at(self, address: str) -> None:
        """Where the others reach this node, once that is known."""
        self._own = replace(self._own, address=address)
        self._choose()

    def report_unreachable(self, node_id: str) -> None:
        """A connection to it failed: leave it out until its next heartbeat is seen."""
        seen = self._seen.get(node_id)
        if seen is not None:
            self._unreachable[node_id] = seen.heartbeat_at
            self._choose()

    async def nodes(self) -> list[LiveNode]:
        """The live nodes as the database knows them now, by id."""
        if self._store is None:
            # Nobody else is ever seen, so this is the time since the start.
            now = self._started_at + round(self.age_seconds() * MICROS)
            return [LiveNode(self._row(), now, 0)]
        return await self._store.live_nodes(within=self._live_within)

    def age_seconds(self) -> float:
        """How long this node has not seen the others, in seconds."""
        return self._monotonic() - self._seen_at

    async def beat(self, load: JsonMap) -> None:
        """Say that this node lives and how busy it is, and look at the others;
        StoreError."""
        self._load = load
        if self._store is None:
            return
        async with self._writing:
            if self._has_left:
                rows = await self._store.live_nodes(within=self._live_within)
            else:
                own = self._row()
                rows = await self._store.heartbeat_node(
                    own, live_within=self._live_within, forget_after=FORGET_AFTER
                )
                self._notice_displacement(own, rows)
        self._see(rows)

    async def look(self) -> None:
        """Look at the others without waiting for the next heartbeat; StoreError."""
        if self._store is not None:
            self._see(await self._store.live_nodes(within=self._live_within))

    async def leave(self) -> None:
        """Take this node out of the others' views; it still sees them. StoreError."""
        if self._store is None or self._has_left:
            return
        self._has_left = True
        async with self._writing:
            await self._store.delete_node(
                self._own.node_id, started_at=self._started_at
            )

    @property
    def _live_within(self) -> int:
        return round(self._stale_seconds * MICROS)

    def _row(self) -> ClusterNode:
        own = self._own
        return ClusterNode(
            node_id=own.node_id,
            process_class=own.process_class.value,
            roles=tuple(role.value for role in own.roles),
            internal_address=own.address,
            version=own.version,
            started_at=self._started_at,
            details={"shape": self._shape.value, "load": self._load},
        )

    def _notice_displacement(self, own: ClusterNode, rows: Sequence[LiveNode]) -> None:
        is_displaced = all(row.node.node_id != own.node_id for row in rows)
        if is_displaced and not self._is_displaced:
            _log.error(
                "node_id_taken",
                node_id=own.node_id,
                remediation="give every process a DW_SERVER_ID of its own",
            )
        self._is_displaced = is_displaced

    def _see(self, rows: Sequence[LiveNode]) -> None:
        now = self._monotonic()
        if self._was_blind(now, rows):
            # So were the others: they get the time to come back.
            self._keeps_until = now + self._stale_seconds
        self._seen_at = now
        seen = dict(self._seen) if now < self._keeps_until else {}
        for row in rows:
            peer = _to_peer(row.node)
            if peer is not None and peer.node_id != self._own.node_id:
                seen[peer.node_id] = _Seen(peer, row.heartbeat_at)
        self._seen = seen
        self._choose()

    def _was_blind(self, now: float, rows: Sequence[LiveNode]) -> bool:
        """The database was away for long, or is another one whose clock is ahead: rows
        are old although their nodes live."""
        silence = now - self._seen_at
        own = (row for row in rows if row.node.node_id == self._own.node_id)
        before, self._beat_at = self._beat_at, next((r.heartbeat_at for r in own), None)
        if silence > self._stale_seconds:
            return True
        if before is None or self._beat_at is None:
            return False
        passed_there = (self._beat_at - before) / MICROS
        return passed_there - silence > self.heartbeat_seconds

    def _choose(self) -> None:
        """Only a heartbeat after the reported one rehabilitates a node."""
        self._unreachable = {
            node_id: at
            for node_id, at in self._unreachable.items()
            if node_id in self._seen and self._seen[node_id].heartbeat_at == at
        }
        others = (
            seen.peer
            for node_id, seen in self._seen.items()
            if node_id not in self._unreachable
        )
        self._live = (self._own, *others)


def _to_peer(node: ClusterNode) -> Peer | None:
    """None for a class that only another version knows; unknown roles are left out."""
    known = {role.value: role for role in Role}
    try:
        process_class = ProcessClass(node.process_class)
    except ValueError:
        return None
    return Peer(
        node_id=node.node_id,
        process_class=process_class,
        roles=tuple(known[word] for word in node.roles if word in known),
        address=node.internal_address,
        version=node.version,
    )
