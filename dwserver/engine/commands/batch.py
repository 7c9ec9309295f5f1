"""A workflow-task completion as a whole (``spec/engine.md §4, §5``).

Order: ownership guard, rules about the list, blocking commands that a replaying worker
sent again are dropped, the rest is applied in list order, the terminal command last;
then the follow-up task that waiting causes ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from dwserver.engine.background import NO_BACKGROUND, Background
from dwserver.engine.commands import activities, markers, terminal, timers
from dwserver.engine.commands.activities import ScheduleActivity
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
from dwserver.engine.draft import Draft
from dwserver.engine.leases import check_workflow_task, current
from dwserver.engine.model import Activity, Step, Task, Timer
from dwserver.engine.outcome import Rejection
from dwserver.engine.parallel import rebase
from dwserver.engine.records import quick_init, replace
from dwserver.engine.steps import members, open_batch
from dwserver.engine.wakes import follow_up, is_waiting, retry_stalled
from dwserver.engine.words import (
    ActivityStatus,
    FailureCategory,
    RunStatus,
    TaskStatus,
)

BlockingCommand = ScheduleActivity | StartTimer
OpenCommand = BlockingCommand | Marker
TerminalCommand = CompleteWorkflow | FailWorkflow | ContinueAsNew
WorkflowCommand = OpenCommand | TerminalCommand
BLOCKING = (ScheduleActivity, StartTimer)
MARKERS = (RecordSideEffect, RecordVersionMarker, UpsertSearchAttributes)
TERMINAL = (CompleteWorkflow, FailWorkflow, ContinueAsNew)


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A validated ``complete`` request and the background that its commands need.

    ``sees_failures``: replay by this worker takes notice of failed activities.
    """

    task: Task
    owner: str
    attempt: int
    commands: Sequence[WorkflowCommand]
    background: Background = NO_BACKGROUND
    sees_failures: bool = True


@dataclass(frozen=True, slots=True)
class Completed:
    """Reply: the run's status afterwards and the tasks created, in command order."""

    run_id: str
    run_status: RunStatus
    created_task_ids: tuple[str, ...]


def complete_workflow_task(
    draft: Draft, completion: Completion
) -> Completed | Rejection:
    """Apply a completion entirely or refuse it without a trace."""
    run = draft.run
    task = current(draft, completion.task)
    refused = check_workflow_task(
        run,
        task,
        owner=completion.owner,
        attempt=completion.attempt,
        context=draft.context,
    ) or _check_list(completion.commands)
    if refused:
        return refused
    sent = _verdict_on_blind_worker(draft, completion) or completion.commands
    commands = _without_resent(draft, task, sent)
    refused = _check_limits(draft, sent, new=commands)
    if refused:
        return refused
    end = next((c for c in sent if isinstance(c, TERMINAL)), None)
    closed_as = (
        TaskStatus.FAILED if isinstance(end, FailWorkflow) else TaskStatus.COMPLETED
    )
    draft.tasks.put(replace(task, status=closed_as, closed_at=draft.context.now))
    draft.set_run(status=RunStatus.WAITING)
    created = _apply_open(draft, commands, task, completion.background)
    if end is not None:
        created += _apply_terminal(draft, end, task, completion.background)
    elif follow_up(draft) is None and not is_waiting(draft, draft.run):
        retry_stalled(draft, task)
    elif run.task_failures:
        draft.set_run(task_failures=0)
    return Completed(run.id, draft.run.status, tuple(created))


def _check_list(commands: Sequence[WorkflowCommand]) -> Rejection | None:
    if sum(isinstance(command, TERMINAL) for command in commands) > 1:
        return Rejection(
            "invalid_commands", "A completion may hold at most one terminal command."
        )
    if any(isinstance(command, TERMINAL) for command in commands[:-1]):
        return Rejection(
            "invalid_commands", "No command may follow the terminal command."
        )
    return None


def _check_limits(
    draft: Draft,
    commands: Sequence[WorkflowCommand],
    *,
    new: Sequence[OpenCommand],
) -> Rejection | None:
    """``new``: the commands that will be applied; those sent again add nothing."""
    limits = draft.context.policy.limits
    activities_after = sum(a.is_open for a in draft.activities.values()) + sum(
        isinstance(command, ScheduleActivity) for command in new
    )
    timers_after = sum(t.is_open for t in draft.timers.values()) + sum(
        isinstance(command, StartTimer) for command in new
    )
    is_closing = bool(commands) and isinstance(commands[-1], TERMINAL)
    written = len(new) + is_closing
    checks = (
        ("command_batch_size", len(commands), limits.command_batch_size),
        ("history_transaction_size", written, limits.history_transaction_size),
        ("pending_activity_count", activities_after, limits.pending_activities),
        ("pending_timer_count", timers_after, limits.pending_timers),
        (
            "history_event_count",
            draft.last_sequence + written,
            0 if is_closing else limits.history_events,
        ),
    )
    for kind, value, limit in checks:
        if 0 < limit < value:
            return Rejection(
                "structural_limit_exceeded",
                f"The completion would exceed the limit {kind} of {limit}.",
                {"limit_kind": kind, "current_value": value, "configured_limit": limit},
            )
    return None


def _verdict_on_blind_worker(
    draft: Draft, completion: Completion
) -> Sequence[WorkflowCommand] | None:
    """What ends the run when a worker asks again for a step that finally failed.

    Its replay skips the failure, so it would ask for ever (decision 20e).
    """
    if completion.sees_failures or not _repeats_newest_batch(
        draft, _blocking(completion.commands)
    ):
        return None
    for step in members(draft, draft.run.batch_first):
        if isinstance(step, Activity) and step.status is ActivityStatus.FAILED:
            message = f"The activity [{step.activity_type}] failed."
            return [FailWorkflow(message=message, category=FailureCategory.ACTIVITY)]
    return None


def _without_resent(
    draft: Draft, task: Task, commands: Sequence[WorkflowCommand]
) -> list[OpenCommand]:
    """The commands to apply but for the terminal one; without the blocking ones when
    they repeat the newest batch.

    A worker replays from the start and sends the whole pending batch again as long as
    the history it was given did not resolve every member (§5.3 rule 7).
    """
    blocking = _blocking(commands)
    run = draft.run
    was_pending = (
        run.batch_resolved_sequence == 0
        or run.batch_resolved_sequence > task.snapshot_sequence
    )
    if (
        draft.context.policy.recognises_resent_commands
        and was_pending
        and _repeats_newest_batch(draft, blocking)
    ):
        return [c for c in commands if isinstance(c, MARKERS)]
    return [c for c in commands if not isinstance(c, TERMINAL)]


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
