"""Payloads of the events that operators leave without moving a workflow (§13)."""

from __future__ import annotations

from dwserver.engine.events import command_snapshot, present, task_snapshot
from dwserver.engine.model import Command, Run, Task
from dwserver.engine.words import Liveness


def archive_requested(
    run: Run, command: Command, reason: str | None
) -> dict[str, object]:
    """``ArchiveRequested``."""
    return present(
        {
            **_identity(run, command),
            "command_type": command.command_type,
            "outcome": command.outcome,
            "reason": reason,
            "command": command_snapshot(command),
        }
    )


def archived(run: Run, command: Command, reason: str | None) -> dict[str, object]:
    """``WorkflowArchived``."""
    return present(
        {
            **_identity(run, command),
            "archive_command_id": command.id,
            "reason": reason,
            "command": command_snapshot(command),
        }
    )


def repair_requested(
    run: Run,
    command: Command,
    *,
    state: Liveness,
    wait_kind: str | None,
    task: Task | None,
) -> dict[str, object]:
    """``RepairRequested``; ``state`` and ``wait_kind`` as they were found, ``task`` as
    it was left."""
    fields: dict[str, object] = {
        **_identity(run, command),
        "command_type": command.command_type,
        "outcome": command.outcome,
        "liveness_state": state,
        "wait_kind": wait_kind,
        "task_id": task.id if task else None,
        "task_type": task.kind if task else None,
    }
    if task is not None:
        fields["task"] = task_snapshot(task)
    return {**fields, "command": command_snapshot(command)}


def _identity(run: Run, command: Command) -> dict[str, object]:
    return {
        "workflow_command_id": command.id,
        "workflow_instance_id": run.workflow_id,
        "workflow_run_id": run.id,
    }
