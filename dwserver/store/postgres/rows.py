"""Transitions as arrays of rows: what the parts of the commit statement carry."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.transition import RunChange, ScheduleChange, Transition
from dwserver.store.attribute_rows import AttributeRow, attribute_rows
from dwserver.store.postgres import fields
from dwserver.store.postgres.fields import Row

# Parts in the order in which the statement names them; each has a block of this name.
# The first two may decide which transitions apply. PostgreSQL runs those that nothing
# reads from the last to the first: tasks are locked before activities, as renewals do.
RUN_PARTS = (
    "insert_instances",
    "update_runs",
    "update_instances",
    "insert_runs",
    "insert_run_imports",
    "delete_attributes",
    "insert_attributes",
    "insert_events",
    "release_events",
    "insert_activities",
    "update_activities",
    "insert_tasks",
    "update_tasks",
    "insert_attempts",
    "insert_timers",
    "update_timers",
    "insert_children",
    "update_children",
    "insert_waits",
    "update_waits",
    "insert_signals",
    "update_signals",
    "insert_updates",
    "update_updates",
    "insert_commands",
    "update_commands",
    "insert_failures",
    "insert_outbox",
)
# Only in a locking statement, for transitions that change a schedule; the last two are
# guards of theirs, not writes.
SCHEDULE_PARTS = (
    "insert_schedules",
    "update_schedules",
    "insert_occurrences",
    "insert_schedule_events",
)
GUARD_PARTS = ("list_leader_terms", "list_schedule_versions")
PARTS = (*RUN_PARTS, *SCHEDULE_PARTS, *GUARD_PARTS)


class Rows:
    """The rows of one batch, by part.

    ``keys``: for each transition the run whose guard decides it, as long as every
    transition has exactly one guard, on a run or a workflow id (``is_simple``).
    """

    __slots__ = ("is_simple", "keys", "parts", "run_guards", "task_guards")

    def __init__(self, transitions: Sequence[Transition]) -> None:
        self.parts: dict[str, list[Row]] = {}
        self.keys: list[str] = []
        self.run_guards: list[Row] = []
        self.task_guards: list[Row] = []
        self.is_simple = True
        for n, transition in enumerate(transitions, start=1):
            self._add(n, transition)
        # Rows are locked in the order of their keys by every process.
        for part, order in _LOCK_ORDER.items():
            if part in self.parts:
                self.parts[part].sort(key=order)

    def locked_tasks(self) -> list[Row]:
        """The guards on leases, and the tasks that change: when one task is locked
        beforehand, all are, so that every process takes them in one order."""
        if not self.task_guards:
            return []
        guarded = {row[1] for row in self.task_guards}
        changed = self.parts.get("update_tasks", ())
        others = ((n, task, None) for n, task, *_ in changed if task not in guarded)
        return [*self.task_guards, *others]

    def _part(self, name: str) -> list[Row]:
        rows = self.parts.get(name)
        if rows is None:
            rows = self.parts[name] = []
        return rows

    def _add(self, n: int, transition: Transition) -> None:
        reserved = {i.current_run_id for i in transition.new_instances}
        guarded = list(reserved)
        for change in transition.changes:
            if change.base_version is not None:
                guarded.append(change.run.id)
                self.run_guards.append((n, change.run.id, change.base_version))
            if change.lease_guards:
                self.is_simple = False
                for guard in change.lease_guards:
                    row = (n, guard.task_id, guard.lease_expires_at)
                    self.task_guards.append(row)
            self._add_run(n, change, reserved)
            self._add_history(n, change)
            self._add_tasks(n, change)
            self._add_steps(n, change)
            self._add_waiting(n, change)
            self._add_messages(n, change)
        if transition.new_instances:
            rows = self._part("insert_instances")
            rows.extend((n, *fields.instance(i)) for i in transition.new_instances)
        if transition.instances:
            rows = self._part("update_instances")
            rows.extend((n, *fields.instance(i)) for i in transition.instances)
        if transition.schedule is not None:
            self._add_schedule(n, transition.schedule)
        if transition.term is not None:
            term = transition.term
            self._part("list_leader_terms").append((n, term.name, term.term))
        if transition.schedule is not None or transition.term is not None:
            self.is_simple = False
        elif len(guarded) == 1:
            self.keys.append(guarded[0])
        else:
            self.is_simple = False

    def _add_schedule(self, n: int, change: ScheduleChange) -> None:
        schedule = change.schedule
        row = fields.schedule_row(n, schedule)
        if change.base_version is None:
            self._part("insert_schedules").append(row)
        else:
            self._part("update_schedules").append(row)
            guard = (n, schedule.id, change.base_version)
            self._part("list_schedule_versions").append(guard)
        for part, records, values in (
            ("insert_occurrences", change.occurrences, fields.occurrence),
            ("insert_schedule_events", change.events, fields.schedule_event),
        ):
            if records:
                rows = self._part(part)
                rows.extend((n, schedule.id, *values(record)) for record in records)

    def _add_run(self, n: int, change: RunChange, reserved: set[str]) -> None:
        run = change.run
        if change.base_version is None:
            sibling_of = None if run.id in reserved else run.workflow_id
            row = (
                n,
                *fields.run(run),
                fields.BUCKETS[run.status],
                fields.encode_wakes(run.wakes),
                sibling_of,
                *fields.run_payloads(change.input or fields.EMPTY_INPUT, change.output),
            )
            self._part("insert_runs").append(row)
            if change.imported is not None:
                origin = fields.run_import(change.imported)
                self._part("insert_run_imports").append((n, run.id, *origin))
            if change.input is not None and change.input.search_attributes:
                self._add_attributes(n, attribute_rows(run, change.input))
            return
        given = change.input
        row = (
            n,
            change.base_version,
            *fields.run_change(run),
            fields.BUCKETS[run.status],
            fields.encode_wakes(run.wakes),
            *fields.encode_payload(change.output),
            *(
                fields.NO_INPUT
                if given is None
                else (True, *fields.encode_input(given))
            ),
        )
        self._part("update_runs").append(row)
        if given is not None:
            values = attribute_rows(run, given)
            kept = [f"{value.name}={value.kind}={value.term}" for value in values]
            self._part("delete_attributes").append((n, run.id, kept))
            self._add_attributes(n, values)

    def _add_attributes(self, n: int, values: Sequence[AttributeRow]) -> None:
        if values:
            self._part("insert_attributes").extend((n, *value) for value in values)

    def _add_history(self, n: int, change: RunChange) -> None:
        run_id = change.run.id
        if change.events:
            rows = self._part("insert_events")
            rows.extend((n, run_id, *fields.event(event)) for event in change.events)
        if change.released:
            rows = self._part("release_events")
            rows.extend(
                (n, run_id, *fields.released(event)) for event in change.released
            )
        if change.commands:
            rows = self._part("insert_commands")
            rows.extend(fields.command_row(n, command) for command in change.commands)
        if change.failures:
            rows = self._part("insert_failures")
            rows.extend((n, *fields.failure(failure)) for failure in change.failures)
        if change.outbox:
            rows = self._part("insert_outbox")
            rows.extend(
                (n, *fields.outbox_entry(entry), fields.encode_map(entry.payload))
                for entry in change.outbox
            )

    def _add_tasks(self, n: int, change: RunChange) -> None:
        if change.new_tasks:
            rows = self._part("insert_tasks")
            rows.extend(
                (n, *fields.task(t), fields.encode_map(t.resume))
                for t in change.new_tasks
            )
        if change.tasks:
            rows = self._part("update_tasks")
            rows.extend(
                (n, *fields.task_change(t), fields.encode_map(t.resume))
                for t in change.tasks
            )

    def _add_steps(self, n: int, change: RunChange) -> None:
        if change.new_activities:
            rows = self._part("insert_activities")
            rows.extend(fields.activity_row(n, new) for new in change.new_activities)
        if change.activities:
            rows = self._part("update_activities")
            rows.extend((n, *fields.activity_change(a)) for a in change.activities)
        if change.attempts:
            rows = self._part("insert_attempts")
            rows.extend((n, *fields.attempt(attempt)) for attempt in change.attempts)
        if change.new_timers:
            rows = self._part("insert_timers")
            rows.extend(
                (n, *fields.timer(t), fields.encode_optional(t.parallel))
                for t in change.new_timers
            )
        if change.timers:
            rows = self._part("update_timers")
            rows.extend((n, *fields.timer_change(timer)) for timer in change.timers)

    def _add_waiting(self, n: int, change: RunChange) -> None:
        if change.new_children:
            rows = self._part("insert_children")
            rows.extend(fields.child_row(n, child) for child in change.new_children)
        if change.children:
            rows = self._part("update_children")
            rows.extend((n, *fields.child_change(child)) for child in change.children)
        if change.new_waits:
            rows = self._part("insert_waits")
            rows.extend(
                (n, *fields.wait(w), fields.encode_optional(w.parallel))
                for w in change.new_waits
            )
        if change.waits:
            rows = self._part("update_waits")
            rows.extend((n, *fields.wait_change(wait)) for wait in change.waits)

    def _add_messages(self, n: int, change: RunChange) -> None:
        if change.new_signals:
            rows = self._part("insert_signals")
            rows.extend((n, *fields.signal(signal)) for signal in change.new_signals)
        if change.signals:
            rows = self._part("update_signals")
            rows.extend((n, *fields.signal_change(signal)) for signal in change.signals)
        if change.new_updates:
            rows = self._part("insert_updates")
            rows.extend(
                (n, *fields.update(u), *fields.encode_payload(u.result))
                for u in change.new_updates
            )
        if change.updates:
            rows = self._part("update_updates")
            rows.extend(
                (n, *fields.update_change(u), *fields.encode_payload(u.result))
                for u in change.updates
            )
        if change.applied_commands:
            run_id = change.run.id
            rows = self._part("update_commands")
            rows.extend(
                (n, run_id, *fields.applied_command(applied))
                for applied in change.applied_commands
            )


_LOCK_ORDER = {
    "insert_instances": lambda row: row[1:3],
    "update_runs": lambda row: row[2],
    "update_tasks": lambda row: row[1],
    "update_activities": lambda row: row[1],
    "update_schedules": lambda row: row[1],
}
