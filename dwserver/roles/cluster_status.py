"""The nodes of the cluster, read past any node."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.engine.wire_time import MICROS
from dwserver.http.system.cluster_nodes import nodes_body
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.reading import reading
from dwserver.services.membership import MISSED_HEARTBEATS


async def read_cluster_status(settings: Settings) -> JsonObject:
    """What ``GET /api/cluster/nodes`` answers, without an answering node. Opens a store
    of its own; may raise StoreError, BootError."""
    within = round(MISSED_HEARTBEATS * settings.topology.heartbeat_seconds * MICROS)
    async with reading(settings) as store:
        nodes = await store.live_nodes(within=within)
    return nodes_body(nodes, current=None)
