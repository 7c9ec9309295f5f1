"""Queries that the worker of an SDK release answers, asked by its own client and by an
operator who sends plain JSON."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.sdk.conftest import Site
from tests.sdk.programs.scenario_values import TALLY_NUMBERS
from tests.support.json_http import Answer, read_history
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

TOTAL = sum(TALLY_NUMBERS)
REST_SECONDS = 3600


def an_id() -> str:
    return f"tally-{uuid.uuid4().hex[:12]}"


def asked(site: Site, workflow_id: str, name: str, body: Any = None) -> Answer:
    path = f"/api/workflows/{workflow_id}/query/{name}"
    return site.operator.request("POST", path, body)


def resting(site: Site) -> tuple[str, str]:
    """Ids of a workflow that has done its sums and sleeps, and of its run."""
    workflow_id = an_id()
    started = {
        "workflow_id": workflow_id,
        "workflow_type": "sdk.tally",
        "task_queue": site.queue,
        "input": [TALLY_NUMBERS, REST_SECONDS],
    }
    run_id = site.operator.request("POST", "/api/workflows", started).expect(201)[
        "run_id"
    ]

    def sleeps() -> bool:
        events = read_history(site.operator, workflow_id, run_id)
        return any(event["event_type"] == "TimerScheduled" for event in events)

    wait_until(sleeps, deadline_seconds=40, what="the rest of the tally")
    return workflow_id, run_id


def test_a_running_workflow_is_asked(site: Site) -> None:
    workflow_id, run_id = resting(site)
    before = read_history(site.operator, workflow_id, run_id)
    seen = site.programs.query(workflow_id, "total", [10])
    assert seen["result"] == {"total": 10 * TOTAL}, site.worker.log_tail()
    # Plain arguments are framed for the worker, whatever its release reads.
    body = asked(site, workflow_id, "total", {"input": [2]}).expect(200)
    assert body["result"] == {"total": 2 * TOTAL}
    assert body["result_envelope"]["codec"] == "avro"
    assert asked(site, workflow_id, "total").expect(200)["result"] == {"total": TOTAL}
    assert read_history(site.operator, workflow_id, run_id) == before
    described = site.operator.request("GET", f"/api/workflows/{workflow_id}")
    assert described.expect(200)["actions"]["can_query"] is True


def test_a_finished_workflow_is_asked(site: Site) -> None:
    workflow_id = an_id()
    done = site.programs.run_client("tally", site.queue, workflow_id)
    assert done["result"] == TOTAL
    seen = site.programs.query(workflow_id, "total")
    assert seen["result"] == {"total": TOTAL}, site.worker.log_tail()


def test_a_query_that_fails_is_told_as_such(site: Site) -> None:
    workflow_id = an_id()
    site.programs.run_client("tally", site.queue, workflow_id)
    for name, reason, status in (
        ("unheard-of", "rejected_unknown_query", 404),
        ("fault", "query_rejected", 409),
    ):
        body = asked(site, workflow_id, name).expect(status)
        assert body["reason"] == reason, site.worker.log_tail()
        assert site.programs.query(workflow_id, name)["error"] == "QueryFailed"
