"""What a node says about itself.

Source: ``spec/topology-and-operations.md`` §1.10. Node-local: nodes of one fleet
legitimately differ while a rollout is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dwserver.topology.shapes import Bundle, ProcessClass, Shape, roles_of


class ExecutionMode(StrEnum):
    """Whether workers come over HTTP or run beside the server."""

    REMOTE_WORKER_PROTOCOL = "remote_worker_protocol"
    LOCAL_QUEUE_WORKER = "local_queue_worker"


class ServerMode(StrEnum):
    """How the server is run; independent of the shape."""

    SERVICE = "service"
    EMBEDDED = "embedded"

    @property
    def execution_mode(self) -> ExecutionMode:
        if self is ServerMode.EMBEDDED:
            return ExecutionMode.LOCAL_QUEUE_WORKER
        return ExecutionMode.REMOTE_WORKER_PROTOCOL


class TaskDispatchMode(StrEnum):
    POLL = "poll"
    QUEUE = "queue"


class MatchingShape(StrEnum):
    """Who sweeps for ready tasks: the processes that poll, or one of its own."""

    IN_WORKER = "in_worker"
    DEDICATED = "dedicated"


class WakeOwner(StrEnum):
    WORKER_LOOP = "worker_loop"
    DEDICATED_REPAIR_PASS = "dedicated_repair_pass"


# Routing axes in their frozen order.
PARTITION_PRIMITIVES: Final = ("connection", "queue", "compatibility", "namespace")
BACKPRESSURE_MODEL: Final = "lease_ownership"


@dataclass(frozen=True, slots=True)
class MatchingSettings:
    """How this node takes part in matching."""

    is_queue_wake_enabled: bool = True
    task_dispatch_mode: TaskDispatchMode = TaskDispatchMode.POLL

    @property
    def shape(self) -> MatchingShape:
        if self.is_queue_wake_enabled:
            return MatchingShape.IN_WORKER
        return MatchingShape.DEDICATED

    @property
    def wake_owner(self) -> WakeOwner:
        if self.is_queue_wake_enabled:
            return WakeOwner.WORKER_LOOP
        return WakeOwner.DEDICATED_REPAIR_PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """Place of one process in the topology."""

    shape: Shape
    process_class: ProcessClass
    execution_mode: ExecutionMode = ExecutionMode.REMOTE_WORKER_PROTOCOL
    matching: MatchingSettings = MatchingSettings()

    @property
    def roles(self) -> Bundle:
        return roles_of(self.shape, self.process_class)
