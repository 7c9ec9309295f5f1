"""Namespaces, search attributes and worker registrations.

Functions of a connection: those that change something are called on the writer thread,
the others on a reader. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from operator import attrgetter

from dwserver.store.api import MAX_WORKERS_SORTED, Namespace, WorkerRegistration
from dwserver.store.sqlite import records
from dwserver.store.sqlite.reads import fetch, fetch_one
from dwserver.store.sqlite.rows import encode_json, encode_optional, fields
from dwserver.store.sqlite.statements import BLOCKS, Row, write_rows

_namespace = fields("create_namespace", "external_storage")
_worker = fields(
    "put_worker", "workflow_types", "activity_types", "fingerprints", "details"
)
_documents = attrgetter("workflow_types", "activity_types", "fingerprints", "details")


def list_namespaces(connection: sqlite3.Connection) -> list[Namespace]:
    return [records.to_namespace(row) for row in fetch(connection, "list_namespaces")]


def find_namespace(connection: sqlite3.Connection, name: str) -> Namespace | None:
    return fetch_one(connection, records.to_namespace, "find_namespace", name)


def create_namespace(connection: sqlite3.Connection, namespace: Namespace) -> bool:
    """False when the name exists."""
    return write_rows(connection, "create_namespace", [_namespace_row(namespace)]) > 0


def update_namespace(connection: sqlite3.Connection, namespace: Namespace) -> bool:
    """False when there is none of that name."""
    return write_rows(connection, "update_namespace", [_namespace_row(namespace)]) > 0


def list_search_attributes(
    connection: sqlite3.Connection, namespace: str
) -> dict[str, str]:
    rows = fetch(connection, "list_search_attributes", namespace)
    return {row["name"]: row["value_type"] for row in rows}


def put_search_attribute(
    connection: sqlite3.Connection,
    namespace: str,
    name: str,
    *,
    value_type: str,
    created_at: int,
) -> bool:
    """False when the name exists."""
    row = (namespace, name, value_type, created_at)
    return write_rows(connection, "put_search_attribute", [row]) > 0


def delete_search_attribute(
    connection: sqlite3.Connection, namespace: str, name: str
) -> bool:
    return bool(fetch(connection, "delete_search_attribute", namespace, name))


def find_worker(
    connection: sqlite3.Connection, namespace: str, worker_id: str
) -> WorkerRegistration | None:
    convert = records.to_worker
    return fetch_one(connection, convert, "find_worker", namespace, worker_id)


def list_workers(
    connection: sqlite3.Connection, namespace: str, *, queue: str | None
) -> list[WorkerRegistration]:
    rows = fetch(connection, "list_workers", namespace, queue)
    return [records.to_worker(row) for row in rows]


def list_workers_of_queue(
    connection: sqlite3.Connection, *args: object
) -> list[WorkerRegistration]:
    rows = fetch(connection, "list_workers_of_queue", *args, MAX_WORKERS_SORTED)
    return [records.to_worker(row) for row in rows]


def put_worker(
    connection: sqlite3.Connection, worker: WorkerRegistration
) -> WorkerRegistration:
    row = (*_worker(worker), *map(encode_json, _documents(worker)))
    write_rows(connection, "put_worker", [row])
    written = find_worker(connection, worker.namespace, worker.worker_id)
    return written or worker


def delete_worker(
    connection: sqlite3.Connection, namespace: str, worker_id: str
) -> bool:
    return bool(fetch(connection, "delete_worker", namespace, worker_id))


def delete_silent_workers(
    connection: sqlite3.Connection, *, before: int, limit: int
) -> int:
    cursor = connection.execute(BLOCKS["delete_silent_workers"], (before, limit))
    return cursor.rowcount


def touch_workers(
    connection: sqlite3.Connection, seen: Sequence[tuple[str, str]], *, at: int
) -> list[WorkerRegistration]:
    keys = encode_json(list(seen)).decode()
    return [
        records.to_worker(row) for row in fetch(connection, "touch_workers", keys, at)
    ]


def _namespace_row(namespace: Namespace) -> Row:
    return (*_namespace(namespace), encode_optional(namespace.external_storage))
