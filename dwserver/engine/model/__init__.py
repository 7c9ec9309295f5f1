"""Frozen records of the durable model (``spec/engine.md §1``).

Instants (``*_at``) are integer microseconds since the epoch, UTC. Durations carry
their unit in the name. A record is what one database row holds; large immutable
payloads (:class:`RunInput`, arguments of activities and messages) are kept apart from
the records that change, so that the hot state of a run stays small.
"""

from dwserver.engine.model.messages import Signal, Update
from dwserver.engine.model.runs import (
    AppliedCommand,
    Command,
    Event,
    Failure,
    Instance,
    OutboxEntry,
    Run,
    RunInput,
    Task,
    Wake,
)
from dwserver.engine.model.state import RunRows, RunState
from dwserver.engine.model.steps import (
    Activity,
    Child,
    ClosedAttempt,
    RetryPolicy,
    Step,
    Timer,
    Wait,
)
from dwserver.engine.model.values import JsonMap, Payload

__all__ = [
    "Activity",
    "AppliedCommand",
    "Child",
    "ClosedAttempt",
    "Command",
    "Event",
    "Failure",
    "Instance",
    "JsonMap",
    "OutboxEntry",
    "Payload",
    "RetryPolicy",
    "Run",
    "RunInput",
    "RunRows",
    "RunState",
    "Signal",
    "Step",
    "Task",
    "Timer",
    "Update",
    "Wait",
    "Wake",
]
