"""Signals to a type that declares them, and to one that does not."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.families.interactive import NO_CLASSES, prepare
from tests.golden.replaying import EventRules

ONCE = "every request may arrive three times: the same request_id counts once"
SAME_WAIT = "engine §5.3 rule 7: a wait that is sent again is the same one"
HISTORY = (
    "StartAccepted",
    "WorkflowStarted",
    "SignalReceived",
    "ConditionWaitOpened",
    *["SignalReceived"] * 6,
    "ConditionWaitSatisfied",
    "WorkflowCompleted",
)
FAMILY = Family(
    prepare=prepare,
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
            r"task\.(resume_source_kind|resume_source_id|open_wait_id|signal_name"
            r"|signal_wait_id|workflow_command_id|workflow_signal_id"
            r"|workflow_wait_kind)",
            "engine §5.3 rule 2: a task without a cause takes that of the signal",
            r"None there, .*",
        ),
        Deviation(
            r"event\.payload\.(arguments|workflow_sequence)",
            "engine §13: what a signal brought stands in its event",
            "extra",
        ),
    ),
    otherwise={
        "poll_with_several_signals": Otherwise(
            SAME_WAIT,
            members={"task": {"workflow_id": "sg-34933", "total_history_events": 10}},
        ),
        "history": Otherwise(SAME_WAIT, events=HISTORY),
        "signal_external_type_without_declared_contract": Otherwise(
            "decision 5: a name without a known contract is accepted here",
            202,
            {"outcome": "signal_received", "reason": None, "rejection_reason": None},
        ),
    },
    events=EventRules(
        # Streams of messages are a later feature (engine §16); whoever goes on does
        # not wait any more (engine §9.3).
        dropped=frozenset({"MessageCursorAdvanced", "ConditionWaitSatisfied"}),
        absent=frozenset({"01m7y5ebqhjm9e5933zwckq1rf"}),
    ),
)
