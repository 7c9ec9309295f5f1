"""The nodes of the cluster, read past any node."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.engine.wire_time import MICROS
from dwserver.http.system.cluster_nodes import nodes_body
from dwserver.protocol.json_types import JsonObject
from dwserver.services.membership import MISSED_HEARTBEATS
from dwserver.store.opening import open_store


async def read_cluster_status(settings: Settings) -> JsonObject:
    """What ``GET /api/cluster/nodes`` answers, without an answering node. Opens a store
    of its own; may raise StoreError."""
    within = round(MISSED_HEARTBEATS * settings.topology.heartbeat_seconds * MICROS)
    store = open_store(settings.database.url, reads_only=True)
    await store.open()
    try:
        nodes = await store.live_nodes(within=within)
    finally:
        await store.close()
    return nodes_body(nodes, current=None)
