"""A run under decision: its hot state plus the changes recorded so far.

A draft outlives one decision: the commands that wait for the same run are decided
one after the other on one draft and written together. Hence the rule that a decision
which rejects has not touched the draft (``touched`` counts, callers check).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dwserver.engine.context import Context
from dwserver.engine.model import (
    Activity,
    AppliedCommand,
    Child,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    Instance,
    JsonMap,
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
from dwserver.engine.payloads import PLAIN_KEY
from dwserver.engine.records import replace
from dwserver.engine.rows import RowsById, RowsBySequence, RowsByStep
from dwserver.engine.transition import (
    LeaseGuard,
    NewActivity,
    ReleasedEvent,
    RunChange,
    keeps_step,
)
from dwserver.engine.words import (
    EventType,
    ParentClosePolicy,
    TaskKind,
    TaskStatus,
)

_PLAIN_MARK = PLAIN_KEY.encode()


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A parent-close policy that closed a run, and the reason that it gave."""

    policy: ParentClosePolicy
    reason: str


def _is_closed(row: Task | Signal | Update) -> bool:
    return not row.is_open


class Draft:
    """The mutable workspace of decisions about one run; see the module text.

    Rows are written with ``add`` and ``put`` of their collection. What else the
    transition is to carry is set directly: ``input`` and ``output`` of the run,
    ``new_instance`` (its workflow id is reserved), ``instance`` (points elsewhere from
    now on), ``created`` (drafts of the runs that this one starts), ``successor`` (draft
    of the next run of its workflow id).

    ``for_parent``: the run that has to hear, in the same transition, how this one
    closed (``lifecycle/child_outcome.py``). For it: ``exception``, what the worker told
    of the failure, and ``policy``, the close policy that closed the run.
    """

    __slots__ = (
        "_applied_commands",
        "_attempts",
        "_base_version",
        "_batch_first",
        "_commands",
        "_failures",
        "_fields",
        "_history_bytes",
        "_lease_guards",
        "_outbox",
        "_released",
        "_run",
        "_writes",
        "activities",
        "arguments",
        "children",
        "context",
        "created",
        "events",
        "exception",
        "for_parent",
        "input",
        "instance",
        "last_sequence",
        "last_step",
        "new_instance",
        "output",
        "policy",
        "signals",
        "successor",
        "tasks",
        "timers",
        "updates",
        "waits",
    )

    def __init__(self, state: RunState, context: Context) -> None:
        run = state.run
        self._run = run
        self._fields: dict[str, Any] = {}
        self._base_version: int | None = run.version
        self._batch_first = run.batch_first
        self._history_bytes = run.history_bytes
        self._writes = 0
        self.context = context
        self.last_sequence = run.last_sequence
        self.last_step = run.last_step
        self.tasks: RowsById[Task] = RowsById(state.tasks)
        self.activities: RowsByStep[Activity] = RowsByStep(state.activities)
        self.timers: RowsByStep[Timer] = RowsByStep(state.timers)
        self.children: RowsByStep[Child] = RowsByStep(state.children)
        self.waits: RowsByStep[Wait] = RowsByStep(state.waits)
        self.signals: RowsBySequence[Signal] = RowsBySequence(state.signals)
        self.updates: RowsBySequence[Update] = RowsBySequence(state.updates)
        self.arguments: dict[str, Payload | None] = {}
        self.events: list[Event] = []
        self.input: RunInput | None = None
        self.output: Payload | None = None
        self.new_instance: Instance | None = None
        self.instance: Instance | None = None
        self.created: list[Draft] = []
        self.successor: Draft | None = None
        self.for_parent: str | None = None
        self.exception: JsonMap | None = None
        self.policy: AppliedPolicy | None = None
        self._released: list[ReleasedEvent] = []
        self._attempts: list[ClosedAttempt] = []
        self._commands: list[Command] = []
        self._applied_commands: dict[int, AppliedCommand] = {}
        self._failures: list[Failure] = []
        self._lease_guards: list[LeaseGuard] = []
        self._outbox: list[OutboxEntry] = []

    @classmethod
    def of_new_run(cls, run: Run, run_input: RunInput, context: Context) -> Draft:
        """A draft of a run that this transition creates."""
        draft = cls(RunState(run), context)
        draft._base_version = None
        draft._writes = 1
        draft.input = run_input
        return draft

    @property
    def touched(self) -> int:
        """Rises with everything that is recorded."""
        return (
            self._writes
            + self.tasks.writes
            + self.activities.writes
            + self.timers.writes
            + self.children.writes
            + self.waits.writes
            + self.signals.writes
            + self.updates.writes
        )

    # the run row ----------------------------------------------------------------
    @property
    def run(self) -> Run:
        if self._fields:
            self._run = replace(self._run, **self._fields)
            self._fields = {}
        return self._run

    def set_run(self, **fields: Any) -> None:
        self._fields.update(fields)
        self._writes += 1

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
        held_at: int | None = None,
    ) -> int:
        """Append an event and return its sequence; or hold it at a negative one
        (``engine/held.py``) until :meth:`release`."""
        if held_at is None:
            self.last_sequence += 1
            sequence = self.last_sequence
        else:
            sequence = held_at
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
        self._writes += 1
        return sequence

    def release(self, held_at: int) -> int:
        """Give a held event its place at the end of history; its sequence there."""
        self.last_sequence += 1
        self._writes += 1
        for index, event in enumerate(self.events):
            if event.sequence == held_at:
                self.events[index] = replace(event, sequence=self.last_sequence)
                return self.last_sequence
        self._released.append(
            ReleasedEvent(held_at, self.last_sequence, self.context.now)
        )
        return self.last_sequence

    # tasks ----------------------------------------------------------------------
    def open_tasks(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.is_open]

    def open_workflow_task(self) -> Task | None:
        for task in self.tasks.values():
            if task.kind is TaskKind.WORKFLOW and task.is_open:
                return task
        return None

    def ready_tasks(self) -> list[Task]:
        """Tasks this draft leaves ready to be claimed now, in order of creation."""
        now = self.context.now
        return [
            task
            for task in self.tasks.written()
            if task.status is TaskStatus.READY and task.available_at <= now
        ]

    def guard_lease(self, task: Task) -> None:
        """Whoever renews the lease meanwhile prevents this change, unless the draft
        itself has moved it: then the expiry is none that the database knows."""
        is_written = task.id in self.tasks.new or task.id in self.tasks.changed
        if task.lease_expires_at is not None and not is_written:
            self._lease_guards.append(LeaseGuard(task.id, task.lease_expires_at))

    # messages -------------------------------------------------------------------
    def open_messages(self) -> list[Signal | Update]:
        """Signals not applied and updates not closed, in order of arrival."""
        if not self.signals and not self.updates:
            return []
        messages: list[Signal | Update] = [*self.signals.values()]
        messages += self.updates.values()
        found = [message for message in messages if message.is_open]
        return sorted(found, key=lambda message: message.sequence)

    # what is only ever added ----------------------------------------------------
    def schedule(self, activity: Activity, arguments: Payload | None) -> None:
        """Add an activity with its arguments."""
        self.activities.add(activity)
        self.arguments[activity.id] = arguments

    def close_attempt(self, attempt: ClosedAttempt) -> None:
        self._attempts.append(attempt)
        self._writes += 1

    @property
    def commands(self) -> Sequence[Command]:
        """Operator commands recorded so far."""
        return self._commands

    def record_command(self, command: Command) -> None:
        self._commands.append(command)
        self._writes += 1

    def payload_of(
        self, sequence: int, known: Mapping[int, Payload | None]
    ) -> Payload | None:
        """The payload of the command of this sequence: recorded here, or ``known``."""
        for command in self._commands:
            if command.sequence == sequence:
                return command.payload
        return known[sequence]

    def apply_command(self, applied: AppliedCommand) -> None:
        """The command took effect. One that this draft recorded is written as it then
        is: a transition does not change what it inserts."""
        self._writes += 1
        for index, command in enumerate(self._commands):
            if command.sequence == applied.sequence:
                self._commands[index] = replace(
                    command, outcome=applied.outcome, applied_at=applied.applied_at
                )
                return
        self._applied_commands[applied.sequence] = applied

    def record_failure(self, failure: Failure) -> None:
        self._failures.append(failure)
        self._writes += 1

    @property
    def own_failure(self) -> Failure | None:
        """The failure that closed the run, if one of this draft did."""
        own = (f for f in reversed(self._failures) if f.source_id == f.run_id)
        return next(own, None)

    def leave(self, entry: OutboxEntry) -> None:
        """Leave work for after the commit."""
        self._outbox.append(entry)
        self._writes += 1

    # outcome --------------------------------------------------------------------
    def family(self) -> list[Draft]:
        """This draft and those of the runs that it makes."""
        if not self.created and self.successor is None:
            return [self]
        made = [each for draft in self.created for each in draft.family()]
        if self.successor is not None:
            made += self.successor.family()
        return [self, *made]

    def settled(self) -> RunState:
        """The hot state once the frozen draft is committed, as ``transition.apply``
        gives it. Only rows that changed are looked at, unless a new batch began."""
        run = self.run
        is_new_batch = run.batch_first != self._batch_first

        def is_passed(step: Step) -> bool:
            return not keeps_step(run, step)

        return RunState(
            run,
            self.tasks.settled(_is_closed),
            self.activities.settled(is_passed, among_all=is_new_batch),
            self.timers.settled(is_passed, among_all=is_new_batch),
            self.children.settled(is_passed, among_all=is_new_batch),
            self.waits.settled(is_passed, among_all=is_new_batch),
            self.signals.settled(_is_closed),
            self.updates.settled(_is_closed),
        )

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
            **self._written(),
        )

    def _written(self) -> dict[str, Any]:
        """The rows of the change by its fields, without those that are empty: a
        decision writes three or four of two dozen kinds."""
        written: dict[str, Any] = {
            name: tuple(rows)
            for name, rows in (
                ("events", self.events),
                ("released", self._released),
                ("attempts", self._attempts),
                ("commands", self._commands),
                ("applied_commands", self._applied_commands.values()),
                ("failures", self._failures),
                ("lease_guards", self._lease_guards),
                ("outbox", self._outbox),
            )
            if rows
        }
        if self.activities.writes:
            written["new_activities"] = tuple(
                NewActivity(activity, self.arguments[activity.id])
                for activity in self.activities.new.values()
            )
            written["activities"] = tuple(self.activities.changed.values())
        for name, collection in (
            ("tasks", self.tasks),
            ("timers", self.timers),
            ("children", self.children),
            ("waits", self.waits),
            ("signals", self.signals),
            ("updates", self.updates),
        ):
            if collection.writes:
                written[f"new_{name}"] = tuple(collection.new.values())
                written[name] = tuple(collection.changed.values())
        return written
