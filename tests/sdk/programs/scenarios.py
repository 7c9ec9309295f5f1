"""The scenarios: which workflow, which arguments, what the client does to the run.

Data only; nothing of an SDK is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.sdk.programs.scenario_values import (
    BALLOTS,
    CANCEL_REASON,
    CHAIN_START,
    CLOSE_POLICIES,
    CONTINUATIONS,
    CREW,
    FAN_WIDTH,
    JOB,
    NAP_SECONDS,
    NEW_ADDRESS,
    ORDER,
    TERMINATE_REASON,
    large_text,
)
from tests.sdk.programs.steps import (
    Cancel,
    Closed,
    Mark,
    Marked,
    OfChild,
    Query,
    Recorded,
    Signal,
    Step,
    Terminate,
    Update,
)

RUN_TIMEOUT_SECONDS = 600
STALL_SECONDS = 6
LONG_NAP_SECONDS = 4


@dataclass(frozen=True)
class Scenario:
    """After the last step the client waits for the result."""

    workflow_type: str
    arguments: tuple[Any, ...] = ()
    steps: tuple[Step, ...] = ()
    run_timeout_seconds: int = RUN_TIMEOUT_SECONDS


def _stalled(**timeouts: int | str) -> Scenario:
    return Scenario("sdk.timed", ("sdk.stall", [STALL_SECONDS], 1, timeouts))


WAIT_OPENED = Recorded("ConditionWaitOpened")

_BASIC = {
    "hello": Scenario("sdk.hello", ("ada",)),
    "order": Scenario(
        "orders.process",
        (ORDER,),
        (
            WAIT_OPENED,
            Query("status"),
            Update("change_address", (NEW_ADDRESS,)),
            Signal("approve", ("ada",)),
        ),
    ),
    "chain": Scenario("sdk.chain", (CHAIN_START,)),
    "fan": Scenario("sdk.fan", (FAN_WIDTH,)),
    "refused": Scenario("sdk.refused", ("out of stock",)),
    "nap": Scenario("sdk.nap", (NAP_SECONDS,)),
    "broken": Scenario("sdk.broken", ("wrong turn",)),
    "large": Scenario("sdk.large", (large_text("input"),)),
    "markers": Scenario("sdk.markers", ("packed",)),
    "patched": Scenario("sdk.patched"),
}

_TIMEOUTS = {
    "start_to_close": _stalled(start_to_close_timeout=1),
    "schedule_to_close": _stalled(schedule_to_close_timeout=5),
    "schedule_to_start": _stalled(schedule_to_start_timeout=1, queue="sdk-nobody"),
    "heartbeat": _stalled(heartbeat_timeout=1),
    "heartbeats_in_time": Scenario(
        "sdk.timed", ("sdk.beat", [], 1, {"heartbeat_timeout": 5})
    ),
    "second_attempt_in_time": Scenario(
        "sdk.timed",
        ("sdk.stall_once", [JOB, STALL_SECONDS], 2, {"start_to_close_timeout": 3}),
    ),
    "run_timeout": Scenario("sdk.approval", (1, None), run_timeout_seconds=8),
}

_MESSAGES = {
    "approval": Scenario(
        "sdk.approval",
        (1, None),
        (
            WAIT_OPENED,
            Query("approvers"),
            Signal("approve", ("ada",)),
            Closed(),
            Query("approvers"),
        ),
    ),
    "two_approvals": Scenario(
        "sdk.approval",
        (2, None),
        (
            WAIT_OPENED,
            Signal("approve", ("ada",)),
            Query("approvers"),
            Signal("approve", ("bob",)),
        ),
    ),
    "approval_in_time": Scenario(
        "sdk.approval", (1, 60), (WAIT_OPENED, Signal("approve", ("ada",)))
    ),
    "approval_too_late": Scenario("sdk.approval", (1, 1)),
    "one_approval_too_few": Scenario(
        "sdk.approval", (2, 4), (WAIT_OPENED, Signal("approve", ("ada",)))
    ),
    "ballot": Scenario(
        "sdk.ballot",
        (JOB, BALLOTS),
        (Marked("held"), Signal("approve", times=BALLOTS), Mark("released")),
    ),
    "approved_while_busy": Scenario(
        "sdk.busy",
        (JOB,),
        (Marked("running"), Signal("approve", ("ada",)), Mark("released")),
    ),
    "stages": Scenario(
        "sdk.stages",
        ([60, 1, None],),
        (
            WAIT_OPENED,
            Signal("reach", ("stage-0",)),
            Recorded("ConditionWaitOpened", 3),
            Signal("reach", ("stage-2",)),
        ),
    ),
    "account": Scenario(
        "sdk.account",
        (),
        (
            WAIT_OPENED,
            Update("add", (5,)),
            Update("add", (7,)),
            Update("overdraw", (100,)),
            Query("total", (10,)),
            Query("nonsense"),
            Query("fault"),
            Update("close"),
            Closed(),
            Query("total"),
        ),
    ),
    "guarded": Scenario(
        "sdk.guarded", (), (WAIT_OPENED, Update("set", (0,)), Update("set", (3,)))
    ),
}

_ENDINGS = {
    "cancelled_in_wait": Scenario(
        "sdk.approval", (1, 60), (WAIT_OPENED, Cancel(CANCEL_REASON))
    ),
    "terminated_in_nap": Scenario(
        "sdk.nap", (60,), (Recorded("TimerScheduled"), Terminate(TERMINATE_REASON))
    ),
    "cancelled_in_activity": Scenario(
        "sdk.timed",
        ("sdk.beat_until_cancelled", [JOB], 3, {"heartbeat_timeout": 20}),
        (Marked("running"), Cancel(CANCEL_REASON), Marked("cancelled")),
    ),
    "terminated_in_activity": Scenario(
        "sdk.timed",
        ("sdk.beat_until_cancelled", [JOB], 3, {"heartbeat_timeout": 20}),
        (Marked("running"), Terminate(TERMINATE_REASON), Marked("cancelled")),
    ),
}

_FAMILIES = {
    "countdown": Scenario("sdk.countdown", (CONTINUATIONS,)),
    "relay": Scenario(
        "sdk.relay",
        (JOB, False),
        (Marked("held"), Signal("approve", times=2), Mark("released"), Closed()),
    ),
    "child": Scenario("sdk.parent", ("sdk.hello", ["ada"], 1)),
    "children": Scenario("sdk.parent_of_many", (list(CREW),)),
    "failed_child": Scenario("sdk.parent", ("sdk.broken", ["wrong turn"], 1)),
    "continued_child": Scenario("sdk.parent", ("sdk.countdown", [CONTINUATIONS], 1)),
    "retried_child": Scenario("sdk.parent", ("sdk.fickle", [JOB], 2)),
    "cancelled_child": Scenario(
        "sdk.parent",
        ("sdk.approval", [1, None], 1),
        (
            Recorded("ChildRunStarted"),
            OfChild(0, Cancel("not needed")),
        ),
    ),
    "terminated_child": Scenario(
        "sdk.parent",
        ("sdk.approval", [1, None], 1),
        (
            Recorded("ChildRunStarted"),
            OfChild(0, Terminate("not needed")),
        ),
    ),
    "close_policies": Scenario(
        "sdk.parent_of_waiting",
        (list(CLOSE_POLICIES),),
        (
            Recorded("ChildRunStarted", len(CLOSE_POLICIES)),
            Cancel(CANCEL_REASON),
            Recorded("ParentClosePolicyApplied", 2),
            OfChild(0, Signal("approve", ("ada",))),
            *(OfChild(index, Closed()) for index in range(len(CLOSE_POLICIES))),
        ),
    ),
}

# For a test that decides when a worker is there.
_WITHOUT_WORKER = {
    "early_approvals": Scenario(
        "sdk.approval",
        (2, None),
        (Signal("approve", ("ada",)), Signal("approve", ("bob",))),
    ),
    "long_nap": Scenario("sdk.nap", (LONG_NAP_SECONDS,)),
    "orphaned_task": Scenario("sdk.ballot", (JOB, 0)),
}

SCENARIOS: dict[str, Scenario] = {
    **_BASIC,
    **_TIMEOUTS,
    **_MESSAGES,
    **_ENDINGS,
    **_FAMILIES,
    **_WITHOUT_WORKER,
}
