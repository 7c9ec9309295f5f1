"""A run under decision: its hot state plus the changes recorded so far.

A draft outlives one decision: the commands that wait for the same run are decided
one after the other on one draft and written together. Hence the rule that a decision
which rejects has not touched the draft (``touched`` counts, callers check).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from dwserver.engine.context import Context
from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    Instance,
    JsonMap,
    Payload,
    Run,
    RunInput,
    RunState,
    Task,
    Timer,
)
from dwserver.engine.payloads import PLAIN_KEY
from dwserver.engine.records import replace
from dwserver.engine.transition import (
    LeaseGuard,
    NewActivity,
    ReleasedEvent,
    RunChange,
    keeps_activity,
    keeps_timer,
)
from dwserver.engine.words import EventType, TaskKind, TaskStatus

_PLAIN_MARK = PLAIN_KEY.encode()
_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


class Draft:
    """The mutable workspace of decisions about one run; see the module text."""

    __slots__ = (
        "_attempts",
        "_base_version",
        "_batch_first",
        "_changed_activities",
        "_changed_tasks",
        "_changed_timers",
        "_commands",
        "_failures",
        "_fields",
        "_history_bytes",
        "_lease_guards",
        "_new_activities",
        "_new_tasks",
        "_new_timers",
        "_released",
        "_run",
        "activities",
        "context",
        "created",
        "events",
        "input",
        "instance",
        "last_sequence",
        "last_step",
        "new_instance",
        "output",
        "tasks",
        "timers",
        "touched",
    )

    def __init__(self, state: RunState, context: Context) -> None:
        self._run = state.run
        self._fields: dict[str, Any] = {}
        self._base_version: int | None = state.run.version
        self._batch_first = state.run.batch_first
        self.context = context
        self.touched = 0
        self.last_sequence = state.run.last_sequence
        self.last_step = state.run.last_step
        self._history_bytes = state.run.history_bytes
        self.tasks: dict[str, Task] = dict(state.tasks)
        self.activities: dict[int, Activity] = dict(state.activities)
        self.timers: dict[int, Timer] = dict(state.timers)
        self.events: list[Event] = []
        self.input: RunInput | None = None
        self.output: Payload | None = None
        self.new_instance: Instance | None = None
        self.instance: Instance | None = None
        self.created: list[Draft] = []
        self._released: list[ReleasedEvent] = []
        self._new_tasks: dict[str, Task] = {}
        self._changed_tasks: dict[str, Task] = {}
        self._new_activities: dict[int, NewActivity] = {}
        self._changed_activities: dict[int, Activity] = {}
        self._new_timers: dict[int, Timer] = {}
        self._changed_timers: dict[int, Timer] = {}
        self._attempts: list[ClosedAttempt] = []
        self._commands: list[Command] = []
        self._failures: list[Failure] = []
        self._lease_guards: list[LeaseGuard] = []

    @classmethod
    def of_new_run(cls, run: Run, run_input: RunInput, context: Context) -> Draft:
        """A draft of a run that this transition creates."""
        draft = cls(RunState(run, {}, {}, {}), context)
        draft._base_version = None
        draft.input = run_input
        draft.touched = 1
        return draft

    # the run row ----------------------------------------------------------------
    @property
    def run(self) -> Run:
        if self._fields:
            self._run = replace(self._run, **self._fields)
            self._fields = {}
        return self._run

    def set_run(self, **fields: Any) -> None:
        self._fields.update(fields)
        self.touched += 1

    def next_step(self) -> int:
        self.last_step += 1
        return self.last_step

    # history --------------------------------------------------------------------
    def append(
        self,
        event_type: EventType,
        payload: JsonMap,
        *,
        task_id: str | None = None,
        command_id: str | None = None,
        held_step: int | None = None,
    ) -> int:
        """Append an event and return its sequence; with ``held_step`` hold it back."""
        if held_step is None:
            self.last_sequence += 1
            sequence = self.last_sequence
        else:
            sequence = -held_step
        context = self.context
        encoded = context.encode(payload)
        self._history_bytes += len(encoded)
        self.events.append(
            Event(
                id=context.next_id(),
                sequence=sequence,
                event_type=event_type,
                payload=encoded,
                recorded_at=context.now,
                has_plain=_PLAIN_MARK in encoded,
                task_id=task_id,
                command_id=command_id,
            )
        )
        self.touched += 1
        return sequence

    def release(self, held_step: int) -> int:
        """Give the held event of a step its place at the end of history."""
        self.last_sequence += 1
        for index, event in enumerate(self.events):
            if event.sequence == -held_step:
                self.events[index] = replace(event, sequence=self.last_sequence)
                return self.last_sequence
        self._released.append(
            ReleasedEvent(-held_step, self.last_sequence, self.context.now)
        )
        self.touched += 1
        return self.last_sequence

    # rows -----------------------------------------------------------------------
    def open_tasks(self) -> Iterator[Task]:
        return (task for task in self.tasks.values() if task.status.is_open)

    def open_workflow_task(self) -> Task | None:
        for task in self.tasks.values():
            if task.kind is TaskKind.WORKFLOW and task.status.is_open:
                return task
        return None

    def put_task(self, task: Task) -> None:
        _put(task, task.id, self.tasks, self._new_tasks, self._changed_tasks)
        self.touched += 1

    def new_task(self, task: Task) -> None:
        self.tasks[task.id] = self._new_tasks[task.id] = task
        self.touched += 1

    def put_activity(self, activity: Activity) -> None:
        step = activity.step
        self.activities[step] = activity
        new = self._new_activities.get(step)
        if new is None:
            self._changed_activities[step] = activity
        else:
            self._new_activities[step] = NewActivity(activity, new.arguments)
        self.touched += 1

    def new_activity(self, activity: Activity, arguments: Payload | None) -> None:
        self.activities[activity.step] = activity
        self._new_activities[activity.step] = NewActivity(activity, arguments)
        self.touched += 1

    def new_arguments(self) -> Mapping[str, Payload | None]:
        """Arguments of the activities scheduled in this draft, by activity id."""
        return {n.activity.id: n.arguments for n in self._new_activities.values()}

    def put_timer(self, timer: Timer) -> None:
        _put(timer, timer.step, self.timers, self._new_timers, self._changed_timers)
        self.touched += 1

    def new_timer(self, timer: Timer) -> None:
        self.timers[timer.step] = self._new_timers[timer.step] = timer
        self.touched += 1

    def close_attempt(self, attempt: ClosedAttempt) -> None:
        self._attempts.append(attempt)
        self.touched += 1

    def record_command(self, command: Command) -> None:
        self._commands.append(command)
        self.touched += 1

    def record_failure(self, failure: Failure) -> None:
        self._failures.append(failure)
        self.touched += 1

    def guard_lease(self, task: Task) -> None:
        if task.lease_expires_at is not None and task.id not in self._new_tasks:
            self._lease_guards.append(LeaseGuard(task.id, task.lease_expires_at))

    def ready_tasks(self) -> list[Task]:
        """Tasks this draft leaves ready to be claimed now, in order of creation."""
        now = self.context.now
        return [
            task
            for task in (*self._new_tasks.values(), *self._changed_tasks.values())
            if task.status is TaskStatus.READY and task.available_at <= now
        ]

    # outcome --------------------------------------------------------------------
    def settled(self) -> RunState:
        """The hot state once the frozen draft is committed, as ``transition.apply``
        gives it. Only rows that changed are looked at, unless a new batch began."""
        run = self.run
        for task in self._changed_tasks.values():
            if not task.status.is_open:
                self.tasks.pop(task.id, None)
        for task in self._new_tasks.values():
            if not task.status.is_open:
                self.tasks.pop(task.id, None)
        is_new_batch = run.batch_first != self._batch_first
        activities = self.activities if is_new_batch else self._changed_activities
        for step in [s for s, a in activities.items() if not keeps_activity(run, a)]:
            del self.activities[step]
        timers = self.timers if is_new_batch else self._changed_timers
        for step in [s for s, t in timers.items() if not keeps_timer(run, t)]:
            del self.timers[step]
        return RunState(run, self.tasks, self.activities, self.timers)

    def freeze(self) -> RunChange:
        """The writes recorded so far; the draft must not be used afterwards."""
        base = self._base_version
        self._fields.update(
            version=1 if base is None else base + 1,
            last_sequence=self.last_sequence,
            last_step=self.last_step,
            history_bytes=self._history_bytes,
            last_progress_at=self.context.now,
        )
        return RunChange(
            base_version=base,
            run=self.run,
            input=self.input,
            output=self.output,
            events=tuple(self.events),
            released=tuple(self._released),
            new_tasks=tuple(self._new_tasks.values()),
            tasks=tuple(self._changed_tasks.values()),
            new_activities=tuple(self._new_activities.values()),
            activities=tuple(self._changed_activities.values()),
            attempts=tuple(self._attempts),
            new_timers=tuple(self._new_timers.values()),
            timers=tuple(self._changed_timers.values()),
            commands=tuple(self._commands),
            failures=tuple(self._failures),
            lease_guards=tuple(self._lease_guards),
        )


def _put(
    row: _Row,
    key: _Key,
    rows: dict[_Key, _Row],
    new: dict[_Key, _Row],
    changed: dict[_Key, _Row],
) -> None:
    rows[key] = row
    if key in new:
        new[key] = row
    else:
        changed[key] = row
