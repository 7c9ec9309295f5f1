"""Namespaces, search attributes and worker registrations.

Functions of a connection: those that change something are called on the writer thread,
the others on a reader. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dwserver.engine.model import JsonMap
from dwserver.store.api import MAX_WORKERS_SORTED, Namespace, WorkerRegistration
from dwserver.store.sqlite import records
from dwserver.store.sqlite.reads import fetch, fetch_one
from dwserver.store.sqlite.rows import encode_json, encode_optional
from dwserver.store.sqlite.statements import BLOCKS


def list_namespaces(connection: sqlite3.Connection) -> list[Namespace]:
    return [records.to_namespace(row) for row in fetch(connection, "list_namespaces")]


def find_namespace(connection: sqlite3.Connection, name: str) -> Namespace | None:
    return fetch_one(connection, records.to_namespace, "find_namespace", name)


def create_namespace(connection: sqlite3.Connection, namespace: Namespace) -> bool:
    """False when the name exists."""
    row = (
        namespace.name,
        namespace.description,
        namespace.retention_days,
        namespace.status,
        encode_optional(namespace.external_storage),
        namespace.created_at,
        namespace.updated_at,
    )
    return bool(fetch(connection, "create_namespace", *row))


def update_namespace(
    connection: sqlite3.Connection,
    name: str,
    *,
    description: str | None,
    retention_days: int | None,
    external_storage: JsonMap | None,
    at: int,
) -> Namespace | None:
    changed = (description, retention_days, encode_optional(external_storage))
    args = (name, *changed, at)
    return fetch_one(connection, records.to_namespace, "update_namespace", *args)


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
    return bool(fetch(connection, "put_search_attribute", *row))


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
    connection: sqlite3.Connection,
    worker: WorkerRegistration,
    *,
    over: Mapping[str, str] | None,
) -> WorkerRegistration | None:
    row = (
        worker.namespace,
        worker.worker_id,
        worker.task_queue,
        worker.runtime,
        worker.sdk_version,
        worker.build_id,
        worker.max_workflow_tasks,
        worker.max_activity_tasks,
        worker.registered_at,
        worker.last_heartbeat_at,
        encode_json(worker.workflow_types),
        encode_json(worker.activity_types),
        encode_json(worker.fingerprints),
        encode_json(worker.details),
        encode_optional(over),
    )
    rows = fetch(connection, "put_worker", *row)
    return replace(worker, status=rows[0]["status"]) if rows else None


def renew_worker(
    connection: sqlite3.Connection,
    worker: WorkerRegistration,
    *,
    details: JsonMap,
    at: int,
) -> WorkerRegistration | None:
    key = (worker.namespace, worker.worker_id)
    args = (*key, encode_json(worker.details), encode_json(details), at)
    return fetch_one(connection, records.to_worker, "renew_worker", *args)


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
