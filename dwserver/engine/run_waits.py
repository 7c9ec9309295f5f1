"""What an open run waits for, as describe and list say it
(``spec/control-plane-api.md`` §5.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeVar

from dwserver.engine.model import RunRows, Wait
from dwserver.engine.words import TaskKind, TimerKind, WaitFor, WaitStatus


class _Row(Protocol):
    @property
    def is_open(self) -> bool: ...


_R = TypeVar("_R", bound=_Row)
Waiting = tuple[str, str]


def waiting_for(state: RunRows) -> Waiting | None:
    """``wait_kind`` and ``wait_reason``: the first that applies, in the contract's
    order."""
    return next((found for look in _LOOKS if (found := look(state))), None)


def _first_open(rows: Iterable[_R]) -> _R | None:
    return next((row for row in rows if row.is_open), None)


def _activity(state: RunRows) -> Waiting | None:
    found = _first_open(state.activities.values())
    return (
        ("activity", f"Waiting for activity {found.activity_type}") if found else None
    )


def _update(state: RunRows) -> Waiting | None:
    found = _first_open(state.updates.values())
    return ("update", f"Waiting for update {found.name}") if found else None


def _signal(state: RunRows) -> Waiting | None:
    found = _first_open(state.signals.values())
    return ("signal", f"Waiting to apply signal {found.name}") if found else None


def _timer(state: RunRows) -> Waiting | None:
    plain = (t for t in state.timers.values() if t.kind is TimerKind.PLAIN)
    return ("timer", "Waiting for timer") if _first_open(plain) else None


def _wait_for(wait_for: WaitFor) -> Callable[[RunRows], Waiting | None]:
    def look(state: RunRows) -> Waiting | None:
        waits = [w for w in state.waits.values() if w.wait_for is wait_for]
        wait = _first_open(waits)
        if wait is not None:
            has_timer = wait.step in state.timers and state.timers[wait.step].is_open
            limit = " or timeout" if has_timer else ""
            return (wait_for.value, f"Waiting for {_label(wait)}{limit}")
        if _workflow_task(state) is None:
            return None
        over = next((w for w in waits if w.status is WaitStatus.TIMED_OUT), None)
        if over is None:
            return None
        return (wait_for.value, f"Waiting to apply {_label(over)} timeout")

    return look


def _label(wait: Wait) -> str:
    name = wait.name if wait.wait_for is WaitFor.SIGNAL else wait.condition_key
    return f"{wait.wait_for} {name}" if name else wait.wait_for.value


def _workflow_task(state: RunRows) -> Waiting | None:
    tasks = (t for t in state.tasks.values() if t.kind is TaskKind.WORKFLOW)
    task = _first_open(tasks)
    if task is None:
        return None
    leased = task.lease_owner is not None
    text = "Workflow task leased to worker" if leased else "Workflow task ready"
    return "workflow-task", text


def _child(state: RunRows) -> Waiting | None:
    found = _first_open(state.children.values())
    if found is None:
        return None
    return "child", f"Waiting for child workflow {found.workflow_type}"


_LOOKS: Final[tuple[Callable[[RunRows], Waiting | None], ...]] = (
    _activity,
    _update,
    _signal,
    _timer,
    _wait_for(WaitFor.CONDITION),
    _wait_for(WaitFor.SIGNAL),
    _workflow_task,
    _child,
)
