"""The role ``execution_plane``: workers with the deployment's own code.

=============== ==================================================================
hosted by       ``execution_node``, ``worker_node``; ``application_process`` when it
                is given modules
mounts          no route: the workers are clients of an ingress node
runs            :class:`~dwserver.execution.plane.ExecutionPlane`
requires        the extra ``execution``, ``DW_EXECUTION_MODULES`` and
                ``DW_EXECUTION_SERVER_URL``
readiness       check ``execution``
=============== ==================================================================

The server that the workers poll is always another node: an ``application_process`` is
no ingress, it refuses what comes over HTTP. They are drained before the rest of the
node, which says meanwhile that they are.
"""

from __future__ import annotations

from typing import Final

from dwserver.config.settings import Settings
from dwserver.execution.plan import WorkerPlan
from dwserver.execution.plane import ExecutionPlane, ExecutionState, ExecutionStatus
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.plug import Need, Parts, RolePlug, Stage
from dwserver.topology.selection import select_topology
from dwserver.topology.shapes import Role, Shape

CHECK: Final = "execution"

# Of the time that a node has for its end, what the workers may use: the rest is for
# cancelling what did not finish, and for the parts that drain after them.
DRAIN_SHARE: Final = 0.8


def build_execution_plane(settings: Settings) -> ExecutionPlane | None:
    """The workers of this node, None on a node that runs none."""
    execution = settings.execution
    selected = select_topology(settings.topology.shape, settings.topology.process_class)
    if Role.EXECUTION_PLANE not in selected.roles:
        return None
    if selected.shape is Shape.EMBEDDED and not execution.modules:
        return None
    return ExecutionPlane(
        WorkerPlan(
            server_url=execution.server_url or "",
            token=execution.token,
            namespace=execution.namespace.lower(),
            build_id=execution.build_id,
            max_workflow_tasks=execution.max_workflow_tasks,
            max_activity_tasks=execution.max_activity_tasks,
            drain_seconds=settings.shutdown.timeout_seconds * DRAIN_SHARE,
        ),
        modules=execution.modules,
        task_queues=execution.task_queues,
        worker_name=settings.server.server_id,
        problem=_problem(settings),
    )


def execution_check(state: ExecutionState) -> JsonObject:
    """The state of the workers as a check of readiness."""
    check: JsonObject = {"status": state.status.value}
    if state.message is not None:
        check["message"] = state.message
    if state.remediation is not None:
        check["remediation"] = state.remediation
    return check


def _problem(settings: Settings) -> ExecutionState | None:
    missing = []
    if not settings.execution.modules:
        missing.append("DW_EXECUTION_MODULES")
    if settings.execution.server_url is None:
        missing.append("DW_EXECUTION_SERVER_URL")
    if not missing:
        return None
    names = " and ".join(missing)
    return ExecutionState(
        ExecutionStatus.INVALID,
        f"This node runs workers, which need {names}.",
        f"Set {names} and start the node again.",
    )


def _build(stage: Stage) -> Parts:
    plane = build_execution_plane(stage.settings)
    if plane is None:
        return Parts()
    return Parts(
        clients=(plane,), checks={CHECK: lambda: execution_check(plane.state())}
    )


EXECUTION_PLANE: Final = RolePlug(
    role=Role.EXECUTION_PLANE,
    requires=frozenset({Need.SHARED_DATABASE}),
    build=_build,
)
