"""The live workers of a namespace (``spec/topology-and-operations.md §1.4``)."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.wire_time import micro
from dwserver.protocol.json_types import JsonObject
from dwserver.services.workers import Workers
from dwserver.store.api import WorkerRegistration


async def worker_fleet(
    workers: Workers, namespace: str, *, expires_after: int
) -> JsonObject:
    """Workers heard of lately; ``expires_after`` (microseconds) is how long a
    heartbeat is shown to last."""
    found = [
        worker
        for worker in await workers.find_all(namespace)
        if workers.status(worker) != "stale"
    ]
    found.sort(key=lambda worker: worker.worker_id)
    return fleet_block(namespace, found, expires_after=expires_after)


def fleet_block(
    namespace: str, found: Sequence[WorkerRegistration], *, expires_after: int
) -> JsonObject:
    """The block for these workers, in the order of their ids."""
    return {
        "namespace": namespace,
        "active_workers": len(found),
        "active_worker_scopes": len(found),
        "queues": sorted({worker.task_queue for worker in found}),
        "build_ids": sorted({w.build_id for w in found if w.build_id is not None}),
        "workers": [
            {
                "worker_id": worker.worker_id,
                "queues": [worker.task_queue],
                "build_ids": [worker.build_id] if worker.build_id else [],
                "recorded_at": micro(worker.last_heartbeat_at),
                "expires_at": micro(worker.last_heartbeat_at + expires_after),
            }
            for worker in found
        ],
    }
