"""What tests of children share: commands, documents, how a child comes to an end."""

from __future__ import annotations

from typing import Any

from dwserver.engine.closing import close_run
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.draft import Draft
from dwserver.engine.model import Child, Failure, RetryPolicy, Task
from dwserver.engine.words import (
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskStatus,
)
from tests.engine.builders import (
    Play,
)
from tests.engine.parts import (
    avro,
)

FAILED: dict[str, Any] = {
    "category": FailureCategory.TIMEOUT,
    "message": "too late",
    "exception_class": "Timeout",
}
TWICE = RetryPolicy(max_attempts=2, backoff_seconds=(30,))
NO_POLICIES: dict[str, Any] = {"retry_policy": None, "timeout_policy": None}
NO_TIMEOUTS: dict[str, Any] = {
    "execution_timeout_seconds": None,
    "run_timeout_seconds": None,
    "execution_deadline_at": None,
    "run_deadline_at": None,
}
DONE = CompleteWorkflow(result=avro("OK=="))


def child(workflow_type: str = "kid", **fields: Any) -> StartChildWorkflow:
    return StartChildWorkflow(workflow_type=workflow_type, **fields)


def call_document(call: Child, run_id: str | None = None) -> dict[str, Any]:
    return {
        "sequence": call.step,
        "workflow_link_id": call.id,
        "child_call_id": call.id,
        "child_workflow_instance_id": call.child_workflow_id,
        "child_workflow_run_id": run_id or call.child_run_id,
        "child_workflow_class": call.workflow_type,
        "child_workflow_type": call.workflow_type,
    }


def first_task(play: Play, call: Child, owner: str = "w2") -> Task:
    """The workflow task of the child's current run, leased."""
    tasks = [
        task
        for task in play.rows[call.child_run_id].state.tasks.values()
        if task.status is TaskStatus.READY
    ]
    assert len(tasks) == 1
    leased = play.lease(tasks[0], owner)
    assert leased is not None
    return leased.task


def finish(play: Play, step: int, *commands: WorkflowCommand) -> None:
    """The child of the current run's call ``step`` runs its first task."""
    call = play.here.children[step]
    play.completed(first_task(play, call), *(commands or [DONE]))


def stop(
    play: Play, step: int, status: RunStatus, reason: ClosedReason, **failure: Any
) -> None:
    """Something else than its workflow ends the child of call ``step``."""
    run_id = play.here.children[step].child_run_id

    def decide(draft: Draft) -> None:
        if failure:
            draft.record_failure(
                Failure(
                    id="failure-1",
                    run_id=run_id,
                    source_kind="workflow_run",
                    source_id=run_id,
                    propagation_kind="terminal",
                    created_at=draft.context.now,
                    **failure,
                )
            )
        close_run(draft, status, reason)

    play.decide(decide, run_id)
