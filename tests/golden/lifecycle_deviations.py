"""The recorded lifecycles, and what is different here in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.golden.deviations import Deviation


@dataclass(frozen=True, slots=True)
class Family:
    """``left_out``: exchanges that are not sent, ``unlike``: those of which only the
    status is compared; each with its reason. ``coalesced``: types of events that stand
    here once where the recording has several in a row."""

    deviations: tuple[Deviation, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    unlike: Mapping[str, str] = field(default_factory=dict)
    coalesced: frozenset[str] = frozenset()


DEBUG = "the debug route is not served yet"
ONE_WAKE = "engine §10, R4: the workflow runs again when the whole list is resolved"
NO_RETRY = (
    "golden: failures that must not be retried were; here the run goes on at once"
)
FOREIGN = "golden: from here on the worker got tasks of another recording"

FAMILIES: dict[str, Family] = {
    "lifecycle_simple": Family(
        deviations=(
            Deviation(
                r"event\.payload\.output",
                "golden: a plain object was stored as it came; it is encoded here",
            ),
            Deviation(
                r"error|failure|failures|exception",
                "control-plane §5.3 [mid]: why a run failed",
                "extra",
            ),
            Deviation(
                r"event\.payload\.non_retryable",
                "the flag that the worker sent is kept",
                "False there, True here",
            ),
        ),
        left_out={"describe#2": "golden: 500 for a result that was no envelope"},
    ),
    "lifecycle_activity": Family(
        deviations=(
            Deviation(
                r"task\.(total_history_events|last_history_sequence)",
                "engine §7.5: heartbeats within a second are one event",
            ),
            Deviation(r"event\.sequence", "the same", r"\d+ there, \d+ here"),
        ),
        left_out={"debug_waiting": DEBUG},
        coalesced=frozenset({"ActivityHeartbeatRecorded"}),
    ),
    "lifecycle_activity_retry": Family(
        left_out={
            "poll_activity_after_fail_by_type": NO_RETRY,
            "fail_attempt_2_by_type": NO_RETRY,
            "poll_activity_task#5": NO_RETRY,
            "fail_attempt_3_by_type": NO_RETRY,
        },
        unlike={
            "history_after_fail_by_type": NO_RETRY,
            "poll_workflow_task#4": NO_RETRY,
            "history#2": NO_RETRY,
            "poll_workflow_task#6": NO_RETRY,
        },
    ),
    "lifecycle_timer": Family(left_out={"debug_waiting_timer": DEBUG}),
    "lifecycle_activity_parallel": Family(
        deviations=(Deviation(r"next_task_id", ONE_WAKE, "'<id>' there, None here"),),
        left_out={
            "poll_after_first_completion": ONE_WAKE,
            "complete_with_only_side_effect": ONE_WAKE,
        },
        unlike={"poll_after_second_completion": ONE_WAKE, "history": ONE_WAKE},
    ),
    "lifecycle_child": Family(
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
        deviations=(
            Deviation(
                r"event\.payload\.(memo|search_attributes|business_key)",
                "engine §11: carried over, and told in WorkflowStarted",
                "extra",
            ),
        ),
    ),
    "lifecycle_markers": Family(
        unlike={
            "poll_workflow_task#2": FOREIGN,
            "upsert_remove_and_complete": FOREIGN,
            "describe": FOREIGN,
            "history": FOREIGN,
            "poll_activity_task": FOREIGN,
        }
    ),
    "lifecycle_condition": Family(
        left_out={
            "signal": "decision 5: a name without a known contract is accepted here"
        }
    ),
}
