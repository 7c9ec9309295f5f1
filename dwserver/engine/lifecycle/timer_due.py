"""A timer reaches its due time (``spec/engine.md §4``; decision 25)."""

from __future__ import annotations

from dwserver.engine import events
from dwserver.engine.draft import Draft
from dwserver.engine.records import replace
from dwserver.engine.steps import resolve
from dwserver.engine.wait_endings import time_out
from dwserver.engine.wakes import resume_of_timer
from dwserver.engine.words import EventType, TimerKind, TimerStatus


def fire(draft: Draft, step: int) -> bool:
    """Fire the pending timer of ``step``, or hold the time-out of a wait back. False
    when there is nothing to do: not due, not pending, or held already."""
    now = draft.context.now
    timer = draft.timers.get(step)
    if timer is None or not timer.is_open or timer.fire_at > now:
        return False
    if draft.run.status.is_terminal:
        draft.timers.put(replace(timer, status=TimerStatus.CANCELLED, closed_at=now))
        return True
    if timer.kind is not TimerKind.PLAIN:
        touched = draft.touched
        time_out(draft, timer)
        return draft.touched != touched
    fired = replace(timer, status=TimerStatus.FIRED, closed_at=now)
    draft.timers.put(fired)
    resolve(
        draft,
        fired,
        event_type=EventType.TIMER_FIRED,
        payload=events.timer_fired(fired, fired_at=now),
        resume=resume_of_timer(fired),
        task_id=fired.task_id,
    )
    return True
