"""The nodes of the cluster."""

from __future__ import annotations

import orjson

from dwserver.store.api import ClusterNode, LiveNode
from dwserver.store.columns import COLUMNS
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.fields import encode_json
from dwserver.store.postgres.records import Columns

_LIST_LIVE_NODES = block("list_live_nodes")
_DELETE_NODE = block("delete_node")
# One statement for each heartbeat. Its parts see the rows as they were before it: the
# node itself is taken from what was written.
HEARTBEAT = f"""with own as ({block("put_node")}
returning {COLUMNS["node"]}, 0::bigint as heartbeat_age),
forgotten as ({block("delete_silent_nodes").replace("$1", "$9")})
select * from own
union all
(select * from ({_LIST_LIVE_NODES.replace("$1", "$8")}) live where live.node_id <> $1)
order by node_id"""


class Nodes:
    """The cluster's table of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def heartbeat_node(
        self, node: ClusterNode, *, live_within: int, forget_after: int
    ) -> list[LiveNode]:
        rows = await self._pool.write(
            HEARTBEAT,
            node.node_id,
            node.process_class,
            node.internal_address,
            node.version,
            node.started_at,
            encode_json(node.roles),
            encode_json(node.details),
            live_within,
            forget_after,
        )
        return list(map(_decode, rows))

    async def live_nodes(self, *, within: int) -> list[LiveNode]:
        return list(map(_decode, await self._pool.fetch(_LIST_LIVE_NODES, within)))

    async def delete_node(self, node_id: str, *, started_at: int) -> bool:
        return bool(await self._pool.write(_DELETE_NODE, node_id, started_at))


def _decode(row: Columns) -> LiveNode:
    node = ClusterNode(
        node_id=row[0],
        process_class=row[1],
        internal_address=row[2],
        version=row[3],
        started_at=row[4],
        roles=tuple(orjson.loads(row[6])),
        details=orjson.loads(row[7]),
    )
    return LiveNode(node, row[5], row[8])
