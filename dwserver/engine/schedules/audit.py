"""Change a schedule and say so in its audit history (§2.10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dwserver.engine.context import Context
from dwserver.engine.model.schedules import (
    Occurrence,
    Schedule,
    ScheduleEvent,
    ScheduleEventType,
)
from dwserver.engine.model.values import JsonMap
from dwserver.engine.records import replace
from dwserver.engine.transition import ScheduleChange
from dwserver.engine.wire_time import MICROS, iso, iso_or_none

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def occurrence_time(at: int) -> str:
    """``2026-04-13T12:00:00.000000+00:00``: nominal times have a form of their own."""
    return f"{iso(at).removesuffix('+00:00')}.{at % MICROS:06d}+00:00"


def occurrence_instant(text: str) -> int:
    """The instant that :func:`occurrence_time` wrote."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


class Revision:
    """The change of a schedule under decision: its row, what was recorded about it.

    ``command``: the attribution of an operator's request; a tick has none.
    """

    def __init__(
        self, schedule: Schedule, context: Context, *, command: JsonMap | None = None
    ) -> None:
        self.schedule = schedule
        self.context = context
        self._base_version: int | None = schedule.version
        self._command = command
        self._events: list[ScheduleEvent] = []
        self._occurrences: list[Occurrence] = []

    @classmethod
    def of_new(
        cls, schedule: Schedule, context: Context, *, command: JsonMap | None
    ) -> Revision:
        revision = cls(schedule, context, command=command)
        revision._base_version = None
        return revision

    def set(self, **fields: Any) -> None:
        self.schedule = replace(self.schedule, **fields)

    def attribute_to(self, command: JsonMap | None) -> None:
        """What is recorded from now on was asked for by this command."""
        self._command = command

    def record(
        self,
        event_type: ScheduleEventType,
        fields: Mapping[str, object],
        *,
        workflow_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Append an event that shows the schedule as it is now."""
        payload = {key: value for key, value in fields.items() if value is not None}
        if self._command is not None:
            payload["command_context"] = {
                "source": "control_plane",
                "context": self._command,
            }
        payload["schedule"] = _snapshot(self.schedule)
        sequence = self.schedule.last_event_sequence + 1
        self.set(last_event_sequence=sequence)
        self._events.append(
            ScheduleEvent(
                id=self.context.next_id(),
                sequence=sequence,
                event_type=event_type,
                payload=self.context.encode(payload),
                recorded_at=self.context.now,
                workflow_id=workflow_id,
                run_id=run_id,
            )
        )

    def fired(self, occurrence: Occurrence) -> None:
        """Record the occurrence: it guards against a second fire of it."""
        self._occurrences.append(occurrence)

    def freeze(self) -> ScheduleChange:
        base = self._base_version
        version = 1 if base is None else base + 1
        self.set(version=version, updated_at=self.context.now)
        return ScheduleChange(
            base_version=base,
            schedule=self.schedule,
            events=tuple(self._events),
            occurrences=tuple(self._occurrences),
        )


def _snapshot(schedule: Schedule) -> dict[str, object]:
    fields: dict[str, object] = {
        "id": schedule.id,
        "schedule_id": schedule.schedule_id,
        "namespace": schedule.namespace,
        "status": schedule.status,
        "overlap_policy": schedule.overlap_policy,
        "next_fire_at": iso_or_none(schedule.next_fire_at),
        "last_fired_at": iso_or_none(schedule.last_fired_at),
        "paused_at": iso_or_none(schedule.paused_at),
        "deleted_at": iso_or_none(schedule.deleted_at),
        "last_skip_reason": schedule.last_skip_reason,
        "last_skipped_at": iso_or_none(schedule.last_skipped_at),
        "fires_count": schedule.fires_count,
        "skipped_trigger_count": schedule.skipped_trigger_count,
        "latest_workflow_instance_id": schedule.latest_workflow_id,
        "note": schedule.note,
    }
    return {key: value for key, value in fields.items() if value is not None}
