"""Updates: accepted, completed, failed, waited for, left open by their run."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.families.interactive import NO_CLASSES, prepare, terminated, waits
from tests.golden.replaying import EventRules

ONCE = "every request may arrive three times: the same request_id counts once"
CLOSED = "golden: a pending update was left open; it is closed with its run"
FAMILY = Family(
    prepare=prepare,
    env={"DW_WORKER_POLL_TIMEOUT": "5"},
    before={
        "update_accepted": waits("up-a-35538"),
        "poll_update_task_b": waits("up-b-35538"),
        "poll_update_task_c": waits("up-c-35538"),
        "poll_update_task_d": waits("up-d-35538"),
        "poll_update_task_e": waits("up-e-35538"),
        "update_wait_timeout": waits("up-f-35538"),
        "history_terminated_with_pending_update": terminated("up-f-35538"),
        "update_default_wait": waits("up-g-35538"),
        "start_before_first_task": terminated(
            "up-a-35538", "up-b-35538", "up-c-35538", "up-g-35538"
        ),
    },
    early={
        "update_wait_completed": "poll_update_task_b",
        "update_wait_completed_fails": "poll_update_task_c",
        "update_wait_completed_workflow_completes_in_same_task": "poll_update_task_d",
        "update_wait_completed_workflow_completes_without_answer": (
            "poll_update_task_e"
        ),
    },
    deviations=(
        *NO_CLASSES,
        Deviation(r"(control_plane\.)?command_sequence", ONCE, r"\d+ there, \d+ here"),
        Deviation(r"event\.payload\.command\.sequence", ONCE, r"\d+ there, \d+ here"),
        Deviation(
            r"task\.(total_history_events|last_history_sequence)",
            ONCE,
            r"\d+ there, \d+ here",
        ),
        Deviation(
            r"(control_plane\.)?wait_kind", ONCE, "'update' there, 'condition' here"
        ),
        Deviation(r"event\.payload\.request_id", ONCE, "extra"),
        Deviation(
            r"(control_plane\.)?workflow_sequence",
            "decision 20a: an update takes no step",
            r"\d+ there, \d+ here",
        ),
        Deviation(
            r"event\.payload\.arguments",
            "the arguments are kept as they came; defaults are the handler's",
            "'AB5bdHJ1ZSwibWFudWFsIl0C' there, 'AAxbdHJ1ZV0C' here",
        ),
        Deviation(
            r"task\.(resume_source_kind|resume_source_id|open_wait_id"
            r"|workflow_command_id|workflow_update_id|workflow_wait_kind)",
            "engine §5.3 rule 2: an update waits for a task of its own",
            r".* there, None here",
        ),
    ),
    otherwise={
        "debug_after_update": Otherwise(
            "engine §5.3 rule 6: a task in which the workflow looks at the condition",
            members={"diagnostic_status": "pending_work", "findings": []},
        ),
        "update_wait_completed_workflow_completes_without_answer": Otherwise(
            CLOSED, 422, {"outcome": "update_failed", "update_status": "failed"}
        ),
        "history_e": Otherwise(
            CLOSED,
            events=(
                "StartAccepted",
                "WorkflowStarted",
                "ConditionWaitOpened",
                "UpdateAccepted",
                "ConditionWaitSatisfied",
                "WorkflowCompleted",
                "UpdateCompleted",
            ),
        ),
        "history_terminated_with_pending_update": Otherwise(
            CLOSED,
            events=(
                "StartAccepted",
                "WorkflowStarted",
                "ConditionWaitOpened",
                "UpdateAccepted",
                "TerminateRequested",
                "WorkflowTerminated",
                "UpdateCompleted",
            ),
        ),
        "update_external_type_without_declared_contract": Otherwise(
            "decision 5: a name without a known contract is accepted here",
            202,
            {"outcome": None, "update_status": "accepted", "rejection_reason": None},
        ),
    },
    events=EventRules(
        # Streams of messages are a later feature (engine §16); whoever goes on does
        # not wait any more (engine §9.3).
        dropped=frozenset({"MessageCursorAdvanced", "ConditionWaitSatisfied"}),
        absent=frozenset({"01m7y60t27smz8f2zfs2rq2gnz"}),
    ),
)
