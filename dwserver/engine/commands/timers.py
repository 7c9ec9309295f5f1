"""``start_timer`` (``spec/worker-protocol.md §8.5``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.draft import Draft
from dwserver.engine.model import JsonMap, Task, Timer
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import EventType, TimerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    delay_seconds: int
    parallel: JsonMap | None = None

    def repeats(self, timer: Timer) -> bool:
        """The command that started ``timer``, sent again."""
        return timer.delay_seconds == self.delay_seconds


def apply(draft: Draft, command: StartTimer, *, batch: int, cause: Task) -> str:
    """Start it; returns the id under which its task is known."""
    context = draft.context
    timer = Timer(
        id=context.next_id(),
        run_id=draft.run.id,
        step=draft.next_step(),
        batch=batch,
        status=TimerStatus.PENDING,
        delay_seconds=command.delay_seconds,
        fire_at=context.now + command.delay_seconds * MICROS,
        task_id=context.next_id(),
        created_at=context.now,
        parallel=command.parallel,
    )
    draft.timers.add(timer)
    draft.append(
        EventType.TIMER_SCHEDULED,
        events.timer_scheduled(timer, cause),
        task_id=cause.id,
    )
    return timer.task_id
