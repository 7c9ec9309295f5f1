"""``open_condition_wait`` and ``open_signal_wait``
(``spec/worker-protocol.md §8.9, §8.10``, ``spec/engine.md §9``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from dwserver.engine import events, wait_events
from dwserver.engine.draft import Draft
from dwserver.engine.model import JsonMap, Task, Timer, Wait
from dwserver.engine.records import replace
from dwserver.engine.waits import signal_for, signal_without_wait
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    EventType,
    TimerKind,
    TimerStatus,
    WaitFor,
    WaitStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConditionWait:
    """Without ``timeout_seconds`` the wait has no end of its own; 0 ends it at once."""

    condition_key: str | None = None
    fingerprint: str | None = None
    timeout_seconds: int | None = None
    parallel: JsonMap | None = None

    def repeats(self, wait: Wait) -> bool:
        """The command that opened ``wait``, sent again. Its time-out runs on."""
        return (
            wait.wait_for is WaitFor.CONDITION
            and wait.condition_key == self.condition_key
            and wait.fingerprint == self.fingerprint
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSignalWait:
    """As for a condition; a signal that is there already leaves no time-out."""

    name: str
    timeout_seconds: int | None = None
    parallel: JsonMap | None = None

    def repeats(self, wait: Wait) -> bool:
        """The command that opened ``wait``, sent again. Its time-out runs on."""
        return wait.wait_for is WaitFor.SIGNAL and wait.name == self.name


OpenWait = OpenConditionWait | OpenSignalWait


def apply(draft: Draft, command: OpenWait, *, batch: int, cause: Task) -> str | None:
    """Open it; the id under which the task of its time-out is known, if it has one."""
    wait = _wait(draft, command, batch)
    draft.waits.add(wait)
    draft.append(
        _OPENED[wait.wait_for], wait_events.wait_opened(wait, cause), task_id=cause.id
    )
    if wait.timeout_seconds is None or signal_for(draft, wait) is not None:
        return None
    return _start_timeout(draft, wait, wait.timeout_seconds, cause)


def _wait(draft: Draft, command: OpenWait, batch: int) -> Wait:
    context = draft.context
    wait = Wait(
        id=context.next_id(),
        run_id=draft.run.id,
        step=draft.next_step(),
        batch=batch,
        wait_for=WaitFor.CONDITION,
        status=WaitStatus.OPEN,
        opened_at=context.now,
        timeout_seconds=command.timeout_seconds,
        parallel=command.parallel,
    )
    match command:
        case OpenConditionWait():
            return replace(
                wait,
                condition_key=command.condition_key,
                fingerprint=command.fingerprint,
            )
        case OpenSignalWait(name=name):
            signal = signal_without_wait(draft, name)
            return replace(
                wait,
                id=signal.wait_id if signal else wait.id,
                wait_for=WaitFor.SIGNAL,
                name=name,
            )
        case _:
            assert_never(command)


def _start_timeout(draft: Draft, wait: Wait, seconds: int, cause: Task) -> str:
    """It has the step of its wait. One that is due at once is held until everything
    else that the completion asks for is recorded."""
    context = draft.context
    timer = Timer(
        id=context.next_id(),
        run_id=wait.run_id,
        step=wait.step,
        batch=wait.batch,
        status=TimerStatus.PENDING,
        delay_seconds=seconds,
        fire_at=context.now + seconds * MICROS,
        task_id=context.next_id(),
        created_at=context.now,
        kind=_TIMEOUT[wait.wait_for],
        is_held=seconds == 0,
    )
    draft.timers.add(timer)
    draft.append(
        EventType.TIMER_SCHEDULED,
        events.timer_scheduled(timer, cause, wait),
        task_id=cause.id,
    )
    return timer.task_id


_OPENED = {
    WaitFor.CONDITION: EventType.CONDITION_WAIT_OPENED,
    WaitFor.SIGNAL: EventType.SIGNAL_WAIT_OPENED,
}
_TIMEOUT = {
    WaitFor.CONDITION: TimerKind.CONDITION_TIMEOUT,
    WaitFor.SIGNAL: TimerKind.SIGNAL_TIMEOUT,
}
