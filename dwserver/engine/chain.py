"""The runs of one workflow id, one after the other (``spec/engine.md §8, §11``)."""

from __future__ import annotations

from typing import Any

from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.leases import after
from dwserver.engine.model import Run, RunInput
from dwserver.engine.records import replace
from dwserver.engine.words import RunStatus


def open_successor(
    draft: Draft, run_input: RunInput, *, background: Background, **changes: Any
) -> Draft:
    """Make the next run of the workflow id and let the id stand for it.

    It is like the draft's own run but for ``changes``: the run's time begins anew, that
    of the whole execution goes on. Needs the instance; writes no event and no task.
    """
    if background.instance is None:
        raise ValueError("the next run of a workflow id needs its instance")
    run, now = draft.run, draft.context.now
    fields: dict[str, Any] = {
        "id": draft.context.next_id(),
        "namespace": run.namespace,
        "workflow_id": run.workflow_id,
        "workflow_type": run.workflow_type,
        "run_number": run.run_number + 1,
        "status": RunStatus.PENDING,
        "task_queue": run.task_queue,
        "payload_codec": run.payload_codec,
        "started_at": now,
        "last_progress_at": now,
        "compatibility": run.compatibility,
        "priority": run.priority,
        "execution_timeout_seconds": run.execution_timeout_seconds,
        "run_timeout_seconds": run.run_timeout_seconds,
        "execution_deadline_at": run.execution_deadline_at,
        "run_deadline_at": after(now, run.run_timeout_seconds),
        "parent_run_id": run.parent_run_id,
        "parent_step": run.parent_step,
    }
    successor = Run(**{**fields, **changes})
    draft.successor = Draft.of_new_run(successor, run_input, draft.context)
    draft.instance = replace(
        background.instance,
        workflow_type=successor.workflow_type,
        current_run_id=successor.id,
        run_count=successor.run_number,
    )
    return draft.successor
