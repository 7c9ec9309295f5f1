"""Compares the outcome of a scenario with what is expected of it."""

from __future__ import annotations

from collections import Counter

from tests.sdk.expected import Expected
from tests.sdk.matrix import Outcome, Run
from tests.support.history_rules import from_wire, history_problems

# Heartbeats are recorded at most once in a while, so that their number means nothing.
UNCOUNTED = "ActivityHeartbeatRecorded"


def check(outcome: Outcome, expected: Expected) -> None:
    """AssertionError when the outcome is not the expected one."""
    broken = outcome.seen.get("broken")
    assert broken is None, f"{broken}\n{_event_types(outcome.runs)}"
    first = outcome.runs[0]
    last = [r for r in outcome.runs if r.workflow_id == first.workflow_id][-1]
    seen = {key: outcome.seen[key] for key in outcome.seen if key != "run_id"}
    assert seen == expected.seen
    assert first.shown["run_id"] == outcome.seen["run_id"]
    assert first.shown["status"] == expected.status
    assert _counted(first) == expected.events
    _check_details(first, expected)
    assert last.shown["output"] == expected.output
    for name, value in expected.attributes.items():
        assert last.shown["search_attributes"][name] == value
    for run, replay in zip(outcome.runs, outcome.replays, strict=True):
        assert history_problems(from_wire(run.events)) == [], run.workflow_id
        assert replay["problems"] == [], run.workflow_id
    if expected.ends_with is not None:
        assert outcome.replays[0]["commands"][-1] == expected.ends_with


def _event_types(runs: list[Run]) -> str:
    types = ([event["event_type"] for event in run.events] for run in runs)
    return "\n".join(map(str, types))


def _counted(run: Run) -> Counter[str]:
    types = Counter(event["event_type"] for event in run.events)
    del types[UNCOUNTED]
    return types


def _check_details(run: Run, expected: Expected) -> None:
    for event_type, details in expected.details.items():
        for event in run.events:
            if event["event_type"] == event_type:
                assert details.items() <= event["payload"].items()
