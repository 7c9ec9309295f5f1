"""Who gets a workflow task and when (``spec/engine.md §5``).

At most one workflow task of a run is open. A cause that arrives while it is ready is
covered by it; one that arrives while it is leased waits on the run (``Run.wakes``)
until the task closes. A task delivers the whole history up to its lease, so one task
covers all waiting causes, except that an accepted update needs a task of its own.
"""

from __future__ import annotations

from dwserver.engine.draft import Draft
from dwserver.engine.model import Activity, Child, JsonMap, Run, Task, Timer, Wake
from dwserver.engine.records import replace
from dwserver.engine.words import EventType, TaskKind, TaskStatus, WaitKind


def wake(draft: Draft, resume: JsonMap) -> str | None:
    """Make sure that the workflow runs again; the id of the ready task, or None when
    the cause waits behind a leased one."""
    task = draft.open_workflow_task()
    if task is None:
        return new_workflow_task(draft, resume).id
    if task.status is TaskStatus.LEASED:
        draft.set_run(wakes=(*draft.run.wakes, Wake(resume)))
        return None
    if not task.resume and not _is_update(resume):
        draft.tasks.put(replace(task, resume=resume))
    return task.id


def follow_up(draft: Draft) -> str | None:
    """After the leased task closed: create the task that waiting causes ask for."""
    wakes = draft.run.wakes
    if not wakes:
        return None
    first = wakes[0]
    rest = tuple(cause for cause in wakes[1:] if _is_update(cause.resume))
    draft.set_run(wakes=rest)
    return new_workflow_task(draft, first.resume).id


def forget_covered(draft: Draft) -> None:
    """The open task will be delivered anew: only updates keep waiting behind it."""
    wakes = draft.run.wakes
    if wakes:
        kept = tuple(cause for cause in wakes if _is_update(cause.resume))
        draft.set_run(wakes=kept)


def new_workflow_task(draft: Draft, resume: JsonMap, *, delay: int = 0) -> Task:
    """Insert a ready workflow task of the run; ``delay`` in microseconds."""
    run, context = draft.run, draft.context
    task = Task(
        id=context.next_id(),
        run_id=run.id,
        namespace=run.namespace,
        kind=TaskKind.WORKFLOW,
        status=TaskStatus.READY,
        queue=run.task_queue,
        type_name=run.workflow_type,
        available_at=context.now + delay,
        created_at=context.now,
        compatibility=run.compatibility,
        priority=run.priority,
        resume=resume,
    )
    draft.tasks.add(task)
    return task


def retry_stalled(draft: Draft, task: Task) -> None:
    """Nothing will wake this open run: deliver its task again, ever more slowly.

    A worker that has nothing to say while nothing is pending is stuck; its run must
    neither be lost nor spin.
    """
    failures = draft.run.task_failures + 1
    draft.set_run(task_failures=failures)
    delay = draft.context.policy.task_failure_backoff(failures + 1)
    new_workflow_task(draft, task.resume, delay=delay)


def _is_update(resume: JsonMap) -> bool:
    return resume.get("workflow_wait_kind") == WaitKind.UPDATE


def resume_of_activity(
    activity: Activity, attempt_id: str | None, event: EventType
) -> JsonMap:
    return {
        "workflow_wait_kind": WaitKind.ACTIVITY,
        "open_wait_id": f"activity:{activity.id}",
        "resume_source_kind": "activity_execution",
        "resume_source_id": activity.id,
        "activity_execution_id": activity.id,
        "activity_attempt_id": attempt_id,
        "activity_type": activity.activity_type,
        "workflow_sequence": activity.step,
        "workflow_event_type": event,
    }


def resume_of_timer(timer: Timer) -> JsonMap:
    return {
        "workflow_wait_kind": WaitKind.TIMER,
        "open_wait_id": f"timer:{timer.id}",
        "resume_source_kind": "timer",
        "resume_source_id": timer.id,
        "timer_id": timer.id,
        "workflow_sequence": timer.step,
        "workflow_event_type": EventType.TIMER_FIRED,
    }


def resume_of_child(child: Child, event: EventType) -> JsonMap:
    return {
        "workflow_wait_kind": WaitKind.CHILD,
        "open_wait_id": f"child:{child.id}",
        "resume_source_kind": "child_workflow_run",
        "resume_source_id": child.child_run_id,
        "child_call_id": child.id,
        "child_workflow_run_id": child.child_run_id,
        "workflow_sequence": child.step,
        "workflow_event_type": event,
    }


def is_waiting(draft: Draft, run: Run) -> bool:
    """The open run has something that will wake it: a task or a durable wait (§17)."""
    return (
        bool(run.wakes)
        or any(True for _ in draft.open_tasks())
        or any(timer.is_open for timer in draft.timers.values())
        or any(activity.is_open for activity in draft.activities.values())
        or any(child.is_open for child in draft.children.values())
    )
