"""Who gets a workflow task and when (``spec/engine.md §5``).

At most one workflow task of a run is open. A task delivers the whole history up to
its lease, so a cause that arrives while it is ready is covered by it. One that arrives
while it is leased waits until the task closes: outcomes of steps on the run
(``Run.wakes``), signals and updates as rows of their own. One follow-up task covers
all that wait, except that every update has a task to itself, in which workers run its
handler and do not advance the workflow (protocol §8.8). Hence what else arrives takes
a ready task of an update over, and the update waits for its next turn.
"""

from __future__ import annotations

from dwserver.engine.draft import Draft
from dwserver.engine.model import (
    Activity,
    Child,
    JsonMap,
    RunRows,
    Signal,
    Task,
    Timer,
    Update,
    Wait,
    Wake,
)
from dwserver.engine.records import replace
from dwserver.engine.waits import newest_open_condition, open_waits
from dwserver.engine.words import (
    EventType,
    TaskKind,
    TaskStatus,
    TimerKind,
    WaitKind,
)


def wake(draft: Draft, resume: JsonMap) -> str | None:
    """Make sure that the workflow runs again; the id of the ready task, or None when
    the cause waits behind a leased one."""
    task = draft.open_workflow_task()
    if task is None:
        return new_workflow_task(draft, resume).id
    if task.status is TaskStatus.LEASED:
        draft.set_run(wakes=(*draft.run.wakes, Wake(resume)))
        return None
    if update_of(task) is not None:
        due = min(task.available_at, draft.context.now)
        draft.tasks.put(replace(task, resume=resume, available_at=due))
    elif not task.resume:
        draft.tasks.put(replace(task, resume=resume))
    return task.id


def wake_for_signal(draft: Draft, signal: Signal) -> None:
    """Every signal that meets no open task gets one (§5.4); the others wait for what
    :func:`follow_up` finds."""
    task = draft.open_workflow_task()
    if task is None:
        new_workflow_task(draft, resume_of_signal(signal))
    elif task.status is TaskStatus.READY and not task.resume:
        draft.tasks.put(replace(task, resume=resume_of_signal(signal)))


def wake_for_update(draft: Draft, update: Update) -> None:
    """An update that meets an open task waits for its turn (§5.3 rule 2)."""
    if draft.open_workflow_task() is None:
        new_workflow_task(draft, resume_of_update(update))


def follow_up(
    draft: Draft, closed: Task, *, seen: int, is_silent: bool = False
) -> bool:
    """After a workflow task closed: make the task that waiting causes ask for.

    ``seen``: the history position up to which the workflow has taken notice; 0 when
    the task only ran the handler of an update. ``is_silent``: the worker had nothing
    to say to it. False when the run has come to nothing: no cause, no step that could
    bring one, or the same update once more. Then the task is delivered again, ever
    more slowly; the run must neither be lost nor spin.
    """
    if draft.open_workflow_task() is not None:
        # A time-out that was held back has made it; it shows the rest as well.
        if draft.run.wakes:
            draft.set_run(wakes=())
        return True
    done = update_of(closed)
    resume = _next_cause(draft, closed, seen, is_silent=is_silent)
    if resume is None and is_waiting(draft):
        return True
    if resume is not None and (done is None or resume != closed.resume):
        new_workflow_task(draft, resume)
        return True
    _deliver_again(draft, (resume or {}) if done else closed.resume)
    return False


def _next_cause(
    draft: Draft, closed: Task, seen: int, *, is_silent: bool
) -> JsonMap | None:
    """Outcomes of steps come first, then signals, then updates, the oldest first."""
    wakes = draft.run.wakes
    if wakes:
        draft.set_run(wakes=())
        return wakes[0].resume
    for signal in draft.signals.values():
        is_known = is_silent and signal.event_sequence <= seen
        if signal.is_open and not is_known and signal_matters(draft, signal, seen):
            return resume_of_signal(signal)
    updates = [update for update in draft.updates.values() if update.is_open]
    done, condition = update_of(closed), newest_open_condition(draft)
    if (
        done is not None
        and condition is not None
        and not seen
        and all(update.id != done for update in updates)
    ):
        return resume_of_condition(condition, update_id=done)
    return resume_of_update(updates[0]) if updates else None


def signal_matters(draft: Draft, signal: Signal, seen: int) -> bool:
    """The signal can move the workflow on (§5.4): a signal wait is open for it, or the
    workflow has not seen it and waits for a condition, or for nothing at all."""
    if any(wait.id == signal.wait_id for wait in open_waits(draft)):
        return True
    if signal.event_sequence <= seen:
        return False
    return newest_open_condition(draft) is not None or not is_waiting(draft)


def delivered_anew(draft: Draft, task: Task) -> JsonMap:
    """The context of a task that is given to a worker once more. It shows what waited
    behind it; an update gives way to an outcome."""
    wakes = draft.run.wakes
    if not wakes:
        return task.resume
    draft.set_run(wakes=())
    is_replaced = not task.resume or update_of(task) is not None
    return wakes[0].resume if is_replaced else task.resume


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
        definition_fingerprint=run.definition_fingerprint,
    )
    draft.tasks.add(task)
    return task


def _deliver_again(draft: Draft, resume: JsonMap) -> None:
    failures = draft.run.task_failures + 1
    draft.set_run(task_failures=failures)
    delay = draft.context.policy.task_failure_backoff(failures + 1)
    new_workflow_task(draft, resume, delay=delay)


def update_of(task: Task) -> str | None:
    """The id of the update whose own task this is."""
    update_id = task.resume.get("workflow_update_id")
    return update_id if isinstance(update_id, str) else None


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


def resume_of_timeout(timer: Timer, wait: Wait) -> JsonMap:
    """The time-out of a wait fired."""
    fields: dict[str, object] = {**resume_of_timer(timer), "open_wait_id": wait.id}
    if timer.kind is TimerKind.SIGNAL_TIMEOUT:
        return {
            **fields,
            "workflow_wait_kind": WaitKind.SIGNAL,
            "signal_name": wait.name,
            "signal_wait_id": wait.id,
        }
    return {
        **fields,
        "workflow_wait_kind": WaitKind.CONDITION,
        "condition_wait_id": wait.id,
        "condition_key": wait.condition_key,
        "condition_definition_fingerprint": wait.fingerprint,
    }


def resume_of_condition(wait: Wait, *, update_id: str) -> JsonMap:
    """An update may have made the condition true (§5.3 rule 6)."""
    return {
        "workflow_wait_kind": WaitKind.CONDITION,
        "open_wait_id": wait.id,
        "resume_source_kind": "workflow_update",
        "resume_source_id": update_id,
        "workflow_sequence": wait.step,
        "condition_wait_id": wait.id,
        "condition_key": wait.condition_key,
        "condition_definition_fingerprint": wait.fingerprint,
    }


def resume_of_signal(signal: Signal) -> JsonMap:
    return {
        "workflow_wait_kind": WaitKind.SIGNAL,
        "open_wait_id": f"signal-application:{signal.id}",
        "resume_source_kind": "workflow_signal",
        "resume_source_id": signal.id,
        "workflow_signal_id": signal.id,
        "signal_name": signal.name,
        "signal_wait_id": signal.wait_id,
        "workflow_command_id": signal.command_id,
    }


def resume_of_update(update: Update) -> JsonMap:
    return {
        "workflow_wait_kind": WaitKind.UPDATE,
        "open_wait_id": f"update:{update.id}",
        "resume_source_kind": "workflow_update",
        "resume_source_id": update.id,
        "workflow_update_id": update.id,
        "workflow_command_id": update.command_id,
    }


def is_waiting(rows: RunRows) -> bool:
    """The open run has something that will wake it: a task or a durable wait (§17)."""
    return (
        bool(rows.run.wakes)
        or any(task.is_open for task in rows.tasks.values())
        or any(timer.is_open for timer in rows.timers.values())
        or any(activity.is_open for activity in rows.activities.values())
        or any(child.is_open for child in rows.children.values())
        or any(wait.is_open for wait in rows.waits.values())
    )


def unserved_cause(rows: RunRows) -> JsonMap | None:
    """What should have made a workflow task of the open run and did not: the context
    of the missing task, or None when nothing is missing."""
    tasks = rows.tasks.values()
    if any(task.kind is TaskKind.WORKFLOW and task.is_open for task in tasks):
        return None
    if rows.run.wakes:
        return rows.run.wakes[0].resume
    update = next((each for each in rows.updates.values() if each.is_open), None)
    if update is not None:
        return resume_of_update(update)
    if is_waiting(rows):
        return None
    signal = next((each for each in rows.signals.values() if each.is_open), None)
    return resume_of_signal(signal) if signal is not None else {}
