"""Commands that a replaying worker sends again (``spec/engine.md §5.3 rule 7, §9.3``).

A worker replays from the start and sends the whole pending batch again as long as the
history it was given did not resolve every member.
"""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import (
    MARKERS,
    TERMINAL,
    UPDATES,
    WAITS,
    BlockingCommand,
    OpenCommand,
    WorkflowCommand,
    blocking_of,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.engine.draft import Draft
from dwserver.engine.model import Activity, Child, Step, Task, Timer, Wait
from dwserver.engine.steps import members
from dwserver.engine.wait_endings import is_shown
from dwserver.engine.waits import signal_for


def without_resent(
    draft: Draft, task: Task, commands: Sequence[WorkflowCommand]
) -> list[OpenCommand]:
    """The commands to apply but for the terminal one; without the blocking ones when
    they repeat the newest batch."""
    if _is_resent(draft, task, commands):
        return [c for c in commands if isinstance(c, MARKERS + UPDATES)]
    return [c for c in commands if not isinstance(c, TERMINAL)]


def _is_resent(draft: Draft, task: Task, commands: Sequence[WorkflowCommand]) -> bool:
    """A batch of waits alone is sent again until they are over, whatever the policy.
    The same wait after a new marker is another one: the workflow has gone on (R7)."""
    blocking = blocking_of(commands)
    if not blocking or not repeats_newest_batch(draft, blocking):
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


def repeats_newest_batch(draft: Draft, blocking: Sequence[BlockingCommand]) -> bool:
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
