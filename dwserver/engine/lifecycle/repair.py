"""An operator has a run looked after (``spec/scheduling-and-maintenance.md §8.3``).

What a repair does follows from what is wrong: a task that is missing is made, a lease
that is over is taken away, a ready task that nobody takes is announced again. The
status of the run and its steps stay as they are.
"""

from __future__ import annotations

from dwserver.engine import administration_events
from dwserver.engine.activity_tasks import new_activity_task
from dwserver.engine.arrivals import release
from dwserver.engine.draft import Draft
from dwserver.engine.leases import expire
from dwserver.engine.lifecycle.operator import (
    Decided,
    OperatorRequest,
    accept,
    reject,
    stored,
)
from dwserver.engine.liveness import activities_without_task, is_overdue, liveness
from dwserver.engine.model import Task
from dwserver.engine.records import replace
from dwserver.engine.run_waits import waiting_for
from dwserver.engine.wakes import new_workflow_task, unserved_cause
from dwserver.engine.words import (
    CommandOutcome,
    CommandRejection,
    CommandType,
    EventType,
    TaskStatus,
)


def repair(draft: Draft, request: OperatorRequest) -> Decided:
    """Mend what is wrong with the run and record what was found; a closed run rejects
    the command."""
    if draft.run.status.is_terminal:
        reason = CommandRejection.RUN_NOT_ACTIVE
        rejected = reject(draft, request, CommandType.REPAIR, reason=reason)
        return Decided(rejected, draft.run)
    state = liveness(draft, now=draft.context.now)
    wait_kind, _ = waiting_for(draft) or (None, None)
    dispatched = _dispatched(draft)
    task = dispatched[0] if dispatched else None
    outcome = (
        CommandOutcome.REPAIR_DISPATCHED if task else CommandOutcome.REPAIR_NOT_NEEDED
    )
    found = {
        "liveness_state": state,
        "wait_kind": wait_kind,
        "task_id": task.id if task else None,
        "task_type": task.kind if task else None,
    }
    command = accept(
        draft,
        request,
        CommandType.REPAIR,
        outcome=outcome,
        payload=stored(draft, found),
    )
    draft.append(
        EventType.REPAIR_REQUESTED,
        administration_events.repair_requested(
            draft.run, command, state=state, wait_kind=wait_kind, task=task
        ),
        task_id=task.id if task else None,
        command_id=command.id,
    )
    return Decided(command, draft.run)


def mend_task(draft: Draft, task_id: str) -> bool:
    """Get one task moving that a sweep found (§8.2): its lease is over, or nobody takes
    it. No history tells of it (decision 14). False: it moves, or is done with."""
    task = draft.tasks.get(task_id)
    if task is None or not task.is_open:
        return False
    if task.status is TaskStatus.LEASED:
        return expire(draft, task)
    now, after = draft.context.now, draft.context.policy.redispatch_after
    if not is_overdue(task, now=now, after=after):
        return False
    _announce_again(draft, task)
    return True


def _announce_again(draft: Draft, task: Task) -> None:
    """Whoever writes a ready task also announces it."""
    repaired = replace(task, repair_count=task.repair_count + 1, last_error=None)
    draft.tasks.put(repaired)


def _dispatched(draft: Draft) -> list[Task]:
    """The tasks that workers can now get because of the repair, the workflow's
    first."""
    now, after = draft.context.now, draft.context.policy.redispatch_after
    taken_back = [task.id for task in draft.open_tasks() if expire(draft, task)]
    again = [
        task for task in draft.open_tasks() if is_overdue(task, now=now, after=after)
    ]
    for task in again:
        _announce_again(draft, task)
    made = [_repaired(draft, task) for task in _missing(draft)]
    ids = [*made, *taken_back, *(task.id for task in again)]
    tasks = [draft.tasks[task_id] for task_id in ids]
    return sorted(tasks, key=lambda task: task.activity_id is not None)


def _missing(draft: Draft) -> list[Task]:
    """Make the tasks that the run should have."""
    made = []
    if draft.open_workflow_task() is None:
        # What a lost task kept back takes its place in history.
        release(draft)
        cause = unserved_cause(draft)
        if cause is not None:
            draft.set_run(wakes=())
            new_workflow_task(draft, cause)
        task = draft.open_workflow_task()
        made += [task] if task is not None else []
    made += [
        new_activity_task(draft, activity)
        for activity in activities_without_task(draft)
    ]
    return made


def _repaired(draft: Draft, task: Task) -> str:
    draft.tasks.put(replace(task, repair_count=1))
    return task.id
