"""``start_child_workflow`` (``spec/engine.md §8``, ``worker-protocol.md §8.6``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import child_events
from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.leases import after
from dwserver.engine.model import (
    Child,
    Instance,
    JsonMap,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Task,
)
from dwserver.engine.payloads import UNKNOWN_DIGEST, digest
from dwserver.engine.wakes import new_workflow_task
from dwserver.engine.words import (
    ChildStatus,
    EventType,
    ParentClosePolicy,
    RunStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChildWorkflow:
    """``retry_policy`` is None when the command had none."""

    workflow_type: str
    arguments: Payload | None = None
    queue: str | None = None
    parent_close_policy: ParentClosePolicy = ParentClosePolicy.ABANDON
    retry_policy: RetryPolicy | None = None
    execution_timeout_seconds: int | None = None
    run_timeout_seconds: int | None = None
    parallel: JsonMap | None = None

    def repeats(self, child: Child) -> bool:
        """The command that started ``child``, sent again."""
        return child.workflow_type == self.workflow_type and child.digest in (
            UNKNOWN_DIGEST,
            digest(self.workflow_type, self.arguments),
        )


def apply(
    draft: Draft,
    command: StartChildWorkflow,
    *,
    batch: int,
    cause: Task,
    background: Background,
) -> str:
    """Start it; returns the id of the child's first task.

    Needs the parent's input: memo and search attributes are the child's as well.
    """
    context, parent = draft.context, draft.run
    child = Child(
        id=context.next_id().upper(),
        run_id=parent.id,
        step=draft.next_step(),
        batch=batch,
        workflow_type=command.workflow_type,
        status=ChildStatus.STARTED,
        digest=digest(command.workflow_type, command.arguments),
        child_workflow_id=context.next_id(),
        child_run_id=context.next_id(),
        created_at=context.now,
        parent_close_policy=command.parent_close_policy,
        retry_policy=command.retry_policy,
        parallel=command.parallel,
    )
    run = _first_run(draft, command, child)
    draft.children.add(child)
    draft.append(
        EventType.CHILD_WORKFLOW_SCHEDULED,
        child_events.child_scheduled(child, run, cause),
        task_id=cause.id,
    )
    draft.append(
        EventType.CHILD_RUN_STARTED,
        child_events.child_run_started(child, run, cause=cause),
        task_id=cause.id,
    )
    inherited = draft.input or background.input
    run_input = RunInput(
        arguments=command.arguments,
        memo=inherited.memo,
        search_attributes=inherited.search_attributes,
    )
    new = Draft.of_new_run(run, run_input, context)
    new.append(
        EventType.WORKFLOW_STARTED,
        child_events.started_by_parent(run, run_input, parent=parent, child=child),
    )
    task = new_workflow_task(new, {})
    new.new_instance = Instance(
        namespace=run.namespace,
        workflow_id=run.workflow_id,
        workflow_type=run.workflow_type,
        current_run_id=run.id,
        run_count=1,
        created_at=context.now,
    )
    draft.created.append(new)
    return task.id


def _first_run(draft: Draft, command: StartChildWorkflow, child: Child) -> Run:
    parent, now = draft.run, draft.context.now
    return Run(
        id=child.child_run_id,
        namespace=parent.namespace,
        workflow_id=child.child_workflow_id,
        workflow_type=command.workflow_type,
        run_number=child.child_run_number,
        status=RunStatus.PENDING,
        task_queue=command.queue or parent.task_queue,
        payload_codec=parent.payload_codec,
        started_at=now,
        last_progress_at=now,
        compatibility=parent.compatibility,
        priority=parent.priority,
        execution_timeout_seconds=command.execution_timeout_seconds,
        run_timeout_seconds=command.run_timeout_seconds,
        execution_deadline_at=after(now, command.execution_timeout_seconds),
        run_deadline_at=after(now, command.run_timeout_seconds),
        parent_run_id=parent.id,
        parent_step=child.step,
    )
