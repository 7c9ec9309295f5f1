"""Every scenario with every SDK release: worker and client of that release."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.sdk.conftest import Site
from tests.sdk.expectations import EXPECTED, REFUSED_UNSEEN, Expected
from tests.sdk.programs.scenario_values import CONTINUATIONS
from tests.support.history_rules import from_wire, history_problems
from tests.support.json_http import read_history

# The first test with a release may have to install it.
pytestmark = pytest.mark.timeout(300)


def run_scenario(site: Site, scenario: str) -> tuple[str, dict[str, Any]]:
    """Workflow id, and what the client saw."""
    workflow_id = f"{scenario}-{uuid.uuid4().hex[:12]}"
    try:
        return workflow_id, site.programs.run_client(scenario, site.queue, workflow_id)
    except AssertionError as error:
        error.add_note(f"log of the worker:\n{site.worker.log_tail()}")
        raise


def seen_by_client(expected: Expected) -> dict[str, Any]:
    if expected.message is not None:
        return {"error": "WorkflowFailed", "message": expected.message}
    return {"result": expected.result}


@pytest.mark.parametrize("scenario", EXPECTED)
def test_scenario(site: Site, scenario: str) -> None:
    expected = EXPECTED[scenario]
    is_unseen = scenario == "refused" and not site.sdk.release.sees_activity_failures
    if is_unseen:
        expected = replace(expected, message=REFUSED_UNSEEN)
    workflow_id, seen = run_scenario(site, scenario)
    run_id = seen.pop("run_id")
    assert seen == seen_by_client(expected)

    run = site.operator.request("GET", f"/api/workflows/{workflow_id}/runs/{run_id}")
    assert run.expect(200)["status"] == expected.status

    events = read_history(site.operator, workflow_id, run_id)
    assert history_problems(from_wire(events)) == []
    assert Counter(event["event_type"] for event in events) == expected.events

    if is_unseen:
        assert events[-1]["payload"]["failure_category"] == "activity"
        return  # replay would ask for the activity again
    assert site.programs.replay(scenario, run_id, events)[-1] == expected.ends_with


def test_result_is_shown_decoded(site: Site) -> None:
    workflow_id, seen = run_scenario(site, "hello")
    shown = site.operator.request("GET", f"/api/workflows/{workflow_id}").expect(200)
    assert shown["status"] == "completed"
    assert shown["input"] == ["ada"]
    assert shown["output"] == seen["result"]


def test_continued_runs_form_a_chain(site: Site) -> None:
    workflow_id, seen = run_scenario(site, "countdown")
    answer = site.operator.request("GET", f"/api/workflows/{workflow_id}/runs")
    runs = sorted(answer.expect(200)["runs"], key=lambda run: run["run_number"])
    assert [run["run_number"] for run in runs] == [*range(1, CONTINUATIONS + 2)]
    assert runs[0]["run_id"] == seen["run_id"]
    assert [run["status"] for run in runs] == ["completed"] * len(runs)
    for run in runs:
        history = read_history(site.operator, workflow_id, run["run_id"])
        assert history_problems(from_wire(history)) == []
    current = site.operator.request("GET", f"/api/workflows/{workflow_id}").expect(200)
    assert current["run_id"] == runs[-1]["run_id"]
    assert current["output"] == "lift-off"
