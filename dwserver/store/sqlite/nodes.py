"""The nodes of the cluster.

Functions of a connection: those that change something are called on the writer thread,
the others on a reader. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3

import orjson

from dwserver.store.api import ClusterNode, LiveNode
from dwserver.store.sqlite.reads import fetch
from dwserver.store.sqlite.records import Columns
from dwserver.store.sqlite.rows import encode_json
from dwserver.store.sqlite.statements import BLOCKS


def heartbeat_node(
    connection: sqlite3.Connection,
    node: ClusterNode,
    *,
    live_within: int,
    forget_after: int,
) -> list[LiveNode]:
    row = (
        node.node_id,
        node.process_class,
        node.internal_address,
        node.version,
        node.started_at,
        encode_json(node.roles),
        encode_json(node.details),
        live_within,
    )
    is_written = connection.execute(BLOCKS["put_node"], row).rowcount > 0
    connection.execute(BLOCKS["delete_silent_nodes"], (forget_after,))
    found = list_live_nodes(connection, within=live_within)
    return [each for each in found if is_written or each.node.node_id != node.node_id]


def list_live_nodes(connection: sqlite3.Connection, *, within: int) -> list[LiveNode]:
    return list(map(_to_live_node, fetch(connection, "list_live_nodes", within)))


def delete_node(
    connection: sqlite3.Connection, node_id: str, *, started_at: int
) -> bool:
    return connection.execute(BLOCKS["delete_node"], (node_id, started_at)).rowcount > 0


def _to_live_node(row: Columns) -> LiveNode:
    heartbeat_at, age = row.pop("heartbeat_at"), row.pop("heartbeat_age")
    row["roles"] = tuple(orjson.loads(row["roles"]))
    row["details"] = orjson.loads(row["details"])
    return LiveNode(ClusterNode(**row), heartbeat_at, age)
