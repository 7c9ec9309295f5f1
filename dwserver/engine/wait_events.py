"""Payloads of the events of waits (``spec/engine.md §13``)."""

from __future__ import annotations

from dwserver.engine.events import present, task_snapshot
from dwserver.engine.model import Task, Timer, Wait
from dwserver.engine.words import WaitFor


def wait_opened(wait: Wait, cause: Task) -> dict[str, object]:
    """``ConditionWaitOpened`` and ``SignalWaitOpened``."""
    return present(
        {
            **_identity(wait),
            "sequence": wait.step,
            "timeout_seconds": wait.timeout_seconds,
            **(wait.parallel or {}),
            "task": task_snapshot(cause),
        }
    )


def condition_wait_satisfied(
    wait: Wait, timer: Timer | None, cause: Task
) -> dict[str, object]:
    """With the signal that woke the task, if one did, and the time-out it ends."""
    resume = cause.resume
    return present(
        {
            **_identity(wait),
            "sequence": wait.step,
            "timeout_seconds": wait.timeout_seconds,
            "timer_id": timer.id if timer else None,
            "workflow_signal_id": resume.get("workflow_signal_id"),
            "signal_name": resume.get("signal_name"),
            "signal_wait_id": resume.get("signal_wait_id"),
            **(wait.parallel or {}),
            "task": task_snapshot(cause),
        }
    )


def _identity(wait: Wait) -> dict[str, object]:
    if wait.wait_for is WaitFor.SIGNAL:
        return {"signal_name": wait.name, "signal_wait_id": wait.id}
    return {
        "condition_wait_id": wait.id,
        "condition_key": wait.condition_key,
        "condition_definition_fingerprint": wait.fingerprint,
    }
