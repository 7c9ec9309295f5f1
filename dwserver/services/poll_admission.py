"""Which workers may poll (``spec/worker-protocol.md §5``)."""

from __future__ import annotations

from dwserver.engine.outcome import Rejection
from dwserver.services.workers import DRAINING, Workers
from dwserver.store.api import WorkerRegistration


async def admitted_worker(
    workers: Workers,
    *,
    namespace: str,
    worker_id: str,
    task_queue: str,
    build_id: str | None,
) -> WorkerRegistration | Rejection:
    """The registration of a worker that polls, or why it may not. Nobody is refused, or
    taken for draining, for what is only remembered. ``build_id`` None is not
    compared."""
    checked = _checked(
        await workers.find(namespace, worker_id), worker_id, task_queue, build_id
    )
    if isinstance(checked, Rejection) or checked.status == DRAINING:
        known = await workers.find_now(namespace, worker_id)
        checked = _checked(known, worker_id, task_queue, build_id)
    if not isinstance(checked, Rejection):
        workers.saw(namespace, worker_id)
    return checked


def _checked(
    worker: WorkerRegistration | None,
    worker_id: str,
    task_queue: str,
    build_id: str | None,
) -> WorkerRegistration | Rejection:
    if worker is None:
        return Rejection(
            "worker_not_registered",
            "Register the worker before it polls.",
            {"worker_id": worker_id},
        )
    if worker.task_queue != task_queue:
        return Rejection(
            "task_queue_mismatch",
            f"Worker [{worker.worker_id}] is registered for task queue "
            f"[{worker.task_queue}], not [{task_queue}].",
            {
                "worker_id": worker.worker_id,
                "registered_task_queue": worker.task_queue,
                "requested_task_queue": task_queue,
            },
        )
    if worker.build_id and build_id and worker.build_id != build_id:
        return Rejection(
            "build_id_mismatch",
            f"Worker [{worker.worker_id}] is registered with build id "
            f"[{worker.build_id}], not [{build_id}].",
            {
                "worker_id": worker.worker_id,
                "registered_build_id": worker.build_id,
                "requested_build_id": build_id,
            },
        )
    return worker
