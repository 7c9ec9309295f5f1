"""A transition: the closed set of writes that one decision may ask for.

Guards and rows travel together; the store applies a transition entirely or not at
all (``architecture.md §3.2``). Guard of an existing run: its ``version`` equals
``base_version``. Guard of a new instance: nobody holds its workflow id.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    Instance,
    Payload,
    Run,
    RunInput,
    RunState,
    Task,
    Timer,
)
from dwserver.engine.records import quick_init


@dataclass(frozen=True, slots=True)
class NewActivity:
    """An activity with the arguments that are written once beside it."""

    activity: Activity
    arguments: Payload | None


@dataclass(frozen=True, slots=True)
class ReleasedEvent:
    """A held event that takes its place in history: ``held`` (< 0) → ``sequence``."""

    held: int
    sequence: int
    recorded_at: int


@dataclass(frozen=True, slots=True)
class LeaseGuard:
    """The task's lease must still expire at ``lease_expires_at``.

    Renewals move the expiry without touching the run's version; whoever takes a
    lease away must therefore guard it by itself.
    """

    task_id: str
    lease_expires_at: int


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """All writes that concern one run. ``base_version`` is None for a new run.

    ``run`` is the row after the change, its ``version`` already raised. Rows in
    ``new_*`` are inserted; rows in the other tuples replace the stored ones by id.
    """

    base_version: int | None
    run: Run
    input: RunInput | None = None
    output: Payload | None = None
    events: tuple[Event, ...] = ()
    released: tuple[ReleasedEvent, ...] = ()
    new_tasks: tuple[Task, ...] = ()
    tasks: tuple[Task, ...] = ()
    new_activities: tuple[NewActivity, ...] = ()
    activities: tuple[Activity, ...] = ()
    attempts: tuple[ClosedAttempt, ...] = ()
    new_timers: tuple[Timer, ...] = ()
    timers: tuple[Timer, ...] = ()
    commands: tuple[Command, ...] = ()
    failures: tuple[Failure, ...] = ()
    lease_guards: tuple[LeaseGuard, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One atomic write over one or a few runs, at most one change per run.

    ``new_instances``: reserved workflow ids (guarded by uniqueness within the
    namespace). ``instances``: new ``current_run_id``/``run_count`` of existing
    instances; covered by the guard of a run of that instance.
    """

    changes: tuple[RunChange, ...]
    new_instances: tuple[Instance, ...] = ()
    instances: tuple[Instance, ...] = field(default=())


def apply(state: RunState | None, change: RunChange) -> RunState:
    """The hot state after ``change`` was committed upon ``state``.

    A store that loads the run after the commit gives an equal value (tested for both
    databases).
    """
    tasks = dict(state.tasks) if state else {}
    for task in (*change.new_tasks, *change.tasks):
        tasks[task.id] = task
    activities = dict(state.activities) if state else {}
    for new in change.new_activities:
        activities[new.activity.step] = new.activity
    for activity in change.activities:
        activities[activity.step] = activity
    timers = dict(state.timers) if state else {}
    for timer in (*change.new_timers, *change.timers):
        timers[timer.step] = timer
    run = change.run
    return RunState(
        run,
        {id_: task for id_, task in tasks.items() if task.status.is_open},
        {step: a for step, a in activities.items() if keeps_activity(run, a)},
        {step: t for step, t in timers.items() if keeps_timer(run, t)},
    )


def keeps_activity(run: Run, activity: Activity) -> bool:
    return activity.is_open or activity.is_held or _in_newest_batch(run, activity.step)


def keeps_timer(run: Run, timer: Timer) -> bool:
    return timer.is_open or timer.is_held or _in_newest_batch(run, timer.step)


def _in_newest_batch(run: Run, step: int) -> bool:
    return run.batch_size > 0 and step >= run.batch_first
