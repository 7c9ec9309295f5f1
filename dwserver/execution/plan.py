"""How the workers of a node are run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """Whom the workers of a process serve and how much they take on at once."""

    server_url: str
    token: str | None = field(repr=False)
    namespace: str
    build_id: str | None
    max_workflow_tasks: int
    max_activity_tasks: int
    # In which tasks that run may end once the worker is told to stop.
    drain_seconds: float
