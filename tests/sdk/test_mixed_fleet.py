"""Workers and clients of 0.4 and of 2.x on one server.

A payload that one of them encoded is unreadable for the other one, so that each has a
queue of its own; only what the server encodes may go to either
(``spec/client-compatibility.md §4``, decision 9).
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.sdk.environments import RELEASES, provide
from tests.sdk.expectations import EXPECTED
from tests.sdk.matrix import Ground, Site, Sites, new_jobs
from tests.sdk.verdict import check
from tests.support.history_rules import from_wire, history_problems
from tests.support.json_http import read_history
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

FLEETS = ("0.4.106", "2.x")
SIDE_BY_SIDE = ("order", "fan", "stages", "account", "children", "retried_child")
BEADS_OF_A_SHIFT = 2


@pytest.fixture
def fleets(sites: Sites, engine: str) -> dict[str, Site]:
    return {
        release.name: sites.site(engine, provide(release))
        for release in RELEASES
        if release.name in FLEETS
    }


def test_fleets_work_side_by_side(fleets: dict[str, Site]) -> None:
    jobs = {name: new_jobs(SIDE_BY_SIDE) for name in fleets}
    clients = {
        name: site.ground.programs.start_client(site.queue, jobs[name])
        for name, site in fleets.items()
    }
    for name, site in fleets.items():
        outcomes = site.ground.collect(jobs[name], clients[name].answer())
        for scenario, outcome in outcomes.items():
            check(outcome, EXPECTED[scenario].of(site.release))


@pytest.mark.parametrize(("first", "second"), [FLEETS, FLEETS[::-1]])
def test_run_of_json_payloads_changes_hands(
    fleets: dict[str, Site], tmp_path: Path, first: str, second: str
) -> None:
    workflow_id = queue = f"hands-{uuid.uuid4().hex[:8]}"
    ground = fleets[first].ground
    start = {
        "workflow_type": "sdk.beads",
        "workflow_id": workflow_id,
        "task_queue": queue,
        "input": [2 * BEADS_OF_A_SHIFT],
    }
    started = ground.operator.request("POST", "/api/workflows", start).expect(201)
    for shift, release in enumerate((first, second)):
        programs = fleets[release].ground.programs
        worker = programs.start_worker(queue, tmp_path / f"{release}.log")
        try:
            _thread_beads(ground, workflow_id, shift * BEADS_OF_A_SHIFT)
        finally:
            worker.kill()
    shown = ground.operator.request("GET", f"/api/workflows/{workflow_id}").expect(200)
    assert shown["output"] == [*range(2 * BEADS_OF_A_SHIFT)]
    events = read_history(ground.operator, workflow_id, started["run_id"])
    assert history_problems(from_wire(events)) == []


def _thread_beads(ground: Ground, workflow_id: str, begin: int) -> None:
    """A signal whenever the run waits for one, until it waits for the next shift."""
    path = f"/api/workflows/{workflow_id}/signal/bead"
    for bead in range(begin, begin + BEADS_OF_A_SHIFT):
        _await_waits(ground, workflow_id, bead + 1)
        ground.operator.request("POST", path, {"input": [bead]}).expect(202)
    _await_waits(ground, workflow_id, begin + BEADS_OF_A_SHIFT + 1)


def _await_waits(ground: Ground, workflow_id: str, count: int) -> None:
    """Wait until the run has opened so many waits, or is done."""
    wait_until(
        lambda: (
            ground.count(workflow_id, "ConditionWaitOpened") == count
            or ground.count(workflow_id, "WorkflowCompleted") == 1
        )
    )
