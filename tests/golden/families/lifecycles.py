"""The recorded lifecycles, and what is different here in each of them."""

from __future__ import annotations

from tests.golden.deviations import FAILED_RUN, Deviation
from tests.golden.families.family import Family, Otherwise, later
from tests.golden.replaying import EventRules, Replay


async def prepare(replay: Replay) -> None:
    """The namespace and the worker that the traces take for granted."""
    await replay.make_namespace()
    await replay.register("L", "lq")


ONE_WAKE = "engine §10, R4: the workflow runs again when the whole list is resolved"
NO_RETRY = (
    "golden: failures that must not be retried were; here the run goes on at once"
)
FOREIGN = "golden: from here on the worker got tasks of another recording"

LIFECYCLES: dict[str, Family] = {
    "lifecycle_simple": Family(
        prepare=prepare,
        deviations=(
            Deviation(
                r"event\.payload\.output",
                "golden: a plain object was stored as it came; it is encoded here",
            ),
            *FAILED_RUN,
            Deviation(
                r"event\.payload\.non_retryable",
                "the flag that the worker sent is kept",
                "False there, True here",
            ),
        ),
        otherwise={
            "describe#2": Otherwise(
                "golden: 500 for a result that was no envelope",
                200,
                {"status": "completed", "output": {"plain": 1}},
            )
        },
    ),
    "lifecycle_activity": Family(
        prepare=prepare,
        deviations=(
            Deviation(
                r"task\.(total_history_events|last_history_sequence)|dedupe_key"
                r"|summary\.history_event_count|workflow\.last_history_sequence",
                "engine §7.5: heartbeats within a second are one event",
            ),
        ),
        events=EventRules(coalesced=frozenset({"ActivityHeartbeatRecorded"})),
    ),
    "lifecycle_activity_retry": Family(
        prepare=prepare,
        before={
            "poll_activity_task#2": later(1),
            "poll_activity_task#3": later(1),
        },
        left_out={
            "poll_activity_after_fail_by_type": NO_RETRY,
            "fail_attempt_2_by_type": NO_RETRY,
            "poll_activity_task#5": NO_RETRY,
            "fail_attempt_3_by_type": NO_RETRY,
        },
        otherwise={
            "history_after_fail_by_type": Otherwise(NO_RETRY),
            "poll_workflow_task#4": Otherwise(NO_RETRY),
            "history#2": Otherwise(NO_RETRY),
            "poll_workflow_task#6": Otherwise(NO_RETRY),
        },
    ),
    "lifecycle_timer": Family(
        prepare=prepare,
        before={"poll_after_timer": later(1), "poll_after_timer_0": later(0)},
    ),
    "lifecycle_activity_parallel": Family(
        prepare=prepare,
        deviations=(Deviation(r"next_task_id", ONE_WAKE, "'<id>' there, None here"),),
        left_out={
            "poll_after_first_completion": ONE_WAKE,
            "complete_with_only_side_effect": ONE_WAKE,
        },
        otherwise={
            "poll_after_second_completion": Otherwise(ONE_WAKE),
            "history": Otherwise(ONE_WAKE),
        },
    ),
    "lifecycle_child": Family(
        prepare=prepare,
        deviations=(
            Deviation(
                r"event\.payload\.memo",
                "engine §8: taken over from the parent",
                "extra",
            ),
            Deviation(
                r"event\.payload\.command\.source",
                "the close policy is carried out by the server, not by PHP code",
            ),
            Deviation(
                r"execution_timeout_seconds",
                "the time-out that the parent asked for is shown",
                "None there, 100 here",
            ),
        ),
    ),
    "lifecycle_continue_as_new": Family(
        prepare=prepare,
        deviations=(
            Deviation(
                r"event\.payload\.(memo|search_attributes|business_key)",
                "engine §11: carried over, and told in WorkflowStarted",
                "extra",
            ),
        ),
    ),
    "lifecycle_markers": Family(
        prepare=prepare,
        otherwise={
            "poll_workflow_task#2": Otherwise(FOREIGN),
            "upsert_remove_and_complete": Otherwise(FOREIGN),
            "describe": Otherwise(FOREIGN),
            "history": Otherwise(FOREIGN),
            "poll_activity_task": Otherwise(FOREIGN),
        },
    ),
    "lifecycle_condition": Family(
        prepare=prepare,
        before={
            "poll_after_signal": later(2),
            "poll_after_condition_timeout": later(1),
        },
        left_out={
            "signal": "decision 5: a name without a known contract is accepted here"
        },
    ),
}
