"""What a run waits for: the first that applies, in the words of the contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import RunState
from dwserver.engine.run_waits import waiting_for
from dwserver.engine.words import (
    ActivityStatus,
    ChildStatus,
    SignalStatus,
    TaskStatus,
    TimerKind,
    TimerStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from tests.support.builders import (
    a_child,
    a_run,
    a_signal,
    a_task,
    a_timer,
    a_wait,
    an_activity,
    an_update,
)

RUN = a_run()
TASK = a_task(RUN)
LEASED = a_task(RUN, status=TaskStatus.LEASED, lease_owner="w", lease_expires_at=1)
ACTIVITY = an_activity(RUN, step=1, activity_type="orders.Charge")
UPDATE = an_update(RUN, sequence=2, name="set")
SIGNAL = a_signal(RUN, sequence=3, name="go")
TIMER = a_timer(RUN, step=4)
CONDITION = a_wait(RUN, step=5, wait_for=WaitFor.CONDITION, condition_key="ready")
UNNAMED = a_wait(RUN, step=5, wait_for=WaitFor.CONDITION, condition_key=None)
SIGNAL_WAIT = a_wait(RUN, step=6, wait_for=WaitFor.SIGNAL, name="paid")
CHILD = a_child(RUN, step=7, workflow_type="orders.Pack")

# In the order of the contract.
ROWS: tuple[tuple[str, Any, str, str], ...] = (
    ("activities", ACTIVITY, "activity", "Waiting for activity orders.Charge"),
    ("updates", UPDATE, "update", "Waiting for update set"),
    ("signals", SIGNAL, "signal", "Waiting to apply signal go"),
    ("timers", TIMER, "timer", "Waiting for timer"),
    ("waits", CONDITION, "condition", "Waiting for condition ready"),
    ("waits", SIGNAL_WAIT, "signal", "Waiting for signal paid"),
    ("tasks", TASK, "workflow-task", "Workflow task ready"),
    ("children", CHILD, "child", "Waiting for child workflow orders.Pack"),
)


def state(*rows: tuple[str, Any]) -> RunState:
    found: dict[str, dict[Any, Any]] = {}
    for kind, row in rows:
        key = {"tasks": "id", "updates": "sequence", "signals": "sequence"}
        found.setdefault(kind, {})[getattr(row, key.get(kind, "step"))] = row
    return RunState(RUN, **found)


@pytest.mark.parametrize("position", range(len(ROWS)))
def test_the_first_that_applies(position: int) -> None:
    rows = ROWS[position:]
    waiting = waiting_for(state(*((kind, row) for kind, row, _, _ in rows)))
    assert waiting == rows[0][2:]


def test_nothing_is_waited_for() -> None:
    assert waiting_for(state()) is None


def closed(row: Any, status: Any) -> Any:
    return replace(row, status=status)


@pytest.mark.parametrize(
    ("kind", "row", "status"),
    [
        ("activities", ACTIVITY, ActivityStatus.COMPLETED),
        ("updates", UPDATE, UpdateStatus.COMPLETED),
        ("signals", SIGNAL, SignalStatus.APPLIED),
        ("timers", TIMER, TimerStatus.FIRED),
        ("waits", CONDITION, WaitStatus.SATISFIED),
        ("waits", SIGNAL_WAIT, WaitStatus.TIMED_OUT),
        ("children", CHILD, ChildStatus.COMPLETED),
    ],
)
def test_what_is_over_is_not_waited_for(kind: str, row: Any, status: Any) -> None:
    assert waiting_for(state((kind, closed(row, status)))) is None


def test_a_leased_task() -> None:
    expected = ("workflow-task", "Workflow task leased to worker")
    assert waiting_for(state(("tasks", LEASED))) == expected


@pytest.mark.parametrize(
    ("wait", "kind", "label"),
    [
        (CONDITION, TimerKind.CONDITION_TIMEOUT, "condition ready"),
        (UNNAMED, TimerKind.CONDITION_TIMEOUT, "condition"),
        (SIGNAL_WAIT, TimerKind.SIGNAL_TIMEOUT, "signal paid"),
    ],
)
def test_a_wait_with_a_time_out(wait: Any, kind: TimerKind, label: str) -> None:
    timer = a_timer(RUN, step=wait.step, kind=kind)
    waiting = waiting_for(state(("waits", wait), ("timers", timer)))
    assert waiting == (wait.wait_for, f"Waiting for {label} or timeout")
    over = closed(wait, WaitStatus.TIMED_OUT)
    fired = closed(timer, TimerStatus.FIRED)
    waiting = waiting_for(state(("waits", over), ("timers", fired), ("tasks", TASK)))
    assert waiting == (wait.wait_for, f"Waiting to apply {label} timeout")
