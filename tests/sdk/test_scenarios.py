"""Every scenario with every SDK release: worker and client of that release."""

from __future__ import annotations

import pytest

from tests.sdk.expectations import EXPECTED
from tests.sdk.matrix import Outcome, Site
from tests.sdk.programs.scenario_values import CONTINUATIONS
from tests.sdk.verdict import check

# The first test of a release may have to install it, and runs all scenarios.
pytestmark = pytest.mark.timeout(600)

# The others are for test_worker_life.py.
WITH_WORKER = EXPECTED.keys() - {"early_approvals", "long_nap", "orphaned_task"}


@pytest.fixture
def outcome(site: Site, selected: frozenset[str], scenario: str) -> Outcome:
    """Of ``scenario``, which runs at once with the others of the session."""
    return site.outcome(scenario, among=sorted(selected & WITH_WORKER))


@pytest.mark.parametrize("scenario", sorted(WITH_WORKER))
def test_scenario(site: Site, outcome: Outcome, scenario: str) -> None:
    try:
        check(outcome, EXPECTED[scenario].of(site.release))
    except AssertionError as error:
        error.add_note(f"log of the worker:\n{site.worker.log_tail()}")
        raise


@pytest.mark.parametrize("scenario", ["hello"])
def test_result_is_shown_decoded(outcome: Outcome, scenario: str) -> None:
    (run,) = outcome.runs
    assert run.shown["input"] == ["ada"]
    assert run.shown["output"] == outcome.seen["result"]


@pytest.mark.parametrize("scenario", ["countdown"])
def test_continued_runs_form_a_chain(outcome: Outcome, scenario: str) -> None:
    numbers = [run.shown["run_number"] for run in outcome.runs]
    assert numbers == [*range(1, CONTINUATIONS + 2)]
    assert outcome.runs[0].shown["run_id"] == outcome.seen["run_id"]
    assert {run.shown["status"] for run in outcome.runs} == {"completed"}
