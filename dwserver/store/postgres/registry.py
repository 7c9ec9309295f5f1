"""Namespaces, search attributes and workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dwserver.engine.model import JsonMap
from dwserver.store.api import MAX_WORKERS_SORTED, Namespace, WorkerRegistration
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.fields import encode_json, encode_optional
from dwserver.store.postgres.records import decode_namespace, decode_worker

_LIST_NAMESPACES = block("list_namespaces")
_FIND_NAMESPACE = block("find_namespace")
_CREATE_NAMESPACE = block("create_namespace")
_UPDATE_NAMESPACE = block("update_namespace")
_LIST_SEARCH_ATTRIBUTES = block("list_search_attributes")
_PUT_SEARCH_ATTRIBUTE = block("put_search_attribute")
_DELETE_SEARCH_ATTRIBUTE = block("delete_search_attribute")
_FIND_WORKER = block("find_worker")
_PUT_WORKER = block("put_worker")
_RENEW_WORKER = block("renew_worker")
_DELETE_WORKER = block("delete_worker")
_DELETE_SILENT_WORKERS = block("delete_silent_workers")
_TOUCH_WORKERS = block("touch_workers")
_LIST_WORKERS = block("list_workers")
_LIST_WORKERS_OF_QUEUE = block("list_workers_of_queue")


class Registry:
    """What namespaces define and which workers there are
    (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def list_namespaces(self) -> list[Namespace]:
        return list(map(decode_namespace, await self._pool.fetch(_LIST_NAMESPACES)))

    async def find_namespace(self, name: str) -> Namespace | None:
        rows = await self._pool.fetch(_FIND_NAMESPACE, name)
        return decode_namespace(rows[0]) if rows else None

    async def create_namespace(self, namespace: Namespace) -> bool:
        created = await self._pool.write(
            _CREATE_NAMESPACE,
            namespace.name,
            namespace.description,
            namespace.retention_days,
            namespace.status,
            encode_optional(namespace.external_storage),
            namespace.created_at,
            namespace.updated_at,
        )
        return bool(created)

    async def update_namespace(
        self,
        name: str,
        *,
        description: str | None = None,
        retention_days: int | None = None,
        external_storage: JsonMap | None = None,
        at: int,
    ) -> Namespace | None:
        changed = (description, retention_days, encode_optional(external_storage))
        rows = await self._pool.write(_UPDATE_NAMESPACE, name, *changed, at)
        return decode_namespace(rows[0]) if rows else None

    async def search_attribute_types(self, namespace: str) -> dict[str, str]:
        rows = await self._pool.fetch(_LIST_SEARCH_ATTRIBUTES, namespace)
        return {row[0]: row[1] for row in rows}

    async def put_search_attribute(
        self, namespace: str, name: str, *, value_type: str, created_at: int
    ) -> bool:
        key = (namespace, name)
        rows = await self._pool.write(
            _PUT_SEARCH_ATTRIBUTE, *key, value_type, created_at
        )
        return bool(rows)

    async def delete_search_attribute(self, namespace: str, name: str) -> bool:
        return bool(await self._pool.write(_DELETE_SEARCH_ATTRIBUTE, namespace, name))

    async def find_worker(
        self, namespace: str, worker_id: str
    ) -> WorkerRegistration | None:
        rows = await self._pool.fetch(_FIND_WORKER, namespace, worker_id)
        return decode_worker(rows[0]) if rows else None

    async def put_worker(
        self, worker: WorkerRegistration, *, over: Mapping[str, str] | None = None
    ) -> WorkerRegistration | None:
        rows = await self._pool.write(
            _PUT_WORKER,
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
        return replace(worker, status=rows[0]["status"]) if rows else None

    async def renew_worker(
        self, worker: WorkerRegistration, *, details: JsonMap, at: int
    ) -> WorkerRegistration | None:
        key = (worker.namespace, worker.worker_id)
        said = (encode_json(worker.details), encode_json(details))
        rows = await self._pool.write(_RENEW_WORKER, *key, *said, at)
        return decode_worker(rows[0]) if rows else None

    async def delete_worker(self, namespace: str, worker_id: str) -> bool:
        return bool(await self._pool.write(_DELETE_WORKER, namespace, worker_id))

    async def delete_silent_workers(self, *, before: int, limit: int) -> int:
        return len(await self._pool.write(_DELETE_SILENT_WORKERS, before, limit))

    async def touch_workers(
        self, seen: Sequence[tuple[str, str]], *, at: int
    ) -> list[WorkerRegistration]:
        if not seen:
            return []
        # Every process takes the locks of the rows in one order.
        namespaces, worker_ids = zip(*sorted(set(seen)), strict=True)
        rows = await self._pool.write(_TOUCH_WORKERS, namespaces, worker_ids, at)
        return list(map(decode_worker, rows))

    async def list_workers(
        self, namespace: str, *, queue: str | None
    ) -> list[WorkerRegistration]:
        rows = await self._pool.fetch(_LIST_WORKERS, namespace, queue)
        return list(map(decode_worker, rows))

    async def list_workers_of_queue(
        self, namespace: str, queue: str, *, silent_since: int, limit: int
    ) -> list[WorkerRegistration]:
        bounds = (silent_since, limit, MAX_WORKERS_SORTED)
        rows = await self._pool.fetch(_LIST_WORKERS_OF_QUEUE, namespace, queue, *bounds)
        return list(map(decode_worker, rows))
