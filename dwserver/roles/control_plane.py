"""The role ``control_plane``: commands of operators, and the time that passes in runs.

========= ======================================================================
mounts    every family; worker plane and history stand in for nodes of their own
runs      due timers, expired leases, deadlines, the outbox, retention; polls
          that come here are swept as in a matching node
requires  the shared database, shared coordination, the server key
========= ======================================================================

Several processes run these loops at once: what they do is guarded by the version of a
run, and who comes second finds it done.
"""

from __future__ import annotations

from typing import Final

from dwserver.loops.deadlines import deadline_loop
from dwserver.loops.leases import lease_loop
from dwserver.loops.outbox import outbox_loop
from dwserver.loops.retention import retention_loop, schedule_retention_loop
from dwserver.loops.timers import timer_loop
from dwserver.roles.matching import polling
from dwserver.roles.plug import Need, Parts, RolePlug, Stage
from dwserver.topology.gate import RouteFamily
from dwserver.topology.shapes import Role


def _build(stage: Stage) -> Parts:
    core, host = stage.core, stage.host
    return Parts(
        background=(
            timer_loop(core.timers, host),
            lease_loop(core.leases, host),
            deadline_loop(core.deadlines, host),
            outbox_loop(core.close_policies, host),
            retention_loop(core.services.retention, host),
            schedule_retention_loop(core.services.schedule_retention, host),
            *polling(stage),
        )
    )


CONTROL_PLANE: Final = RolePlug(
    role=Role.CONTROL_PLANE,
    mounts=(RouteFamily.CONTROL, RouteFamily.WORKER, RouteFamily.HISTORY),
    requires=frozenset(
        {Need.SHARED_DATABASE, Need.SHARED_COORDINATION, Need.SERVER_KEY}
    ),
    build=_build,
)
