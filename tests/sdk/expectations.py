"""What each scenario of ``programs/scenarios.py`` must lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.sdk.programs.scenario_values import (
    CHAIN_LENGTH,
    CHAIN_START,
    FAN_WIDTH,
    TALLY_NUMBERS,
    large_text,
)

STARTED = {"StartAccepted": 1, "WorkflowStarted": 1}
COMPLETED = {"WorkflowCompleted": 1}
FAILED = {"WorkflowFailed": 1}
TIMER = {"TimerScheduled": 1, "TimerFired": 1}


def _activities(count: int) -> dict[str, int]:
    return dict.fromkeys(
        ("ActivityScheduled", "ActivityStarted", "ActivityCompleted"), count
    )


def _history(*parts: Mapping[str, int]) -> Counter[str]:
    events: Counter[str] = Counter()
    for part in parts:
        events.update(part)
    return events


@dataclass(frozen=True, slots=True)
class Expected:
    """``result`` or, for a failed run, ``message``: what the client sees. ``events``:
    of the run that was started. ``ends_with``: last command of its replay."""

    events: Counter[str]
    result: object = None
    message: str | None = None
    ends_with: str = "CompleteWorkflow"

    @property
    def status(self) -> str:
        return "completed" if self.message is None else "failed"


# Releases whose replay skips the failure can only repeat the step; then the server
# ends the run (decision 20e).
REFUSED_UNSEEN = "The activity [sdk.refuse] failed."

EXPECTED = {
    "hello": Expected(
        _history(STARTED, _activities(1), COMPLETED),
        result={"greeting": "hello, ada"},
    ),
    "order": Expected(
        _history(
            STARTED,
            _activities(3),
            {"ActivityStarted": 2, "ActivityRetryScheduled": 2},
            TIMER,
            COMPLETED,
        ),
        result={
            "order_id": "o-1",
            "status": "shipped",
            "reservation": {"item": "teapot", "quantity": 3, "attempts": 3},
            "payment": {"charged_cents": 5700},
            "notice": "mail about o-1 sent",
        },
    ),
    "chain": Expected(
        _history(STARTED, _activities(CHAIN_LENGTH), COMPLETED),
        result=CHAIN_START + sum(range(1, CHAIN_LENGTH + 1)),
    ),
    "fan": Expected(
        _history(STARTED, _activities(FAN_WIDTH), COMPLETED),
        result=[number * number for number in range(FAN_WIDTH)],
    ),
    "refused": Expected(
        _history(
            STARTED,
            {"ActivityScheduled": 1, "ActivityStarted": 1, "ActivityFailed": 1},
            FAILED,
        ),
        message="out of stock",
        ends_with="FailWorkflow",
    ),
    "nap": Expected(_history(STARTED, TIMER, COMPLETED), result="rested"),
    # The clients look for the result in the history of the first run
    # (spec/client-compatibility.md §10), so that None is all that they can see.
    "countdown": Expected(
        _history(STARTED, {"WorkflowContinuedAsNew": 1}),
        result=None,
        ends_with="ContinueAsNew",
    ),
    "broken": Expected(
        _history(STARTED, _activities(1), FAILED),
        message="wrong turn",
        ends_with="FailWorkflow",
    ),
    "tally": Expected(
        _history(STARTED, _activities(len(TALLY_NUMBERS)), COMPLETED),
        result=sum(TALLY_NUMBERS),
    ),
    "large": Expected(
        _history(STARTED, _activities(1), COMPLETED),
        result=large_text(large_text("input")[:8]),
    ),
}
