"""Events and endings that the expectations of scenarios are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.sdk.environments import Feature
from tests.sdk.expected import Expected, history, times
from tests.sdk.programs.scenario_values import CANCEL_REASON, TERMINATE_REASON

STARTED = times(1, "StartAccepted", "WorkflowStarted")
COMPLETED = times(1, "WorkflowCompleted")
FAILED = times(1, "WorkflowFailed")
CANCELLED = times(1, "CancelRequested", "WorkflowCancelled")
TERMINATED = times(1, "TerminateRequested", "WorkflowTerminated")
TIMER = times(1, "TimerScheduled", "TimerFired")
CANCELLED_TIMER = times(1, "TimerScheduled", "TimerCancelled")
WAIT = times(1, "ConditionWaitOpened", "ConditionWaitSatisfied")
SIGNAL = times(1, "SignalReceived")
UPDATE = times(1, "UpdateAccepted", "UpdateApplied", "UpdateCompleted")
FAILED_UPDATE = times(1, "UpdateAccepted", "UpdateCompleted")
CHILD = times(1, "ChildWorkflowScheduled", "ChildRunStarted")


def activities(count: int) -> dict[str, int]:
    """Events of activities whose first attempt succeeds."""
    return times(count, "ActivityScheduled", "ActivityStarted", "ActivityCompleted")


def completed(*parts: Mapping[str, int]) -> Counter[str]:
    """Events of a run that completes."""
    return history(STARTED, *parts, COMPLETED)


def cancelled(*parts: Mapping[str, int], **more: Any) -> Expected:
    """By the client of the scenario. ``more``: fields of Expected."""
    return Expected(
        events=history(STARTED, *parts, CANCELLED),
        status="cancelled",
        error="WorkflowCancelled",
        message=CANCEL_REASON,
        ends_with=None,
        **more,
    )


def terminated(*parts: Mapping[str, int]) -> Expected:
    """By the client of the scenario."""
    return Expected(
        events=history(STARTED, *parts, TERMINATED),
        status="terminated",
        error="WorkflowTerminated",
        message=TERMINATE_REASON,
        ends_with=None,
    )


def failed(*parts: Mapping[str, int], message: str) -> Expected:
    """By the workflow itself."""
    return Expected(
        events=history(STARTED, *parts, FAILED),
        status="failed",
        error="WorkflowFailed",
        message=message,
        ends_with="FailWorkflow",
    )


def _seen_by_workflow(
    expected: Expected, *, feature: Feature, category: str, unseen: str
) -> Expected:
    """Releases whose replay skips the failure of a step can only repeat it; then the
    server ends the run with the message ``unseen`` (decision 20e)."""
    events = expected.events - Counter(COMPLETED) - Counter(FAILED)
    unseen_failure = replace(
        expected,
        events=history(events, FAILED),
        status="failed",
        error="WorkflowFailed",
        message=unseen,
        ends_with=None,
        details={
            **expected.details,
            "WorkflowFailed": {"failure_category": category},
        },
    )
    return replace(expected, needs=feature, otherwise=unseen_failure)


def failed_activity(expected: Expected, activity_type: str) -> Expected:
    """``expected``: when the workflow sees that the activity failed."""
    return _seen_by_workflow(
        expected,
        feature=Feature.ACTIVITY_FAILURES,
        category="activity",
        unseen=f"The activity [{activity_type}] failed.",
    )


def ended_child(event_type: str, *, how: str) -> Expected:
    """The only child was ended from outside."""
    return _seen_by_workflow(
        Expected(events=completed(CHILD, times(1, event_type)), result="child failed"),
        feature=Feature.CHILD_CANCELLATION,
        category="child_workflow",
        unseen=f"The child workflow [sdk.approval] was {how}.",
    )
