"""Every rule that speaks against a bundle (``spec/history-bundles.md`` §5.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.imports.eligibility import Facts, Level, Rule, findings

GOOD = Facts(
    integrity="ok",
    is_signature_verified=False,
    requires_signature=False,
    instance_id="order-1",
    run_id="run-1",
    status="waiting",
    is_history_complete=False,
    is_current=True,
    source_runtime="embedded",
    redacted_paths=0,
    foreign_codecs=(),
    unknown_event_types=(),
    leased_task=None,
    running_attempt=None,
)
CLOSED: dict[str, Any] = {"status": "completed", "is_history_complete": True}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"integrity": "failed"}, Rule.INTEGRITY_FAILED),
        ({"requires_signature": True}, Rule.SIGNATURE_REQUIRED),
        ({"instance_id": None}, Rule.INSTANCE_ID_MISSING),
        ({"run_id": None}, Rule.RUN_ID_MISSING),
        ({"status": "paused"}, Rule.STATUS_UNSUPPORTED),
        ({"status": "failed"}, Rule.TERMINAL_HISTORY_INCOMPLETE),
        ({"is_current": False}, Rule.NON_TERMINAL_NOT_CURRENT),
        ({"status": None, "is_current": False}, Rule.NON_TERMINAL_NOT_CURRENT),
        ({"source_runtime": "standalone_server"}, Rule.SOURCE_RUNTIME_UNSUPPORTED),
        ({"source_runtime": None}, Rule.SOURCE_RUNTIME_UNSUPPORTED),
        ({"redacted_paths": 2}, Rule.REDACTED_PAYLOADS),
        ({"foreign_codecs": ("php",)}, Rule.CODEC_UNSUPPORTED),
        ({"unknown_event_types": ("NewThing",)}, Rule.EVENT_TYPE_UNSUPPORTED),
        ({"leased_task": "task-1"}, Rule.LEASED_TASK_PRESENT),
        ({"running_attempt": "attempt-1"}, Rule.RUNNING_ATTEMPT_PRESENT),
    ],
)
def test_each_rule_refuses_by_itself(changes: dict[str, Any], rule: Rule) -> None:
    [finding] = findings(replace(GOOD, **changes))
    assert (finding.rule, finding.level) == (rule, Level.ERROR)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"status": None},
        {"status": "pending"},
        {"requires_signature": True, "is_signature_verified": True},
        CLOSED,
        {**CLOSED, "is_current": False},
        {**CLOSED, "status": "terminated"},
    ],
)
def test_nothing_speaks_against_a_quiet_run(changes: dict[str, Any]) -> None:
    assert findings(replace(GOOD, **changes)) == []


def test_a_doubtful_bundle_is_no_refused_one() -> None:
    [finding] = findings(replace(GOOD, integrity="warning"))
    assert (finding.rule, finding.level) == (Rule.INTEGRITY_WARNING, Level.WARNING)


def test_everything_that_is_wrong_is_told_in_the_order_of_the_rules() -> None:
    worst = Facts(
        integrity="failed",
        is_signature_verified=False,
        requires_signature=True,
        instance_id=None,
        run_id=None,
        status="failed",
        is_history_complete=False,
        is_current=False,
        source_runtime="other",
        redacted_paths=1,
        foreign_codecs=("php",),
        unknown_event_types=("NewThing",),
        leased_task="t",
        running_attempt="a",
    )
    assert [finding.rule for finding in findings(worst)] == [
        Rule.INTEGRITY_FAILED,
        Rule.SIGNATURE_REQUIRED,
        Rule.INSTANCE_ID_MISSING,
        Rule.RUN_ID_MISSING,
        Rule.TERMINAL_HISTORY_INCOMPLETE,
        Rule.SOURCE_RUNTIME_UNSUPPORTED,
        Rule.REDACTED_PAYLOADS,
        Rule.CODEC_UNSUPPORTED,
        Rule.EVENT_TYPE_UNSUPPORTED,
        # With a leased task nobody asks for attempts.
        Rule.LEASED_TASK_PRESENT,
    ]
