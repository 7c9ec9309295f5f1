"""The task of an activity attempt that is to be made."""

from __future__ import annotations

from dwserver.engine.draft import Draft
from dwserver.engine.model import Activity, Task
from dwserver.engine.words import TaskKind, TaskStatus


def new_activity_task(draft: Draft, activity: Activity, *, delay: int = 0) -> Task:
    """A ready task for the next attempt; it counts on from the attempts made."""
    run, context = draft.run, draft.context
    task = Task(
        id=context.next_id(),
        run_id=run.id,
        namespace=run.namespace,
        kind=TaskKind.ACTIVITY,
        status=TaskStatus.READY,
        queue=activity.queue,
        type_name=activity.activity_type,
        available_at=context.now + delay,
        created_at=context.now,
        compatibility=run.compatibility,
        priority=run.priority,
        attempt=activity.attempt_count,
        activity_id=activity.id,
    )
    draft.tasks.add(task)
    return task
