"""Workflows, runs and workers that a request names and the namespace lacks."""

from __future__ import annotations

from dwserver.engine.wire_time import micro
from dwserver.http.call import Refusal
from dwserver.http.errors import refuse
from dwserver.protocol.reasons import Plane, Reason


def no_workflow(workflow_id: str) -> Refusal:
    """404; another namespace's workflow looks just the same (decision 20f)."""
    return refuse(
        Reason.INSTANCE_NOT_FOUND,
        Plane.CONTROL,
        "Workflow not found.",
        workflow_id=workflow_id,
    )


def no_run(workflow_id: str, run_id: str) -> Refusal:
    return refuse(
        Reason.RUN_NOT_FOUND,
        Plane.CONTROL,
        "Workflow run not found.",
        workflow_id=workflow_id,
        run_id=run_id,
    )


def history_pruned(workflow_id: str, run_id: str, *, pruned_at: int) -> Refusal:
    """410 for what retention has deleted (decision 12)."""
    return refuse(
        Reason.HISTORY_PRUNED,
        Plane.CONTROL,
        "The history of this run has been pruned.",
        workflow_id=workflow_id,
        run_id=run_id,
        pruned_at=micro(pruned_at),
    )


def not_current(workflow_id: str, run_id: str) -> Refusal:
    """409 for a command to a run that is not the newest of its workflow id (§5.12)."""
    return refuse(
        Reason.HISTORICAL_RUN_COMMAND_REJECTED,
        Plane.CONTROL,
        f"Run [{run_id}] is not the current run. Leave the run id out to reach the "
        "current one.",
        workflow_id=workflow_id,
        run_id=run_id,
        target_scope="run",
    )


def no_activity(activity_id: str) -> Refusal:
    return refuse(
        Reason.ACTIVITY_NOT_FOUND,
        Plane.CONTROL,
        "Standalone activity not found.",
        activity_id=activity_id,
    )


def no_worker(namespace: str, worker_id: str) -> Refusal:
    return refuse(
        Reason.WORKER_NOT_FOUND,
        Plane.CONTROL,
        f"Namespace [{namespace}] has no worker [{worker_id}].",
    )


def no_schedule(namespace: str, schedule_id: str) -> Refusal:
    return refuse(
        Reason.SCHEDULE_NOT_FOUND,
        Plane.CONTROL,
        f"Schedule [{schedule_id}] not found in namespace [{namespace}].",
    )


def no_namespace(name: str) -> Refusal:
    return refuse(
        Reason.NAMESPACE_NOT_FOUND,
        Plane.CONTROL,
        f"Namespace [{name}] does not exist.",
        namespace=name,
    )
