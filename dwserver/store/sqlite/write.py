"""Applying transitions: the guards of all, then the rows of those whose guards hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dwserver.engine.model.schedules import Occurrence
from dwserver.engine.transition import ScheduleChange, Transition
from dwserver.store.sqlite.rows import PARTS, encode_json, parts_of
from dwserver.store.sqlite.statements import BLOCKS, write_rows


def apply_transitions(
    connection: sqlite3.Connection, transitions: Sequence[Transition]
) -> list[bool]:
    """Whether each was applied; within a transaction, all or none on an error.

    No two of them may concern the same run or the same workflow id.
    """
    flags = _Guards(connection, transitions).hold()
    applied = [t for t, flag in zip(transitions, flags, strict=True) if flag]
    parts = parts_of(applied)
    for part in PARTS:
        if part in parts:
            write_rows(connection, part, parts[part])
    return flags


def _key_of(schedule_id: str, occurrence: Occurrence) -> tuple[str, str, int]:
    return schedule_id, occurrence.kind, occurrence.nominal_at


class _Guards:
    """What the guards of a batch ask for, read by one statement for each kind."""

    def __init__(
        self, connection: sqlite3.Connection, transitions: Sequence[Transition]
    ) -> None:
        self._connection = connection
        self._transitions = transitions
        changes = [change for t in transitions for change in t.changes]
        reserved = [i for t in transitions for i in t.new_instances]
        versions = self._read(
            "list_run_versions",
            [c.run.id for c in changes if c.base_version is not None],
        )
        leases = self._read(
            "list_lease_expiries",
            [guard.task_id for c in changes for guard in c.lease_guards],
        )
        taken = self._read(
            "list_taken_ids", [(i.namespace, i.workflow_id) for i in reserved]
        )
        schedules = [t.schedule for t in transitions if t.schedule is not None]
        versions_of_schedules = self._read(
            "list_schedule_versions", [change.schedule.id for change in schedules]
        )
        taken_schedules = self._read(
            "list_taken_schedules",
            [(c.schedule.namespace, c.schedule.schedule_id) for c in schedules],
        )
        recorded = self._read(
            "list_recorded_occurrences",
            [_key_of(c.schedule.id, o) for c in schedules for o in c.occurrences],
        )
        terms = self._read(
            "list_leader_terms", list({t.term.name for t in transitions if t.term})
        )
        self._schedules = {row["id"]: row["version"] for row in versions_of_schedules}
        self._taken_schedules = {
            (row["namespace"], row["schedule_id"]) for row in taken_schedules
        }
        self._recorded = {
            (row["schedule_id"], row["kind"], row["nominal_at"]) for row in recorded
        }
        self._terms = {row["name"]: row["term"] for row in terms}
        self._versions = {row["id"]: row["version"] for row in versions}
        self._leases = {row["id"]: row["lease_expires_at"] for row in leases}
        self._taken = {(row["namespace"], row["workflow_id"]) for row in taken}

    def hold(self) -> list[bool]:
        return [self._holds(transition) for transition in self._transitions]

    def _holds(self, transition: Transition) -> bool:
        return (
            all(
                change.base_version is None
                or self._versions.get(change.run.id) == change.base_version
                for change in transition.changes
            )
            and all(
                self._leases.get(guard.task_id) == guard.lease_expires_at
                for change in transition.changes
                for guard in change.lease_guards
            )
            and not any(
                (instance.namespace, instance.workflow_id) in self._taken
                for instance in transition.new_instances
            )
            and (
                transition.term is None
                or self._terms.get(transition.term.name) == transition.term.term
            )
            and (
                transition.schedule is None or self._holds_schedule(transition.schedule)
            )
        )

    def _holds_schedule(self, change: ScheduleChange) -> bool:
        schedule = change.schedule
        if change.base_version is None:
            public_id = (schedule.namespace, schedule.schedule_id)
            return public_id not in self._taken_schedules
        return self._schedules.get(schedule.id) == change.base_version and not any(
            _key_of(schedule.id, occurrence) in self._recorded
            for occurrence in change.occurrences
        )

    def _read(self, block: str, keys: Sequence[object]) -> list[dict[str, object]]:
        if not keys:
            return []
        cursor = self._connection.execute(BLOCKS[block], (encode_json(keys).decode(),))
        return cursor.fetchall()
