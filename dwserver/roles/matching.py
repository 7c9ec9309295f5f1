"""The role ``matching``: ready tasks become leases of the workers that poll.

========= ======================================================================
mounts    the worker plane
runs      due timers and expired leases (both make tasks ready), the safety sweep
          over the waiting polls and its upkeep, the workers' signs of life
requires  the shared database, shared coordination, the server key
readiness check ``matching``: how many polls wait
========= ======================================================================
"""

from __future__ import annotations

from typing import Final

from dwserver.loops.leases import lease_loop
from dwserver.loops.matching import sweep_loop, upkeep_loop
from dwserver.loops.timers import timer_loop
from dwserver.loops.worker_liveness import expiry_loop, liveness_loop
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.plug import Need, Parts, RolePlug, Stage
from dwserver.runtime.service import Service
from dwserver.topology.gate import RouteFamily
from dwserver.topology.shapes import Role

CHECK: Final = "matching"


def polling(stage: Stage) -> tuple[Service, ...]:
    """What every process needs where polls may wait. A node that leaves the sweep to a
    dedicated process still counts its polls."""
    core, host, metrics = stage.core, stage.host, stage.metrics
    interval = stage.settings.worker_plane.poll_interval_ms / 1000
    return (
        sweep_loop(
            core.matcher,
            host,
            interval_seconds=interval,
            is_sweeping=stage.identity.matching.is_queue_wake_enabled,
            observe_waiting=lambda kind, count: metrics.polls_waiting.set(
                kind, to=count
            ),
        ),
        upkeep_loop(core.matcher, host),
        liveness_loop(core.services.workers, host),
        expiry_loop(core.services.workers, host),
    )


def _build(stage: Stage) -> Parts:
    core, host = stage.core, stage.host

    def check() -> JsonObject:
        waiting = core.matcher.pollers.counts()
        return {
            "status": "ok",
            "polls_waiting": {kind.value: count for kind, count in waiting.items()},
        }

    return Parts(
        background=(
            timer_loop(core.timers, host),
            lease_loop(core.leases, host),
            *polling(stage),
        ),
        checks={CHECK: check},
    )


MATCHING: Final = RolePlug(
    role=Role.MATCHING,
    mounts=(RouteFamily.WORKER,),
    requires=frozenset(
        {Need.SHARED_DATABASE, Need.SHARED_COORDINATION, Need.SERVER_KEY}
    ),
    build=_build,
)
