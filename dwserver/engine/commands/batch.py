"""A workflow-task completion as a whole (``spec/engine.md §4, §5``).

Order: ownership guard, rules about the list, blocking commands that a replaying worker
sent again are dropped; what the completion says about open waits and signals; the
other commands in list order; what was held back while the task was leased; the
terminal command, or the follow-up task that waiting causes ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from dwserver.engine.arrivals import release, release_messages
from dwserver.engine.background import NO_BACKGROUND, Background
from dwserver.engine.commands import (
    activities,
    children,
    markers,
    terminal,
    timers,
    updates,
    waits,
)
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.markers import (
    Marker,
    RecordSideEffect,
    RecordVersionMarker,
    UpsertSearchAttributes,
)
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.updates import CloseUpdate, CompleteUpdate, FailUpdate
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.engine.draft import Draft
from dwserver.engine.leases import check_workflow_task, current
from dwserver.engine.lifecycle.run_timeout import RunTimedOut, time_out_instead
from dwserver.engine.model import Activity, Child, Step, Task, Timer, Wait
from dwserver.engine.outcome import Rejection
from dwserver.engine.parallel import rebase
from dwserver.engine.records import quick_init, replace
from dwserver.engine.steps import members, open_batch
from dwserver.engine.wait_endings import (
    give_signals,
    is_shown,
    move_past,
    take_signals,
)
from dwserver.engine.waits import newest_open_condition, signal_for
from dwserver.engine.wakes import follow_up, update_of
from dwserver.engine.words import (
    ActivityStatus,
    ChildStatus,
    EventType,
    FailureCategory,
    RunStatus,
    TaskStatus,
)

BlockingCommand = (
    ScheduleActivity
    | StartTimer
    | StartChildWorkflow
    | OpenConditionWait
    | OpenSignalWait
)
OpenCommand = BlockingCommand | Marker | CloseUpdate
TerminalCommand = CompleteWorkflow | FailWorkflow | ContinueAsNew
WorkflowCommand = OpenCommand | TerminalCommand
WAITS = (OpenConditionWait, OpenSignalWait)
BLOCKING = (ScheduleActivity, StartTimer, StartChildWorkflow, *WAITS)
UPDATES = (CompleteUpdate, FailUpdate)
MARKERS = (RecordSideEffect, RecordVersionMarker, UpsertSearchAttributes)
TERMINAL = (CompleteWorkflow, FailWorkflow, ContinueAsNew)


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A validated ``complete`` request and the background that its commands need.

    ``unseen``: ends of steps that replay by this worker passes over.
    """

    task: Task
    owner: str
    attempt: int
    commands: Sequence[WorkflowCommand]
    background: Background = NO_BACKGROUND
    unseen: frozenset[EventType] = frozenset()


@dataclass(frozen=True, slots=True)
class Completed:
    """Reply: the run's status afterwards and the tasks created, in command order."""

    run_id: str
    run_status: RunStatus
    created_task_ids: tuple[str, ...]


def complete_workflow_task(
    draft: Draft, completion: Completion
) -> Completed | RunTimedOut | Rejection:
    """Apply a completion entirely or refuse it without a trace; one that comes after
    the deadline of its run ends the run instead."""
    run = draft.run
    task = current(draft, completion.task)
    refused = check_workflow_task(
        run,
        task,
        owner=completion.owner,
        attempt=completion.attempt,
        context=draft.context,
    ) or _check_list(draft, completion, task)
    if refused:
        return refused
    late = time_out_instead(draft, task)
    if late:
        return late
    sent = _verdict_on_blind_worker(draft, completion) or completion.commands
    commands = _without_resent(draft, task, sent)
    refused = _check_limits(draft, sent, new=commands, background=completion.background)
    if refused:
        return refused
    end = next((c for c in sent if isinstance(c, TERMINAL)), None)
    closed_as = (
        TaskStatus.FAILED if isinstance(end, FailWorkflow) else TaskStatus.COMPLETED
    )
    draft.tasks.put(replace(task, status=closed_as, closed_at=draft.context.now))
    draft.set_run(status=RunStatus.WAITING)
    advances = update_of(task) is None or not all(isinstance(c, UPDATES) for c in sent)
    background = completion.background
    if advances:
        created = _advance(draft, commands, task, background, is_last=end is not None)
    else:
        created = _apply_open(draft, commands, task, background)
    if end is not None:
        release_messages(draft)
        created += _apply_terminal(draft, end, task, background)
        return Completed(run.id, draft.run.status, tuple(created))
    release(draft)
    seen = task.snapshot_sequence if advances else 0
    if follow_up(draft, task, seen=seen) and run.task_failures:
        draft.set_run(task_failures=0)
    return Completed(run.id, draft.run.status, tuple(created))


def _advance(
    draft: Draft,
    commands: Sequence[OpenCommand],
    cause: Task,
    background: Background,
    *,
    is_last: bool,
) -> list[str]:
    """The workflow itself ran: what that means for its waits and the signals that it
    was shown (§9.3), and the commands. The ids of the tasks created."""
    give_signals(draft, cause, background)
    condition = newest_open_condition(draft)
    if is_last or _blocking(commands):
        move_past(draft, cause)
    created = _apply_open(draft, commands, cause, background)
    condition = condition or newest_open_condition(draft)
    if is_last or condition is not None:
        take_signals(draft, cause, condition)
    return created


def _check_list(draft: Draft, completion: Completion, task: Task) -> Rejection | None:
    commands = completion.commands
    if sum(isinstance(command, TERMINAL) for command in commands) > 1:
        return Rejection(
            "invalid_commands", "A completion may hold at most one terminal command."
        )
    if any(isinstance(command, TERMINAL) for command in commands[:-1]):
        return Rejection(
            "invalid_commands", "No command may follow the terminal command."
        )
    closed = [command for command in commands if isinstance(command, UPDATES)]
    refused = updates.check(draft, closed, cause=task) if closed else None
    return refused or markers.check(draft, commands, completion.background)


def _check_limits(
    draft: Draft,
    commands: Sequence[WorkflowCommand],
    *,
    new: Sequence[OpenCommand],
    background: Background,
) -> Rejection | None:
    """``new``: the commands that will be applied; those sent again add nothing."""
    limits = draft.context.policy.limits
    activities_after = sum(a.is_open for a in draft.activities.values()) + sum(
        isinstance(command, ScheduleActivity) for command in new
    )
    timers_after = sum(t.is_open for t in draft.timers.values()) + sum(
        isinstance(command, StartTimer) or _has_timeout(command) for command in new
    )
    children_started = sum(isinstance(command, StartChildWorkflow) for command in new)
    children_after = children_started + sum(
        child.is_open for child in draft.children.values()
    )
    is_closing = bool(commands) and isinstance(commands[-1], TERMINAL)
    written = sum(map(_events_of, new)) + is_closing
    checks = (
        ("command_batch_size", len(commands), limits.command_batch_size),
        ("history_transaction_size", written, limits.history_transaction_size),
        ("pending_activity_count", activities_after, limits.pending_activities),
        ("pending_child_count", children_after, limits.pending_children),
        ("pending_timer_count", timers_after, limits.pending_timers),
        (
            "history_event_count",
            draft.last_sequence + written,
            0 if is_closing else limits.history_events,
        ),
        *markers.search_attribute_sizes(draft, new, background),
    )
    for kind, value, limit in checks:
        if 0 < limit < value:
            return Rejection(
                "structural_limit_exceeded",
                f"The completion would exceed the limit {kind} of {limit}.",
                {"limit_kind": kind, "current_value": value, "configured_limit": limit},
            )
    return None


def _has_timeout(command: OpenCommand) -> bool:
    return isinstance(command, WAITS) and command.timeout_seconds is not None


def _events_of(command: OpenCommand) -> int:
    """How many events a command writes at once, at most."""
    writes_two = isinstance(command, CompleteUpdate | StartChildWorkflow)
    return 1 + (writes_two or _has_timeout(command))


def _verdict_on_blind_worker(
    draft: Draft, completion: Completion
) -> Sequence[WorkflowCommand] | None:
    """What ends the run when a worker asks again for a step that finally failed.

    Its replay skips the failure, so it would ask for ever (decision 20e).
    """
    if not completion.unseen or not _repeats_newest_batch(
        draft, _blocking(completion.commands)
    ):
        return None
    for step in members(draft, draft.run.batch_first):
        verdict = _verdict_on_step(step, completion.unseen)
        if verdict is not None:
            return [verdict]
    return None


def _verdict_on_step(step: Step, unseen: frozenset[EventType]) -> FailWorkflow | None:
    match step:
        case Activity(status=ActivityStatus.FAILED):
            if EventType.ACTIVITY_FAILED in unseen:
                message = f"The activity [{step.activity_type}] failed."
                return FailWorkflow(message=message, category=FailureCategory.ACTIVITY)
        case Child(status=ChildStatus.CANCELLED | ChildStatus.TERMINATED):
            if EventType.CHILD_RUN_CANCELLED in unseen:
                message = (
                    f"The child workflow [{step.workflow_type}] was {step.status}."
                )
                return FailWorkflow(
                    message=message, category=FailureCategory.CHILD_WORKFLOW
                )
    return None


def _without_resent(
    draft: Draft, task: Task, commands: Sequence[WorkflowCommand]
) -> list[OpenCommand]:
    """The commands to apply but for the terminal one; without the blocking ones when
    they repeat the newest batch."""
    if _is_resent(draft, task, commands):
        return [c for c in commands if isinstance(c, MARKERS + UPDATES)]
    return [c for c in commands if not isinstance(c, TERMINAL)]


def _is_resent(draft: Draft, task: Task, commands: Sequence[WorkflowCommand]) -> bool:
    """A worker replays from the start and sends the whole pending batch again as long
    as the history it was given did not resolve every member (§5.3 rule 7).

    A batch of waits alone is sent again until they are over, whatever the policy. The
    same wait after a new marker is another one: the workflow has gone on (R7).
    """
    blocking = _blocking(commands)
    if not blocking or not _repeats_newest_batch(draft, blocking):
        return False
    is_waiting = any(
        isinstance(member, Wait) and _is_pending(draft, member, task)
        for member in members(draft, draft.run.batch_first)
    )
    if all(isinstance(command, WAITS) for command in blocking):
        return is_waiting and not any(isinstance(c, MARKERS) for c in commands)
    resolved = draft.run.batch_resolved_sequence
    was_pending = resolved == 0 or resolved > task.snapshot_sequence
    return draft.context.policy.recognises_resent_commands and (
        was_pending or is_waiting
    )


def _is_pending(draft: Draft, wait: Wait, task: Task) -> bool:
    """The wait is not over in the history that ``task`` showed."""
    signal = signal_for(draft, wait) if wait.is_open else None
    return wait.is_open and (signal is None or not is_shown(signal, task))


def _blocking(commands: Sequence[WorkflowCommand]) -> list[BlockingCommand]:
    return [command for command in commands if isinstance(command, BLOCKING)]


def _repeats_newest_batch(draft: Draft, blocking: Sequence[BlockingCommand]) -> bool:
    if len(blocking) != draft.run.batch_size:
        return False
    batch = sorted(members(draft, draft.run.batch_first), key=lambda step: step.step)
    return len(batch) == len(blocking) and all(map(_repeats, blocking, batch))


def _repeats(command: BlockingCommand, step: Step) -> bool:
    match command, step:
        case ScheduleActivity(), Activity():
            return command.repeats(step)
        case StartTimer(), Timer():
            return command.repeats(step)
        case ((OpenConditionWait() | OpenSignalWait()), Wait()):
            return command.repeats(step)
        case StartChildWorkflow(), Child():
            return command.repeats(step)
        case _:
            return False


def _apply_open(
    draft: Draft,
    commands: Sequence[OpenCommand],
    cause: Task,
    background: Background,
) -> list[str]:
    """Apply all but the terminal command in order; the ids of the tasks created."""
    blocking = len(_blocking(commands))
    batch = 0
    created = []
    for command in commands:
        if isinstance(command, MARKERS):
            markers.apply(draft, command, cause=cause, background=background)
            continue
        if isinstance(command, UPDATES):
            updates.apply(draft, command, cause=cause, background=background)
            continue
        batch = batch or open_batch(draft, size=blocking)
        parallel = rebase(command.parallel, step=draft.last_step + 1)
        match command:
            case ScheduleActivity():
                command = replace(command, parallel=parallel)
                created.append(
                    activities.apply(draft, command, batch=batch, cause=cause)
                )
            case StartTimer():
                command = replace(command, parallel=parallel)
                created.append(timers.apply(draft, command, batch=batch, cause=cause))
            case OpenConditionWait() | OpenSignalWait():
                command = replace(command, parallel=parallel)
                timer = waits.apply(draft, command, batch=batch, cause=cause)
                created += [timer] if timer else []
            case StartChildWorkflow():
                command = replace(command, parallel=parallel)
                created.append(
                    children.apply(
                        draft,
                        command,
                        batch=batch,
                        cause=cause,
                        background=background,
                    )
                )
            case _:
                assert_never(command)
    return created


def _apply_terminal(
    draft: Draft,
    command: TerminalCommand,
    cause: Task,
    background: Background,
) -> list[str]:
    match command:
        case CompleteWorkflow():
            terminal.complete(draft, command, cause)
            return []
        case FailWorkflow():
            terminal.fail(draft, command, cause)
            return []
        case ContinueAsNew():
            return [
                terminal.continue_as_new(
                    draft, command, cause=cause, background=background
                )
            ]
        case _:
            assert_never(command)
