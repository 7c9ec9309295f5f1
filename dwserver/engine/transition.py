"""A transition: the closed set of writes that one decision may ask for.

Guards and rows travel together; the store applies a transition entirely or not at
all (``architecture.md §3.2``). Guard of an existing run: its ``version`` equals
``base_version``. Guard of a new instance: nobody holds its workflow id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from dwserver.engine.model import (
    Activity,
    AppliedCommand,
    Child,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    Instance,
    OutboxEntry,
    Payload,
    Run,
    RunInput,
    RunState,
    Signal,
    Step,
    Task,
    Timer,
    Update,
    Wait,
)
from dwserver.engine.model.schedules import Occurrence, Schedule, ScheduleEvent
from dwserver.engine.records import quick_init


@quick_init
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunImport:
    """Where an imported run comes from; written once beside it. The run id with the
    dedupe key tells whether a bundle is in the database already."""

    import_source: str
    import_id: str
    import_dedupe_key: str
    import_contract_version: int
    imported_at: int


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """All writes that concern one run. ``base_version`` is None for a new run.

    ``run`` is the row after the change, its ``version`` already raised. Rows in
    ``new_*`` are inserted; rows in the other tuples replace the stored ones. ``input``
    is that of a new run, or replaces the stored one. ``imported``: the new run was made
    by another server.
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
    new_children: tuple[Child, ...] = ()
    children: tuple[Child, ...] = ()
    new_waits: tuple[Wait, ...] = ()
    waits: tuple[Wait, ...] = ()
    new_signals: tuple[Signal, ...] = ()
    signals: tuple[Signal, ...] = ()
    new_updates: tuple[Update, ...] = ()
    updates: tuple[Update, ...] = ()
    commands: tuple[Command, ...] = ()
    applied_commands: tuple[AppliedCommand, ...] = ()
    failures: tuple[Failure, ...] = ()
    lease_guards: tuple[LeaseGuard, ...] = ()
    outbox: tuple[OutboxEntry, ...] = ()
    imported: RunImport | None = None


@dataclass(frozen=True, slots=True)
class TermGuard:
    """The leadership ``name`` must still be in this term (decision 24): whoever took it
    over meanwhile has begun the next one."""

    name: str
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChange:
    """All writes that concern one schedule. ``base_version`` is None for a new one,
    whose guard is that its public id is free.

    ``schedule`` is the row after the change, its ``version`` already raised.
    ``occurrences`` guard the transition as well: none of them may be recorded yet.
    """

    base_version: int | None
    schedule: Schedule
    events: tuple[ScheduleEvent, ...] = ()
    occurrences: tuple[Occurrence, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One atomic write over one or a few runs, at most one change per run.

    ``new_instances``: reserved workflow ids (guarded by uniqueness within the
    namespace). ``instances``: new ``current_run_id``/``run_count`` of existing
    instances; covered by the guard of a run of that instance. ``schedule``: the change
    of a schedule, with or without runs. ``term``: a leader writes.
    """

    changes: tuple[RunChange, ...] = ()
    new_instances: tuple[Instance, ...] = ()
    instances: tuple[Instance, ...] = field(default=())
    schedule: ScheduleChange | None = None
    term: TermGuard | None = None


class _Row(Protocol):
    @property
    def is_open(self) -> bool: ...


_Key = TypeVar("_Key")
_R = TypeVar("_R", bound=_Row)
_S = TypeVar("_S", bound=Step)


def apply(state: RunState | None, change: RunChange) -> RunState:
    """The hot state after ``change`` was committed upon ``state``.

    A store that loads the run after the commit gives an equal value (tested for both
    databases).
    """
    run = change.run
    old = state or RunState(run)
    new_activities = [new.activity for new in change.new_activities]
    tasks = {task.id: task for task in (*change.new_tasks, *change.tasks)}
    signals = {s.sequence: s for s in (*change.new_signals, *change.signals)}
    updates = {u.sequence: u for u in (*change.new_updates, *change.updates)}
    return RunState(
        run,
        _open({**old.tasks, **tasks}),
        _kept(run, old.activities, (*new_activities, *change.activities)),
        _kept(run, old.timers, (*change.new_timers, *change.timers)),
        _kept(run, old.children, (*change.new_children, *change.children)),
        _kept(run, old.waits, (*change.new_waits, *change.waits)),
        _open({**old.signals, **signals}),
        _open({**old.updates, **updates}),
    )


def keeps_step(run: Run, step: Step) -> bool:
    """The hot state keeps the open and held steps and the newest batch."""
    return step.is_open or step.is_held or is_in_newest_batch(run, step)


def is_in_newest_batch(run: Run, step: Step) -> bool:
    return run.batch_size > 0 and step.step >= run.batch_first


def _open(rows: Mapping[_Key, _R]) -> dict[_Key, _R]:
    return {key: row for key, row in rows.items() if row.is_open}


def _kept(run: Run, rows: Mapping[int, _S], written: Iterable[_S]) -> dict[int, _S]:
    merged = {**rows, **{step.step: step for step in written}}
    return {number: step for number, step in merged.items() if keeps_step(run, step)}
