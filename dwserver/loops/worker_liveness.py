"""Write down, in batches, which workers were heard of through their polls, and forget
those that were not heard of for long."""

from __future__ import annotations

from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.workers import Workers

WRITE_EVERY_SECONDS = 5.0
FORGET_EVERY_SECONDS = 600.0


def liveness_loop(workers: Workers, host: TaskHost) -> Loop:
    async def write() -> None:
        await workers.write_seen()

    return Loop(
        "worker-liveness",
        write,
        host,
        interval_seconds=WRITE_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )


def expiry_loop(workers: Workers, host: TaskHost) -> Loop:
    return Loop(
        "worker-expiry",
        workers.forget_silent,
        host,
        interval_seconds=FORGET_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
