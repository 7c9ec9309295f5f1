"""Rows: the workers that an execution node runs."""

from __future__ import annotations

from dwserver.config.variable import Derived, Lookup, Origin, Variable
from dwserver.config.variable import ValueType as T


def _worker_credential(lookup: Lookup) -> str | None:
    """What a worker of this deployment authenticates with."""
    token = lookup("DW_WORKER_TOKEN")
    if token is None and lookup("DW_AUTH_BACKWARD_COMPATIBLE"):
        token = lookup("DW_AUTH_TOKEN")
    return None if token is None else str(token)


EXECUTION_VARIABLES = (
    Variable(
        "DW_EXECUTION_MODULES",
        T.CSV,
        "execution.modules",
        default=(),
        origin=Origin.OWN,
        description="What the workers of this node run: `module` with the lists "
        "`WORKFLOWS` and `ACTIVITIES`, or `module:function` that takes a registry.",
    ),
    Variable(
        "DW_EXECUTION_SERVER_URL",
        T.URL,
        "execution.server_url",
        pattern=r"https?://[^/\s?#]+(/[^\s?#]*)?",
        expected="an http:// or https:// address without a query",
        origin=Origin.OWN,
        description="Where the workers find the server: an ingress node or the load "
        "balancer before it.",
    ),
    Variable(
        "DW_EXECUTION_TOKEN",
        T.STRING,
        "execution.token",
        default=Derived("DW_WORKER_TOKEN, else DW_AUTH_TOKEN", _worker_credential),
        is_secret=True,
        origin=Origin.OWN,
        description="Bearer token of the workers.",
    ),
    Variable(
        "DW_EXECUTION_NAMESPACE",
        T.STRING,
        "execution.namespace",
        default=Derived(
            "DW_DEFAULT_NAMESPACE", lambda lookup: lookup("DW_DEFAULT_NAMESPACE")
        ),
        origin=Origin.OWN,
        description="Namespace of the workers.",
    ),
    Variable(
        "DW_EXECUTION_TASK_QUEUES",
        T.CSV,
        "execution.task_queues",
        default=("default",),
        origin=Origin.OWN,
        description="Task queues, with a worker for each of them.",
    ),
    Variable(
        "DW_EXECUTION_BUILD_ID",
        T.STRING,
        "execution.build_id",
        origin=Origin.OWN,
        description="Build that the workers register as.",
    ),
    Variable(
        "DW_EXECUTION_MAX_WORKFLOW_TASKS",
        T.INTEGER,
        "execution.max_workflow_tasks",
        default=10,
        unit="tasks",
        minimum=1,
        maximum=1000,
        origin=Origin.OWN,
        description="Workflow tasks that one worker handles at once.",
    ),
    Variable(
        "DW_EXECUTION_MAX_ACTIVITY_TASKS",
        T.INTEGER,
        "execution.max_activity_tasks",
        default=10,
        unit="tasks",
        minimum=1,
        maximum=1000,
        origin=Origin.OWN,
        description="Activities that one worker runs at once.",
    ),
)
