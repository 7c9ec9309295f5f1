"""What each scenario of ``programs/scenarios.py`` must lead to."""

from __future__ import annotations

from dataclasses import replace

from tests.sdk.endings import (
    CANCELLED_TIMER,
    CHILD,
    FAILED_UPDATE,
    SIGNAL,
    STARTED,
    TIMER,
    UPDATE,
    WAIT,
    activities,
    cancelled,
    completed,
    ended_child,
    failed,
    failed_activity,
    terminated,
)
from tests.sdk.environments import Feature
from tests.sdk.expected import Expected, Refused, history, times
from tests.sdk.programs.scenario_values import (
    BALLOTS,
    CHAIN_LENGTH,
    CHAIN_START,
    CLOSE_POLICIES,
    CONTINUATIONS,
    CREW,
    FAN_WIDTH,
    NEW_ADDRESS,
    STAGE_ATTRIBUTE,
    large_text,
)

_BASIC = {
    "hello": Expected(
        events=completed(activities(1)), result={"greeting": "hello, ada"}
    ),
    "order": Expected(
        events=completed(
            activities(3),
            times(2, "ActivityStarted", "ActivityRetryScheduled"),
            WAIT,
            CANCELLED_TIMER,
            UPDATE,
            SIGNAL,
            TIMER,
        ),
        answers=("waiting for approval", ["completed", NEW_ADDRESS]),
        result={
            "order_id": "o-1",
            "status": "shipped",
            "address": NEW_ADDRESS,
            "approved_by": "ada",
            "reservation": {"item": "teapot", "quantity": 3, "attempts": 3},
            "payment": {"charged_cents": 5700},
            "notice": "mail about o-1 sent",
        },
    ),
    "chain": Expected(
        events=completed(activities(CHAIN_LENGTH)),
        result=CHAIN_START + sum(range(1, CHAIN_LENGTH + 1)),
    ),
    "fan": Expected(
        events=completed(activities(FAN_WIDTH)),
        result=[number * number for number in range(FAN_WIDTH)],
    ),
    "refused": failed_activity(
        failed(
            times(1, "ActivityScheduled", "ActivityStarted", "ActivityFailed"),
            message="out of stock",
        ),
        "sdk.refuse",
    ),
    "nap": Expected(events=completed(TIMER), result="rested"),
    "long_nap": Expected(events=completed(TIMER), result="rested"),
    "orphaned_task": Expected(
        events=completed(times(1, "SideEffectRecorded")), result=[]
    ),
    "broken": failed(activities(1), message="wrong turn"),
    "large": Expected(
        events=completed(activities(1)),
        result=large_text(large_text("input")[:8]),
    ),
    "markers": Expected(
        events=completed(
            times(1, "SideEffectRecorded"),
            times(2, "VersionMarkerRecorded", "SearchAttributesUpserted"),
            activities(1),
        ),
        result={"is_stable": True, "versions": [3, 1]},
        attributes={STAGE_ATTRIBUTE: "packed"},
    ),
    "patched": Expected(
        events=completed(times(1, "VersionMarkerRecorded"), activities(1)),
        result=[True, "hello, ada"],
        needs=Feature.PATCHES,
        otherwise=failed(message="'WorkflowContext' object has no attribute 'patched'"),
    ),
}


def _timed_out(kind: str, *, was_started: bool = True) -> Expected:
    events = times(1, "ActivityScheduled", "ActivityTimedOut")
    started = times(int(was_started), "ActivityStarted")
    return failed_activity(
        Expected(
            events=+completed(events, started),
            result="timed out",
            details={"ActivityTimedOut": {"timeout_kind": kind}},
        ),
        "sdk.stall",
    )


_RUN_TIMED_OUT = Expected(
    events=history(STARTED, times(1, "ConditionWaitOpened", "WorkflowTimedOut")),
    status="failed",
    ends_with=None,
    details={"WorkflowTimedOut": {"timeout_kind": "run_timeout"}},
)

_TIMEOUTS = {
    "start_to_close": _timed_out("start_to_close"),
    "schedule_to_close": _timed_out("schedule_to_close"),
    "schedule_to_start": _timed_out("schedule_to_start", was_started=False),
    "heartbeat": _timed_out("heartbeat"),
    "heartbeats_in_time": Expected(events=completed(activities(1)), result="alive"),
    "second_attempt_in_time": Expected(
        events=completed(
            activities(1), times(1, "ActivityStarted", "ActivityRetryScheduled")
        ),
        result=2,
        details={"ActivityRetryScheduled": {"timeout_kind": "start_to_close"}},
    ),
    "run_timeout": replace(
        _RUN_TIMED_OUT,
        error="WorkflowTimedOut",
        needs=Feature.RUN_TIMEOUTS,
        otherwise=_RUN_TIMED_OUT,
    ),
}

_MESSAGES = {
    "approval": Expected(
        events=completed(WAIT, SIGNAL),
        answers=([], "completed", ["ada"]),
        result=[True, ["ada"]],
    ),
    "two_approvals": Expected(
        events=completed(WAIT, times(2, "SignalReceived")),
        answers=(["ada"],),
        result=[True, ["ada", "bob"]],
    ),
    "early_approvals": Expected(
        events=completed(times(2, "SignalReceived")), result=[True, ["ada", "bob"]]
    ),
    "approval_in_time": Expected(
        events=completed(WAIT, SIGNAL, CANCELLED_TIMER), result=[True, ["ada"]]
    ),
    "approval_too_late": Expected(
        events=completed(times(1, "ConditionWaitOpened"), TIMER), result=[False, []]
    ),
    "one_approval_too_few": Expected(
        events=completed(times(1, "ConditionWaitOpened"), TIMER, SIGNAL),
        result=[False, ["ada"]],
    ),
    "ballot": Expected(
        events=completed(
            times(1, "SideEffectRecorded"), WAIT, times(BALLOTS, "SignalReceived")
        ),
        result=[*range(BALLOTS)],
    ),
    "approved_while_busy": Expected(
        events=completed(activities(1), SIGNAL), result=["lingered", "ada"]
    ),
    "stages": Expected(
        events=completed(
            times(3, "ConditionWaitOpened"),
            times(2, "ConditionWaitSatisfied", "SignalReceived"),
            CANCELLED_TIMER,
            TIMER,
            activities(3),
        ),
        result=[True, False, True],
    ),
    "account": Expected(
        events=completed(WAIT, UPDATE, UPDATE, UPDATE, FAILED_UPDATE),
        answers=(
            ["completed", 5],
            ["completed", 12],
            Refused("InvalidArgument", "no credit for 100"),
            120,
            Refused("QueryFailed", "nonsense"),
            Refused("QueryFailed", "the books are lost"),
            ["completed", "closed"],
            "completed",
            12,
        ),
        result=12,
    ),
    "guarded": Expected(
        events=completed(WAIT, UPDATE, FAILED_UPDATE),
        answers=(Refused("InvalidArgument", "0 is not positive"), ["completed", 3]),
        result=3,
        needs=Feature.VALIDATORS_IN_TASK,
        otherwise=Expected(
            events=completed(WAIT, UPDATE, UPDATE),
            answers=(["completed", 0], ["completed", 3]),
            result=3,
        ),
    ),
}

_RUNNING_ACTIVITY = times(1, "ActivityScheduled", "ActivityStarted")

_ENDINGS = {
    "cancelled_in_wait": cancelled(times(1, "ConditionWaitOpened"), CANCELLED_TIMER),
    "terminated_in_nap": terminated(CANCELLED_TIMER),
    "cancelled_in_activity": cancelled(
        _RUNNING_ACTIVITY, times(1, "ActivityCancelled")
    ),
    "terminated_in_activity": terminated(
        _RUNNING_ACTIVITY, times(1, "ActivityCancelled")
    ),
}

_FAMILIES = {
    # The clients look for the result in the history of the first run
    # (spec/client-compatibility.md §10), so that None is all that they can see.
    "countdown": Expected(
        events=history(STARTED, times(1, "WorkflowContinuedAsNew")),
        ends_with="ContinueAsNew",
        output="lift-off",
    ),
    "relay": Expected(
        events=history(
            STARTED,
            times(1, "SideEffectRecorded", "WorkflowContinuedAsNew"),
            times(2, "SignalReceived"),
        ),
        answers=("completed",),
        ends_with="ContinueAsNew",
        output=[0, 1],
    ),
    "child": Expected(
        events=completed(CHILD, times(1, "ChildRunCompleted")),
        result={"greeting": "hello, ada"},
    ),
    "children": Expected(
        events=completed(
            times(
                len(CREW),
                "ChildWorkflowScheduled",
                "ChildRunStarted",
                "ChildRunCompleted",
            )
        ),
        result=[f"hello, {name}" for name in CREW],
    ),
    "failed_child": Expected(
        events=completed(CHILD, times(1, "ChildRunFailed")), result="child failed"
    ),
    "continued_child": Expected(
        events=completed(
            CHILD,
            times(CONTINUATIONS, "ChildRunStarted"),
            times(1, "ChildRunCompleted"),
        ),
        result="lift-off",
    ),
    "retried_child": Expected(
        events=completed(CHILD, times(1, "ChildRunStarted", "ChildRunCompleted")),
        result="at last",
    ),
    "cancelled_child": ended_child("ChildRunCancelled", how="cancelled"),
    "terminated_child": ended_child("ChildRunTerminated", how="terminated"),
    "close_policies": cancelled(
        times(len(CLOSE_POLICIES), "ChildWorkflowScheduled", "ChildRunStarted"),
        times(2, "ParentClosePolicyApplied"),
        answers=("completed", "cancelled", "terminated"),
    ),
}

EXPECTED: dict[str, Expected] = {
    **_BASIC,
    **_TIMEOUTS,
    **_MESSAGES,
    **_ENDINGS,
    **_FAMILIES,
}
